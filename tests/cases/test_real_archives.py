"""What the readers find in real archives."""

from collections import Counter
from pathlib import Path

import pytest

from pipeline.cases.sources import read_rows
from tests.cases.archives import TABLE_2020, kinds

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")


@pytest.fixture
def archive(tmp_path):
    for path in (DATA / "csv").iterdir():
        (tmp_path / path.name).symlink_to(path.resolve())
    return tmp_path


@needs_data
@pytest.mark.data
@pytest.mark.slow
def test_isic_2019_has_the_published_counts(archive):
    rows = read_rows(archive, "isic_2019")

    assert Counter(row.diagnosis for row in rows) == {
        "MEL": 4522,
        "NV": 12875,
        "BCC": 3323,
        "AK": 867,
        "BKL": 2624,
        "DF": 239,
        "VASC": 253,
        "SCC": 628,
    }
    assert set(kinds(rows)) == {""}
    assert [
        sum(not getattr(row, name) for row in rows) for name in ("sex", "site", "lesion_id")
    ] == [
        384,
        2631,
        2084,
    ]
    assert sum(row.age_years != row.age_years for row in rows) == 437
    assert len({row.lesion_id for row in rows if row.lesion_id}) == 11847
    assert not any(row.unknown_words for row in rows)


@needs_data
@pytest.mark.data
@pytest.mark.slow
def test_isic_2020_has_the_published_counts(archive):
    rows = read_rows(archive, "isic_2020")

    assert Counter(kinds(rows)) == {"": 32701, "official duplicate": 425}
    assert len({row.patient_id for row in rows}) == 2056
    assert sum(row.diagnosis == "MEL" for row in rows) == 584
    assert sum(row.diagnosis == "MEL" and not row.problem for row in rows) == 581
    assert [sum(not getattr(row, name) for row in rows) for name in ("sex", "site")] == [65, 527]
    assert sum(row.age_years != row.age_years for row in rows) == 68
    assert not any(row.unknown_words for row in rows)


@needs_data
@pytest.mark.data
@pytest.mark.slow
def test_both_challenges_together_have_58032_images(archive):
    rows = [*read_rows(archive, "isic_2019"), *read_rows(archive, "isic_2020")]

    usable = Counter(row.diagnosis for row in rows if not row.problem)

    assert usable.total() == 58032
    assert usable == {
        "MEL": 5103,
        "NV": 18066,
        "BCC": 3323,
        "AK": 867,
        "BKL": 2845,
        "DF": 239,
        "VASC": 253,
        "SCC": 628,
        "UNK": 26708,
    }


@needs_data
@pytest.mark.data
@pytest.mark.slow
def test_table_of_kaggle_agrees_with_the_official_one(archive):
    official = read_rows(archive, "isic_2020")
    (archive / TABLE_2020).unlink()
    (archive / "train.csv").symlink_to((DATA / "csv" / "isic2020_kaggle_train.csv").resolve())

    kaggle = read_rows(archive, "isic_2020")

    def essence(row):
        return row.image_id, row.patient_id, row.diagnosis, row.sex, row.site, str(row.age_years)

    assert list(map(essence, kaggle)) == list(map(essence, official))


@needs_data
@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "usable", "refused"),
    [
        (
            "ham10000",
            {
                "MEL": 420,
                "NV": 620,
                "BCC": 226,
                "AK": 59,
                "BKL": 380,
                "DF": 50,
                "VASC": 76,
                "SCC": 107,
            },
            {},
        ),
        ("uda1", {"NV": 53, "MEL": 27}, {}),
        ("isic_acral", {"NV": 66, "MEL": 10, "UNK": 43}, {"not dermoscopic": 1}),
    ],
)
def test_exports_of_the_archive_are_read(folder, usable, refused):
    rows = read_rows(DATA / folder, "isic_cli")

    assert Counter(row.diagnosis for row in rows if not row.problem) == usable
    assert Counter(row.problem.kind for row in rows if row.problem) == refused
    assert not any(row.unknown_words for row in rows)


@needs_data
@pytest.mark.data
def test_skin_types_of_the_acral_images_are_kept():
    """Twelve of the 120; most archives have none."""
    rows = read_rows(DATA / "isic_acral", "isic_cli")

    types = Counter(row.fitzpatrick_skin_type for row in rows if row.fitzpatrick_skin_type)
    assert types == {"II": 9, "III": 2, "VI": 1}


@needs_data
@pytest.mark.data
@pytest.mark.slow
def test_export_and_challenge_agree_on_the_images_they_share(archive):
    """Today's hierarchy and ISIC 2019's columns are two words for one diagnosis."""
    of_2019 = {row.image_id: row for row in read_rows(archive, "isic_2019")}
    shared = [
        (row, of_2019[row.image_id])
        for row in read_rows(DATA / "ham10000", "isic_cli")
        if row.image_id in of_2019
    ]

    assert len(shared) == 1938
    assert [row.image_id for row, other in shared if row.diagnosis != other.diagnosis] == []
    # ISIC 2019 leaves out the site of some; where both have one, they agree.
    assert [
        row.image_id for row, other in shared if row.site and other.site not in ("", row.site)
    ] == []
