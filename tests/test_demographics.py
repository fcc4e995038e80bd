"""Tests of `pipeline.demographics`."""

import math

import numpy as np
import pytest

from pipeline.demographics import (
    DEMOGRAPHICS_LAYOUT,
    DEMOGRAPHICS_WIDTH,
    SEXES,
    SITES,
    encode_demographics,
)


def at(vector, name):
    return vector[DEMOGRAPHICS_LAYOUT.index(name)]


def test_known_values_stand_where_the_layout_says():
    vector = encode_demographics(45, "male", "palms_soles")

    known = {"age_years/90": 0.5, "age_known": 1, "sex=male": 1, "site=palms_soles": 1}
    assert vector.tolist() == [known.get(name, 0) for name in DEMOGRAPHICS_LAYOUT]


def test_vector_is_float32_of_the_documented_width():
    vector = encode_demographics(45, "male", "torso")

    assert (vector.dtype, vector.shape) == (np.float32, (DEMOGRAPHICS_WIDTH,))
    assert DEMOGRAPHICS_WIDTH == 2 + len(SEXES) + len(SITES) == 10


@pytest.mark.parametrize("age", [None, math.nan])
@pytest.mark.parametrize("word", [None, ""])
def test_nothing_known_is_all_zeros(age, word):
    assert not encode_demographics(age, word, word).any()


def test_age_zero_differs_from_an_unknown_age():
    assert at(encode_demographics(0, None, None), "age_known") == 1


@pytest.mark.parametrize("sex", SEXES)
def test_each_sex_has_a_place_of_its_own(sex):
    vector = encode_demographics(None, sex, None)

    assert at(vector, f"sex={sex}") == 1
    assert vector.sum() == 1


@pytest.mark.parametrize("site", SITES)
def test_each_site_has_a_place_of_its_own(site):
    vector = encode_demographics(None, None, site)

    assert at(vector, f"site={site}") == 1
    assert vector.sum() == 1


@pytest.mark.parametrize("age", [-1, 120.5, math.inf, -math.inf])
def test_age_out_of_range_is_refused(age):
    with pytest.raises(ValueError, match=r"^age must be from 0 to 120 years\. Got: "):
        encode_demographics(age, None, None)


def test_unknown_sex_is_refused_with_the_words_that_are_taken():
    with pytest.raises(ValueError, match=r"^sex must be one of \['female', 'male'\]\. Got: 'F'\.$"):
        encode_demographics(None, "F", None)


def test_unknown_site_is_refused():
    with pytest.raises(ValueError, match=r"^site must be one of .* Got: 'anterior torso'\.$"):
        encode_demographics(None, None, "anterior torso")
