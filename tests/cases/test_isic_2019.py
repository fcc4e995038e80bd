"""Tests of `pipeline.cases.isic_2019`."""

from tests.cases.archives import METADATA, TRUTH, write_2019


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
