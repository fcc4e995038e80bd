"""Tests of `pipeline.cases.rows`."""

import math

import pytest

from pipeline.cases.diagnosis import UnknownDiagnosisError
from pipeline.cases.rows import Problem, Words, make_row
from pipeline.cases.tables import Record


def refuse():
    raise UnknownDiagnosisError("diagnosis must be known.")


def make(problem_of_record="", **changes):
    usual = {
        "image_id": "ISIC_1",
        "path": None,
        "patient_id": "IP_1",
        "lesion_id": "IL_1",
        "sex": "male",
        "age": "45",
        "site": ("torso", ""),
        "diagnosis_raw": "nevus",
        "classify": lambda: "NV",
        "licence": "CC-0",
        "problem": None,
    }
    return make_row(Record(7, {}, problem_of_record), Words(**usual | changes))


def test_usable_row_is_in_the_words_of_the_manifest():
    row = make()

    assert (row.line, row.sex, row.age_years, row.site, row.diagnosis) == (
        7,
        "male",
        45,
        "torso",
        "NV",
    )
    assert row.problem is None
    assert row.unknown_words == ()


@pytest.mark.parametrize("word", ["", "unknown", "NA", "None"])
def test_placeholder_for_a_patient_or_lesion_is_no_identifier(word):
    """Strangers who share the patient "unknown" must not become one patient."""
    row = make(patient_id=word, lesion_id=word)

    assert (row.patient_id, row.lesion_id) == ("", "")


def test_unknown_words_for_sex_site_and_skin_type_are_kept_for_counting():
    row = make(sex="x", site=("", "tail"), fitzpatrick_skin_type="VII")

    words = (("sex", "x"), ("site", "tail"), ("fitzpatrick_skin_type", "VII"))
    assert row.unknown_words == words
    assert row.fitzpatrick_skin_type == ""
    assert row.problem is None


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"problem_of_record": "too short"}, "damaged row", "too short"),
        ({"image_id": ""}, "no image id", "image id must not be empty."),
        *(
            (
                {"image_id": word},
                "wrong image id",
                "image id must be a file's name, without slashes and control characters. "
                f"Got: {word!r}.",
            )
            for word in ("../../etc/passwd", "a\\b", "a\0b", "a\nb")
        ),
        ({"problem": Problem("of form", "x")}, "of form", "x"),
        ({"classify": refuse}, "unknown diagnosis", "diagnosis must be known."),
        ({"age": "200"}, "wrong age", "age must be a number from 0 to 120. Got: '200'."),
    ],
)
def test_each_problem_is_named(changes, kind, text):
    row = make(**changes)

    assert row.problem == Problem(kind, text)


@pytest.mark.parametrize("image_id", ["naïve lesion 1", "ISIC_1_downsampled", "病变", "a" * 300])
def test_unusual_names_are_ids(image_id):
    assert make(image_id=image_id).problem is None


def test_letters_composed_in_two_ways_are_one_id():
    assert make(image_id="e\u0301").image_id == make(image_id="\u00e9").image_id == "\u00e9"


def test_first_problem_counts():
    row = make(classify=refuse, age="200")

    assert row.problem.kind == "unknown diagnosis"
    assert math.isnan(row.age_years)
