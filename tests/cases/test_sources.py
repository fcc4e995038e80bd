"""Tests of `pipeline.cases.sources`."""

import pytest

from pipeline.cases.sources import read_rows, recognise_form
from pipeline.cases.tables import TableError
from tests.cases.archives import HEADER_2020, METADATA, TABLE_2020, TRUTH, kinds, write_cli
from tests.cases.tables import write_csv


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
