"""Tests of `pipeline.cases.sources`."""

from collections import Counter
from pathlib import Path

import pytest

from pipeline.cases.sources import read_rows, recognise_form
from pipeline.cases.tables import TableError
from tests.cases.tables import write_csv

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")

TRUTH = "ISIC_2019_Training_GroundTruth.csv"
METADATA = "ISIC_2019_Training_Metadata.csv"
TRUTH_HEADER = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
METADATA_HEADER = "image,age_approx,anatom_site_general,lesion_id,sex"
TABLE_2020 = "ISIC_2020_Training_GroundTruth_v2.csv"
HEADER_2020 = (
    "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
    "benign_malignant,target"
)
NEVUS = "Benign,Benign melanocytic proliferations,Nevus"


def write_2019(folder, truth, metadata):
    write_csv(folder / TRUTH, TRUTH_HEADER, *truth)
    write_csv(folder / METADATA, METADATA_HEADER, *metadata)
    return read_rows(folder, "isic_2019")


def write_2020(folder, *rows, duplicates=()):
    write_csv(folder / TABLE_2020, HEADER_2020, *rows)
    if duplicates:
        name = folder / "ISIC_2020_Training_Duplicates.csv"
        write_csv(name, "image_name_1,image_name_2", *duplicates)
    return read_rows(folder, "isic_2020")


def write_cli(folder, header, *rows):
    write_csv(folder / "metadata.csv", header, *rows)
    return read_rows(folder, "isic_cli")


def kinds(rows):
    return [row.problem.kind if row.problem else "" for row in rows]


def test_isic_2019_joins_truth_and_metadata(tmp_path):
    (row,) = write_2019(
        tmp_path,
        ["ISIC_1_downsampled,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0"],
        ["ISIC_1_downsampled,85,palms/soles,HAM_0000001,female"],
    )

    assert (row.image_id, row.line, row.diagnosis, row.diagnosis_raw) == (
        "ISIC_1_downsampled",
        2,
        "SCC",
        "SCC",
    )
    assert (row.age_years, row.site, row.lesion_id, row.sex) == (
        85,
        "palms_soles",
        "HAM_0000001",
        "female",
    )
    assert (row.patient_id, row.licence, row.problem) == ("", "CC-BY-NC", None)


def test_isic_2019_row_in_one_table_alone_is_refused_naming_the_other(tmp_path):
    rows = write_2019(
        tmp_path,
        ["a,1,0,0,0,0,0,0,0,0", "b,1,0,0,0,0,0,0,0,0"],
        ["a,,,,", "c,,,,"],
    )

    assert [(row.image_id, row.line) for row in rows] == [("a", 2), ("b", 3), ("c", 3)]
    assert [row.problem and row.problem.text for row in rows] == [
        None,
        f"image must have a row in {METADATA}.",
        f"image must have a row in {TRUTH}.",
    ]


def test_isic_2019_metadata_that_contradict_each_other_are_refused(tmp_path):
    (row,) = write_2019(tmp_path, ["a,1,0,0,0,0,0,0,0,0"], ["a,40,,L1,male", "a,40,,L2,male"])

    assert (
        row.problem.text == f"image must have one undamaged row in {METADATA}. Got: lines [2, 3]."
    )


def test_isic_2019_row_with_two_classes_is_refused(tmp_path):
    (row,) = write_2019(tmp_path, ["a,1,1,0,0,0,0,0,0,0"], ["a,,,,"])

    assert (row.problem.kind, row.diagnosis, row.diagnosis_raw) == (
        "unknown diagnosis",
        "",
        "MEL+NV",
    )


def test_isic_2020_row_is_read(tmp_path):
    (row,) = write_2020(tmp_path, "ISIC_1,IP_1,IL_1,male,45.0,head/neck,lentigo NOS,benign,0")

    assert (row.image_id, row.patient_id, row.lesion_id) == ("ISIC_1", "IP_1", "IL_1")
    assert (row.diagnosis, row.diagnosis_raw) == ("BKL", "lentigo NOS")
    assert (row.age_years, row.site, row.licence) == (45, "head_neck", "CC-BY-NC")


def test_isic_2020_accepts_the_table_of_kaggle_without_lesions(tmp_path):
    header = HEADER_2020.replace("lesion_id,", "")
    write_csv(tmp_path / "train.csv", header, "ISIC_1,IP_1,male,45,torso,nevus,benign,0")

    (row,) = read_rows(tmp_path, "isic_2020")

    assert (row.lesion_id, row.patient_id, row.problem) == ("", "IP_1", None)


def test_isic_2020_prefers_the_table_that_knows_lesions(tmp_path):
    header = HEADER_2020.replace("lesion_id,", "")
    write_csv(tmp_path / "train.csv", header, "ISIC_1,IP_1,male,45,torso,nevus,benign,0")

    (row,) = write_2020(tmp_path, "ISIC_1,IP_1,IL_1,male,45,torso,nevus,benign,0")

    assert row.lesion_id == "IL_1"


def test_isic_2020_second_of_an_official_pair_is_refused(tmp_path):
    rows = write_2020(
        tmp_path,
        "a,P,L,male,45,torso,nevus,benign,0",
        "b,P,L,male,45,torso,nevus,benign,0",
        duplicates=["a,b"],
    )

    assert kinds(rows) == ["", "official duplicate"]
    assert rows[1].problem.text == "official duplicate of a."


def test_isic_2020_second_of_a_pair_stays_where_the_first_is_not_in_the_table(tmp_path):
    rows = write_2020(tmp_path, "b,P,L,male,45,torso,nevus,benign,0", duplicates=["a,b"])

    assert kinds(rows) == [""]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("a,P,L,male,45,torso,,benign,0", "unknown diagnosis"),
        ("a,P,L,male,45,torso,mole,benign,0", "unknown diagnosis"),
        ("a,P,L,male,45,torso,unknown,malignant,1", "unknown diagnosis"),
        ("a,P,L,male,145,torso,nevus,benign,0", "wrong age"),
        ("a,P,L,male,old,torso,nevus,benign,0", "wrong age"),
        (",P,L,male,45,torso,nevus,benign,0", "no image id"),
        ("a,P,L,male,45,torso,nevus,benign", "damaged row"),
    ],
)
def test_isic_2020_row_that_cannot_be_used_has_its_problem(tmp_path, row, kind):
    assert kinds(write_2020(tmp_path, row)) == [kind]


def test_isic_2020_folder_without_a_table_says_which_would_do(tmp_path):
    write_csv(tmp_path / "test.csv", "image_name")

    with pytest.raises(
        TableError,
        match=r"must hold one of \['ISIC_2020_.*'train\.csv'\]\. Got: \['test\.csv'\]\.$",
    ):
        read_rows(tmp_path, "isic_2020")


def test_isic_cli_reads_todays_hierarchy(tmp_path):
    (row,) = write_cli(
        tmp_path,
        "isic_id,copyright_license,age_approx,anatom_site_1,anatom_site_special,diagnosis_1,"
        "diagnosis_2,diagnosis_3,diagnosis_4,image_type,lesion_id,patient_id,sex",
        f'ISIC_1,CC-BY,55,Trunk,,{NEVUS},"Nevus, NOS, Dermal",dermoscopic,IL_1,IP_1,female',
    )

    assert (row.diagnosis, row.site, row.age_years, row.sex) == ("NV", "torso", 55, "female")
    assert row.diagnosis_raw.endswith(":Nevus:Nevus, NOS, Dermal")
    assert (row.lesion_id, row.patient_id, row.licence) == ("IL_1", "IP_1", "CC-BY")


def test_isic_cli_needs_no_more_than_an_image_and_a_diagnosis(tmp_path):
    """The columns of an export depend on the query."""
    (row,) = write_cli(tmp_path, "isic_id,diagnosis_1", "ISIC_1,Benign")

    assert (row.diagnosis, row.sex, row.site, row.licence, row.problem) == ("UNK", "", "", "", None)


@pytest.mark.parametrize("column", ["isic_id", "image_name"])
def test_isic_cli_reads_the_older_flat_export(tmp_path, column):
    header = f"{column},age_approx,sex,anatom_site_general,diagnosis,benign_malignant,image_type"
    (row,) = write_cli(tmp_path, header, "I,30,male,posterior torso,nevus,benign,dermoscopic")

    assert (row.image_id, row.diagnosis, row.site) == ("I", "NV", "torso")


def test_isic_cli_empty_flat_diagnosis_is_unk_unless_malignant(tmp_path):
    rows = write_cli(tmp_path, "isic_id,diagnosis,benign_malignant", "a,,benign", "b,,malignant")

    assert [(row.diagnosis, row.diagnosis_raw) for row in rows] == [("UNK", ""), ("", "")]
    assert kinds(rows) == ["", "unknown diagnosis"]


def test_isic_cli_image_that_is_not_dermoscopic_is_refused(tmp_path):
    rows = write_cli(
        tmp_path,
        "isic_id,diagnosis_1,image_type",
        "a,Benign,dermoscopic",
        "b,Benign,clinical: overview",
        "c,Benign,",
    )

    assert kinds(rows) == ["", "not dermoscopic", ""]
    assert rows[1].problem.text == "image_type must be 'dermoscopic'. Got: 'clinical: overview'."


@pytest.mark.parametrize(
    ("column", "word", "kind"),
    [
        ("tbp_tile_type", "3D: XP", "not dermoscopic"),
        ("rcm_case_id", "RCM_1", "not dermoscopic"),
        ("image_manipulation", "synthetic", "synthetic image"),
        ("image_manipulation", "instrument only", ""),
        ("dermoscopic_type", "contact polarized", ""),
    ],
)
def test_isic_cli_other_columns_tell_what_an_image_is(tmp_path, column, word, kind):
    """The column image_type is not in every export."""
    rows = write_cli(tmp_path, f"isic_id,diagnosis_1,{column}", f"a,Benign,{word}", "b,Benign,")

    assert kinds(rows) == [kind, ""]


@pytest.mark.parametrize(
    ("form", "name", "header", "message"),
    [
        (
            "isic_2019",
            TRUTH,
            "image,MEL",
            r"columns \['NV', .*must be there\. Got: \['image', 'MEL'",
        ),
        ("isic_2020", TABLE_2020, HEADER_2020.replace("patient_id,", ""), r"\['patient_id'\] must"),
        (
            "isic_cli",
            "metadata.csv",
            "name,diagnosis",
            r"one of the columns \['isic_id', 'image_na",
        ),
        ("isic_cli", "metadata.csv", "isic_id,dx", r"one of the columns \['diagnosis_1', 'diagnos"),
    ],
)
def test_missing_column_names_file_and_column(tmp_path, form, name, header, message):
    write_csv(tmp_path / name, header)

    with pytest.raises(TableError, match=rf"{name}: .*{message}"):
        read_rows(tmp_path, form)


@pytest.mark.parametrize("column", ["Sex", "AGE_APPROX", "anatom site-1"])
def test_column_that_may_be_absent_must_not_be_misspelt(tmp_path, column):
    """It would be passed over, and every case would have that unknown."""
    with pytest.raises(
        TableError, match=rf"metadata\.csv: columns must be written \['.*'\]\. Got: \['{column}'\]"
    ):
        write_cli(tmp_path, f"isic_id,diagnosis,{column}", "a,nevus,1")


@pytest.mark.parametrize(("form", "name"), [("isic_2019", TRUTH), ("isic_cli", "metadata.csv")])
def test_missing_table_is_named(tmp_path, form, name):
    with pytest.raises(TableError, match=rf"{name} must exist\.$"):
        read_rows(tmp_path, form)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(TableError, match=r"nowhere must be a folder with the images and tables of"):
        read_rows(tmp_path / "nowhere", "isic_2020")


def test_unknown_form_is_refused(tmp_path):
    with pytest.raises(
        TableError, match=r"^form must be one of \['class_folders', .*Got: 'ham'\.$"
    ):
        read_rows(tmp_path, "ham")


def test_later_row_of_an_image_is_refused_where_the_diagnoses_agree(tmp_path):
    rows = write_cli(
        tmp_path,
        "isic_id,diagnosis",
        "a,solar lentigo",
        "b,nevus",
        "a,lentigo NOS",
        "a,lentigo NOS",
    )

    assert kinds(rows) == ["", "", "repeated row", "repeated row"]
    assert rows[2].problem.text == "image must have one row. Got: also line 2."


def test_all_rows_of_an_image_are_refused_where_the_diagnoses_differ(tmp_path):
    rows = write_cli(tmp_path, "isic_id,diagnosis", "a,nevus", "a,nevus", "b,nevus", "a,melanoma")

    assert kinds(rows) == ["conflicting rows", "conflicting rows", "", "conflicting rows"]
    assert (
        rows[0].problem.text == "image must have one diagnosis. Got: lines [2, 3, 5] that differ."
    )


def test_row_that_disagrees_with_an_unknown_diagnosis_is_refused_too(tmp_path):
    rows = write_cli(tmp_path, "isic_id,diagnosis", "a,nevus", "a,mole")

    assert kinds(rows) == ["conflicting rows", "unknown diagnosis"]


def test_first_usable_row_of_an_image_stays(tmp_path):
    rows = write_cli(
        tmp_path, "isic_id,diagnosis,age_approx", "a,nevus,500", "a,nevus,50", "a,nevus,55"
    )

    assert kinds(rows) == ["wrong age", "", "repeated row"]
    assert rows[2].problem.text == "image must have one row. Got: also line 3."


def test_ids_that_differ_in_case_alone_are_refused(tmp_path):
    rows = write_cli(tmp_path, "isic_id,diagnosis", "ISIC_1,nevus", "b,nevus", "isic_1,nevus")

    assert kinds(rows) == ["ids alike", "", "ids alike"]
    assert rows[0].problem.text == (
        "image id must differ in more than upper and lower case. Got: lines [2, 4]."
    )


def test_table_of_a_header_alone_has_no_rows(tmp_path):
    assert write_cli(tmp_path, "isic_id,diagnosis") == []


@pytest.mark.parametrize(
    ("names", "form"),
    [
        ([TRUTH, METADATA], "isic_2019"),
        ([TABLE_2020], "isic_2020"),
        (["train.csv"], "isic_2020"),
        (["HAM10000_metadata"], "ham10000"),
        (["HAM10000_metadata.csv", TRUTH], "ham10000"),
        (["metadata.csv"], "isic_cli"),
        (["metadata.csv", "nevus/a.jpg"], "isic_cli"),  # a table tells more than folders
        (["train/nevus/a.jpg"], "class_folders"),
    ],
)
def test_form_is_recognised_by_what_a_folder_holds(tmp_path, names, form):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert recognise_form(tmp_path) == form


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"must have a known form \(isic_2019: ISIC_2019_Train.*class\)\. Got: \[\]\.$"),
        ([TRUTH], r"must have a known form .* Got: \['ISIC_2019_Training_GroundTruth\.csv'\]\.$"),
        (
            ["metadata.csv", "train.csv"],
            r"must have the table of one form\. Got: those of \['isic_2020', 'isic_cli'\]\.$",
        ),
    ],
)
def test_folder_of_no_form_or_of_several_is_refused(tmp_path, names, message):
    for name in names:
        (tmp_path / name).touch()

    with pytest.raises(TableError, match=message):
        recognise_form(tmp_path)


def test_form_of_a_folder_that_is_absent_is_not_guessed(tmp_path):
    with pytest.raises(TableError, match=r"absent must be a folder with images\.$"):
        recognise_form(tmp_path / "absent")


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
