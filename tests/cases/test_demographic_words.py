"""Tests of `pipeline.cases.demographic_words`."""

import math

import pytest

from pipeline.cases.demographic_words import (
    NARROW_SITE_WORDS,
    SEX_WORDS,
    SITE_WORDS,
    age_of,
    sex_of,
    site_of,
)
from pipeline.demographics import SEXES, SITES


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("female", ("female", "")),
        ("Male", ("male", "")),
        ("", ("", "")),
        ("unknown", ("", "")),
        ("intersex", ("", "intersex")),  # not in the vocabulary: counted, not lost
    ],
)
def test_sex(word, expected):
    assert sex_of(word) == expected


@pytest.mark.parametrize(
    ("general", "narrower", "broad", "expected"),
    [
        ("anterior torso", (), "", ("torso", "")),
        ("lateral torso", (), "", ("torso", "")),
        ("torso", (), "", ("torso", "")),
        ("oral/genital", (), "", ("oral_genital", "")),
        ("", (), "", ("", "")),
        ("elsewhere", (), "", ("", "elsewhere")),
        ("", ("", ""), "Trunk", ("torso", "")),
        ("", ("", ""), "Anogenital region", ("oral_genital", "")),
        ("", ("acral palms or soles", ""), "Lower extremity", ("palms_soles", "")),
        ("", ("", "Sole of foot"), "Lower extremity", ("palms_soles", "")),
        ("", ("acral NOS", ""), "Lower extremity", ("lower_extremity", "")),
        ("palms/soles", ("acral NOS", ""), "", ("palms_soles", "")),  # the general word decides
        ("", ("nail NOS", ""), "", ("", "")),
        ("", ("", ""), "Tail", ("", "Tail")),
        ("scalp", (), "", ("head_neck", "")),
        ("acral", (), "", ("palms_soles", "")),
    ],
)
def test_site(general, narrower, broad, expected):
    assert site_of(general, narrower, broad) == expected


@pytest.mark.parametrize(
    ("word", "age"), [("0", 0), ("45", 45), ("45.0", 45), ("120", 120), ("85+", 85)]
)
def test_age_in_years(word, age):
    assert age_of(word) == age


@pytest.mark.parametrize("word", ["", "NA", "unknown", "NaN"])
def test_missing_age_stays_missing(word):
    assert math.isnan(age_of(word))


@pytest.mark.parametrize(
    "word", ["-1", "120.5", "1e9", "inf", "forty", "85++", "121+", "1_0", "4,5", "٤٥"]
)
def test_age_that_is_no_age_is_refused(word):
    with pytest.raises(ValueError, match=r"^age must be a number from 0 to 120\. Got: '"):
        age_of(word)


def test_every_word_leads_into_the_vocabulary_and_covers_it():
    assert set(SEX_WORDS.values()) == set(SEXES)
    assert {*SITE_WORDS.values(), *NARROW_SITE_WORDS.values()} == set(SITES)
