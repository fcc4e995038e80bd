"""Tests of `pipeline.cases.ham10000`."""

from collections import Counter
from pathlib import Path

import pytest

from pipeline.cases.sources import read_rows
from pipeline.cases.tables import TableError
from tests.cases.tables import write_csv

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")

TRUTH = "ISIC_2019_Training_GroundTruth.csv"
TRUTH_HEADER = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization"


def read(folder, *rows, name="HAM10000_metadata"):
    write_csv(folder / name, HEADER, *rows)
    return read_rows(folder, "ham10000")


@pytest.mark.parametrize("name", ["HAM10000_metadata", "HAM10000_metadata.csv"])
def test_row_is_read(tmp_path, name):
    (row,) = read(tmp_path, "HAM_1,ISIC_1,bkl,histo,80.0,male,scalp", name=name)

    assert (row.image_id, row.lesion_id, row.patient_id) == ("ISIC_1", "HAM_1", "")
    assert (row.diagnosis, row.diagnosis_raw, row.licence) == ("BKL", "bkl", "CC-BY-NC")
    assert (row.age_years, row.sex, row.site) == (80, "male", "head_neck")
    assert (row.line, row.problem, row.unknown_words) == (2, None, ())


def test_table_with_tabs_of_the_dataverse_is_read(tmp_path):
    rows = [HEADER, "HAM_1,ISIC_1,nv,histo,80.0,male,back"]
    (tmp_path / "HAM10000_metadata.tab").write_text("\n".join(rows).replace(",", "\t"))

    (row,) = read_rows(tmp_path, "ham10000")

    assert (row.diagnosis, row.site) == ("NV", "torso")


def test_akiec_goes_to_quarantine_unless_isic_2019_tells_its_class(tmp_path):
    rows = [f"HAM_{n},ISIC_{n},akiec,histo,,unknown,unknown" for n in (1, 2, 3)]

    alone = read(tmp_path, *rows)
    write_csv(
        tmp_path / TRUTH, TRUTH_HEADER, "ISIC_1,0,0,0,1,0,0,0,0,0", "ISIC_2,0,0,0,0,0,0,0,1,0"
    )
    told = read_rows(tmp_path, "ham10000")

    assert [row.problem.kind for row in alone] == ["unknown diagnosis"] * 3
    assert [row.diagnosis for row in told] == ["AK", "SCC", ""]


def test_missing_table_or_column_is_named(tmp_path):
    with pytest.raises(TableError, match=r"must hold one of \['HAM10000_metadata', .*Got: \[\]\.$"):
        read_rows(tmp_path, "ham10000")
    write_csv(tmp_path / "HAM10000_metadata", "image_id,dx")
    with pytest.raises(
        TableError, match=r"columns \['lesion_id', 'age', 'sex', 'localization'\] mu"
    ):
        read_rows(tmp_path, "ham10000")


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "HAM10000_metadata.csv").symlink_to((DATA / "csv/HAM10000_metadata.csv").resolve())
    return tmp_path


@needs_data
@pytest.mark.data
@pytest.mark.slow
def test_real_table_agrees_with_isic_2019_image_by_image(archive):
    """Both name the same 10,015 images; akiec is 130 AK and 197 SCC there."""
    truth = (DATA / "csv" / TRUTH).resolve()

    alone = read_rows(archive, "ham10000")
    (archive / TRUTH).symlink_to(truth)
    told = read_rows(archive, "ham10000")

    assert Counter(row.problem and row.problem.kind for row in alone) == {
        None: 9688,
        "unknown diagnosis": 327,
    }
    assert Counter(row.diagnosis for row in told) == {
        "MEL": 1113,
        "NV": 6705,
        "BCC": 514,
        "AK": 130,
        "BKL": 1099,
        "DF": 115,
        "VASC": 142,
        "SCC": 197,
    }
    of_2019 = {row.image_id: row for row in read_rows(DATA / "csv", "isic_2019")}
    pairs = [(row, of_2019[row.image_id]) for row in told]
    assert len(pairs) == 10015
    for row, other in pairs:
        assert (row.diagnosis, row.lesion_id) == (other.diagnosis, other.lesion_id)
        assert other.site in ("", row.site)  # ISIC 2019 leaves out trunk and genital
        assert row.sex in ("", other.sex)  # and knows the sex of ten more
    assert not any(row.unknown_words for row in told)
