"""Tests of `pipeline.cases.class_folders`."""

from pathlib import Path

from pipeline.cases.files import find_images
from pipeline.cases.ingest import match
from pipeline.cases.sources import read_rows


def read(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return read_rows(folder, "class_folders")


def kinds(rows):
    return [row.problem.kind if row.problem else "" for row in rows]


def test_image_has_the_class_of_its_folder_and_nothing_more_is_known(tmp_path):
    (row,) = read(tmp_path, "train/Basal cell carcinoma/ISIC_0000001.jpg")

    assert (row.image_id, row.path) == (
        "ISIC_0000001",
        Path("train/Basal cell carcinoma/ISIC_0000001.jpg"),
    )
    assert (row.diagnosis, row.diagnosis_raw) == ("BCC", "Basal cell carcinoma")
    assert (row.patient_id, row.lesion_id, row.sex, row.site, row.licence) == ("",) * 5
    assert row.age_years != row.age_years
    assert row.problem is None


def test_names_of_ones_own_need_not_differ_between_folders(tmp_path):
    rows = read(tmp_path, "nevus/1.jpg", "melanoma/1.jpg", "melanoma/2.png")

    assert [(row.line, row.image_id, row.diagnosis) for row in rows] == [
        (1, "melanoma-1", "MEL"),
        (2, "melanoma-2", "MEL"),
        (3, "nevus-1", "NV"),
    ]


def test_archives_image_in_two_classes_is_refused_in_both(tmp_path):
    rows = read(tmp_path, "nevus/ISIC_0000001.jpg", "melanoma/ISIC_0000001.jpg")

    assert kinds(rows) == ["conflicting rows"] * 2


def test_image_below_no_class_is_a_row_with_its_problem(tmp_path):
    rows = read(tmp_path, "nevus/a.jpg", "others/b.jpg", "c.jpg")

    assert dict(zip([row.image_id for row in rows], kinds(rows), strict=True)) == {
        "c": "unknown diagnosis",
        "nevus-a": "",
        "others-b": "unknown diagnosis",
    }


def test_every_file_is_matched_to_its_own_row(tmp_path):
    """The planted trap: file names repeat, and no image id is a file's name."""
    rows = read(tmp_path, "nevus/1.jpg", "melanoma/1.jpg", "train/SCC/1.png", "x/1.jpg")

    matched = match(rows, find_images(tmp_path), tmp_path)

    assert {row.diagnosis: path.relative_to(tmp_path) for row, path in matched.cases} == {
        "MEL": Path("melanoma/1.jpg"),
        "NV": Path("nevus/1.jpg"),
        "SCC": Path("train/SCC/1.png"),
    }
    assert [(refused.image_id, refused.line) for refused in matched.refused] == [("x-1", 4)]
