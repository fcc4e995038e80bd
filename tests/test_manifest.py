"""Tests of `pipeline.manifest`."""

import numpy as np
import pandas as pd
import pytest

from pipeline import manifest
from pipeline.manifest import COLUMNS, SPLIT_COLUMNS, ManifestError
from tests.cases.tables import make_manifest


@pytest.fixture
def frame():
    return make_manifest(
        {"sex": "female", "age_years": 42.5, "site": "torso", "patient_id": "IP_1"},
        {"diagnosis": "MEL", "diagnosis_raw": 'Malignant:"x", y', "lesion_id": "0012"},
    )


def test_what_is_written_is_read_back_equal(tmp_path, frame):
    manifest.write(frame, tmp_path / "manifest.csv")

    pd.testing.assert_frame_equal(manifest.read(tmp_path / "manifest.csv"), frame)


def test_unknown_is_empty_text_and_an_unknown_age_is_nan(tmp_path, frame):
    manifest.write(frame, tmp_path / "manifest.csv")

    row = manifest.read(tmp_path / "manifest.csv").iloc[1]

    assert (row.sex, row.site, row.patient_id) == ("", "", "")
    assert np.isnan(row.age_years)


def test_a_source_is_generated_where_all_its_originals_lie_in_the_samples_folder():
    drawn = {"source": "a", "path": "data/sample/a/images/1.jpg"}
    real = {"source": "b", "path": "../archive/sample/a/2.jpg"}
    mixed = [{"source": "c", "path": f"{folder}/c/3.jpg"} for folder in ("sample", "raw")]
    frame = make_manifest(drawn, real, *mixed)

    assert manifest.generated_sources(frame) == ["a"]


def test_a_skin_type_that_is_none_is_refused(tmp_path):
    frame = make_manifest({"fitzpatrick_skin_type": "VII"})

    with pytest.raises(
        ManifestError, match=r"row 2: fitzpatrick_skin_type must be one of \['', 'I"
    ):
        manifest.write(frame, tmp_path / "manifest.csv")


def test_identifiers_that_look_like_numbers_or_missing_values_stay_text(tmp_path):
    frame = make_manifest({"image_id": "007", "lesion_id": "1e3"}, {"image_id": "NA"})
    manifest.write(frame, tmp_path / "manifest.csv")

    read = manifest.read(tmp_path / "manifest.csv")

    assert read.image_id.tolist() == ["007", "NA"]
    assert read.lesion_id.tolist() == ["1e3", ""]


def test_columns_of_the_split_are_accepted(tmp_path, frame):
    parted = frame.assign(group_id=frame.image_id, fold=["test", "0"])
    manifest.write(parted, tmp_path / "manifest.csv")

    read = manifest.read(tmp_path / "manifest.csv")

    assert tuple(read.columns) == COLUMNS + SPLIT_COLUMNS
    assert read.fold.tolist() == ["test", "0"]


def test_bytes_are_the_same_on_every_run(tmp_path, frame):
    manifest.write(frame, tmp_path / "a.csv")
    manifest.write(frame, tmp_path / "b.csv")

    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert b"\r" not in (tmp_path / "a.csv").read_bytes()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("image_id", "", r"row 3: image_id must not be empty\. Got: \[''\] in 1 rows\.$"),
        ("image_id", "image_0000", r"row 3: image_id must be unique\. Got: \['image_0000'\]"),
        ("diagnosis", "nevus", r"row 3: diagnosis must be one of \['MEL', .*Got: \['nevus'\]"),
        ("diagnosis", "", r"row 3: diagnosis must be one of"),
        ("sex", "f", r"row 3: sex must be one of \['', 'female', 'male'\]\. Got: \['f'\]"),
        ("site", "leg", r"row 3: site must be one of .*Got: \['leg'\]"),
        ("age_years", 121.0, r"row 3: age_years must be from 0 to 120\. Got: \[121\.0\]"),
        ("width_px", 0, r"row 3: width_px must be at least 1\. Got: \[0\]"),
        ("height_px", np.nan, r"row 3: height_px must be a number\. Got: \[nan\] in 1 rows\.$"),
        ("sha256", "ab", r"row 3: sha256 must be 64 hex digits or empty\. Got: \['ab'\]"),
    ],
)
def test_a_wrong_value_is_refused_by_write_and_nothing_is_left(tmp_path, column, value, message):
    frame = make_manifest({}, {column: value})

    with pytest.raises(ManifestError, match=message):
        manifest.write(frame, tmp_path / "manifest.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_value_is_refused_by_read_with_file_and_row(tmp_path, frame):
    path = tmp_path / "manifest.csv"
    manifest.write(frame, path)
    path.write_text(path.read_text().replace("female", "woman"))

    with pytest.raises(ManifestError, match=r"manifest\.csv row 2: sex must be one of .*'woman'"):
        manifest.read(path)


def test_text_where_a_number_must_be_is_refused_with_its_row(tmp_path, frame):
    path = tmp_path / "manifest.csv"
    manifest.write(frame, path)
    path.write_text(path.read_text().replace("42.5", "forty"))

    with pytest.raises(
        ManifestError, match=r"row 2: age_years must be a number\. Got: \['forty'\] in"
    ):
        manifest.read(path)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            "fold",
            "train",
            r"row 2: fold must be test, calibration or a whole number\. Got: \['tra",
        ),
        ("group_id", "", r"row 2: group_id must not be empty"),
    ],
)
def test_a_wrong_value_of_the_split_is_refused(tmp_path, frame, column, value, message):
    parted = frame.assign(group_id=frame.image_id, fold="0").assign(**{column: value})

    with pytest.raises(ManifestError, match=message):
        manifest.write(parted, tmp_path / "manifest.csv")


def test_first_broken_rule_names_its_first_row_and_all_its_values(tmp_path):
    """Row numbers are those of the file, whatever index the frame has."""
    frame = make_manifest({}, {"site": "leg"}, {"sex": "f", "site": "arm"}).iloc[::-1]

    with pytest.raises(
        ManifestError, match=r"manifest\.csv row 2: sex must be one of .* Got: \['f'\] in 1 rows\.$"
    ):
        manifest.write(frame, tmp_path / "manifest.csv")
    with pytest.raises(
        ManifestError, match=r"row 2: site must be one of .* Got: \['arm', 'leg'\] in 2 rows\.$"
    ):
        manifest.write(frame.assign(sex=""), tmp_path / "manifest.csv")


def test_missing_column_is_refused_listing_what_is_there(tmp_path, frame):
    with pytest.raises(ManifestError, match=r"must have the columns \['image_id'.*Got: \['source'"):
        manifest.write(frame.drop(columns="image_id"), tmp_path / "manifest.csv")


def test_absent_file_is_one_clear_message(tmp_path):
    with pytest.raises(
        ManifestError, match=r"manifest\.csv must exist\. Run the stage that writes"
    ):
        manifest.read(tmp_path / "manifest.csv")


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2,3\n4\n1,2,3,4\n", b"\xff\xfe\x00"])
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    (tmp_path / "manifest.csv").write_bytes(content)

    with pytest.raises(ManifestError, match=r"manifest\.csv must "):
        manifest.read(tmp_path / "manifest.csv")
