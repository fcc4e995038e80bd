"""Tests of `pipeline.scoring.probability_map`."""

import json

import numpy as np
import pytest

from pipeline.classes import CLASSES
from pipeline.scoring.ensemble import Combined, EnsembleError
from pipeline.scoring.probability_map import (
    DIRICHLET,
    RANK_LOGISTIC,
    TEMPERATURE,
    IsotonicMap,
    LinearMap,
    load_probability_map,
    rank_logits,
    softmax,
)
from pipeline.storage import write_json


def joined(count, seed=0):
    """Joined scores of cases that nothing says anything about."""
    rng = np.random.default_rng(seed)
    return Combined(rng.random((count, 9)), np.log(rng.dirichlet(np.full(9, 0.3), count) + 1e-7))


def of_ranks(ranks):
    return Combined(ranks, np.zeros_like(ranks))


def linear(method=RANK_LOGISTIC, seed=1, clip=0.01):
    rng = np.random.default_rng(seed)
    clip = clip if method == RANK_LOGISTIC else None
    return LinearMap(method, rng.normal(size=(9, 9)), rng.normal(size=9), clip)


def curves(seed=2):
    """Curves of one to nine knots."""
    rng = np.random.default_rng(seed)
    sizes = range(1, 10)
    return IsotonicMap(
        tuple(np.sort(rng.random(k)) for k in sizes),
        tuple(np.sort(rng.uniform(0.01, 1, k)) for k in sizes),
    )


MAPS = [linear(), linear(TEMPERATURE), linear(DIRICHLET), curves()]


def test_probabilities_are_the_softmax_of_linear_logits():
    """Worked by hand: logits of 0.5 are 0, of 0.8 log 4; class 0 doubles its logit, so 16 to 1."""
    coefficients = np.zeros((9, 9))
    coefficients[0, 0] = 2.0
    ranks = np.full((1, 9), 0.5)
    ranks[0, 0] = 0.8

    found = LinearMap(RANK_LOGISTIC, coefficients, np.zeros(9), clip=0.01).apply(of_ranks(ranks))

    np.testing.assert_allclose(found[0], [16 / 24] + [1 / 24] * 8, rtol=1e-12)


def test_a_temperature_divides_the_mean_logits():
    """Worked by hand: log 16 over a temperature of 2 is log 4; 4 to eight times 1."""
    logits = np.zeros((1, 9))
    logits[0, 3] = np.log(16)

    found = LinearMap(TEMPERATURE, np.eye(9) / 2, np.zeros(9), None).apply(
        Combined(np.full((1, 9), 0.5), logits)
    )

    np.testing.assert_allclose(found[0], [1 / 12] * 3 + [4 / 12] + [1 / 12] * 5, rtol=1e-12)


def test_coefficients_lead_from_column_to_row():
    coefficients = np.zeros((9, 9))
    coefficients[3, 0] = 1.0
    ranks = np.full((1, 9), 0.5)
    ranks[0, 0] = 0.9

    found = LinearMap(RANK_LOGISTIC, coefficients, np.zeros(9), clip=0.01).apply(of_ranks(ranks))

    assert found[0].argmax() == 3


def test_ranks_of_0_and_1_are_clipped_before_the_logit():
    found = rank_logits(np.array([[0.0, 1.0]]), clip=0.2)

    np.testing.assert_allclose(found, [[-np.log(4), np.log(4)]], rtol=1e-12)


def test_curves_are_straight_between_knots_and_level_outside():
    """Worked by hand on class 0, whose softmax is 0.1, 0.4 and 0.9; the others stand at 0.5."""
    scores = np.array([0.1, 0.4, 0.9])
    logits = np.log(np.column_stack([scores, *[(1 - scores) / 8] * 8]))
    knots = (np.array([0.2, 0.6]), *[np.array([0.5])] * 8)
    levels = (np.array([0.3, 0.5]), *[np.array([0.5])] * 8)

    found = IsotonicMap(knots, levels).apply(Combined(np.full((3, 9), 0.5), logits))

    heights = np.array([0.3, 0.4, 0.5])
    np.testing.assert_allclose(found[:, 0], heights / (heights + 4), rtol=1e-12)
    np.testing.assert_allclose(found[:, 1], 0.5 / (heights + 4), rtol=1e-12)


def test_curves_are_numpys_interpolation():
    fitted, cases = curves(), joined(300, seed=4)

    found = fitted.apply(cases)

    scores = softmax(cases.mean_logits)
    heights = np.stack(
        [np.interp(scores[:, k], fitted.knots[k], fitted.levels[k]) for k in range(9)], axis=1
    )
    np.testing.assert_allclose(found, heights / heights.sum(axis=1, keepdims=True), rtol=1e-12)


@pytest.mark.parametrize("fitted", MAPS)
def test_probabilities_of_a_case_sum_to_one_and_are_bit_identical_alone_and_in_a_batch(fitted):
    cases = joined(700, seed=5)
    batch = fitted.apply(cases)

    alone = np.concatenate([fitted.apply(cases.only(slice(i, i + 1))) for i in range(700)])
    in_sevens = np.concatenate(
        [fitted.apply(cases.only(slice(i, i + 7))) for i in range(0, 700, 7)]
    )

    np.testing.assert_array_equal(batch, alone)
    np.testing.assert_array_equal(batch, in_sevens)
    np.testing.assert_allclose(batch.sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("fitted", MAPS)
def test_a_map_comes_back_from_its_file_bit_for_bit(tmp_path, fitted):
    write_json(tmp_path / "map.json", fitted.to_json())

    found = load_probability_map(tmp_path / "map.json")

    assert found.to_json() == fitted.to_json()
    np.testing.assert_array_equal(found.apply(joined(50)), fitted.apply(joined(50)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "platt"}, r"method must be one of \['rank_logistic', .*Got: 'platt'\.$"),
        ({"classes": list(CLASSES[::-1])}, r"classes must be \['MEL', "),
        ({"clip": 0.0}, r"clip must be in \(0, 0\.5\]\. Got: 0\.0\.$"),
        ({"clip": None}, r"clip must be in \(0, 0\.5\]\. Got: None\.$"),
        ({"method": "dirichlet"}, r"clip must be null with dirichlet\. Got: 0\.01\.$"),
        ({"intercepts": [0.0] * 8}, r"coefficients must be \(9, 9\) and intercepts \(9,\)"),
        ({"intercepts": [float("inf")] * 9}, r"coefficients and intercepts must be finite\.$"),
        ({"intercepts": ["a"] * 9}, "could not convert"),
        ({"extra": 1}, r"probability map must have exactly the keys \['classes', "),
    ],
)
def test_a_broken_linear_map_is_refused_with_its_path(tmp_path, change, message):
    path = tmp_path / "map.json"
    path.write_text(json.dumps(linear().to_json() | change))

    with pytest.raises(EnsembleError, match=rf"^{path}: {message}"):
        load_probability_map(path)


@pytest.mark.parametrize(
    ("key", "row", "message"),
    [
        ("knots", [0.5, 0.5], r"NV: knots must rise, levels not fall"),
        ("knots", [0.5, 1.5], r"NV: knots must rise, levels not fall, both in \[0, 1\]"),
        ("levels", [0.5, 0.4], r"NV: knots must rise, levels not fall"),
        ("levels", [0.5], r"NV: knots and levels must be one or more and as many"),
        ("knots", [0.1, float("nan")], r"NV: knots must rise, levels not fall"),
    ],
)
def test_a_broken_curve_is_refused_with_its_class(tmp_path, key, row, message):
    whole = curves().to_json()
    whole[key][1] = row
    path = tmp_path / "map.json"
    path.write_text(json.dumps(whole))

    with pytest.raises(EnsembleError, match=rf"^{path}: {message}"):
        load_probability_map(path)


def test_curves_that_could_all_be_0_are_refused():
    """The sum of the heights divides."""
    zero = (np.array([0.5]),) * 9

    with pytest.raises(EnsembleError, match=r"^levels of a class at least must be above 0"):
        IsotonicMap(zero, (np.array([0.0]),) * 9)


def test_curves_of_another_number_of_classes_are_refused():
    whole = curves()

    with pytest.raises(EnsembleError, match=r"^knots and levels must be of 9 classes\. Got: 8"):
        IsotonicMap(whole.knots[:8], whole.levels)
