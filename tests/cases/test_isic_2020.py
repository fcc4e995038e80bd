"""Tests of `pipeline.cases.isic_2020`."""

import pytest

from pipeline.cases.sources import read_rows
from pipeline.cases.tables import TableError
from tests.cases.archives import HEADER_2020, kinds, write_2020
from tests.cases.tables import write_csv


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
