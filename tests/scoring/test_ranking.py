"""Tests of `pipeline.scoring.ranking`.

AUROC and average precision are tested with `pipeline.scoring.metrics`. The ISIC scorer's test of
the area above a sensitivity looked at 0 and 1 only, and let a wrong formula through: here every
value is inside the range.
"""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from pipeline.scoring.metrics import every_case_once
from pipeline.scoring.ranking import (
    RANKED,
    auroc_above_sensitivity,
    by_threshold,
    isic_2024_pauc,
    precision_recall_curve,
    standardised_partial_auroc,
)

# Falling: + - + + - + - + -, no ties; the curve has its corners at fourths and fifths.
STEPS = np.array([1, 0, 1, 1, 0, 1, 0, 1, 0], bool)
FALLING = np.arange(9, 0, -1) / 10

# Falling: +, then a positive level with a negative, then -.
TIED = np.array([True, True, False, False])
TIED_SCORES = np.array([0.9, 0.5, 0.5, 0.1])

PARTS = (
    (auroc_above_sensitivity, {"sensitivity": 0.8}),
    (isic_2024_pauc, {"sensitivity": 0.8}),
    (standardised_partial_auroc, {"specificity": 0.8}),
)


def counted(positives, scores):
    return by_threshold(positives, scores, every_case_once(len(scores)))


def drawn(seed, count=300):
    """A score that tells some, with ties."""
    rng = np.random.default_rng(seed)
    positives = rng.random(count) < 0.3
    return positives, (rng.normal(size=count) + positives).round(1)


def area_above(positives, scores, sensitivity):
    """The corners from where scikit-learn's curve first reaches the sensitivity."""
    alarms, found, _ = roc_curve(positives, scores, drop_intermediate=False)
    start = int(np.argmax(found >= sensitivity))
    part = (sensitivity - found[start - 1]) / (found[start] - found[start - 1])
    entry = alarms[start - 1] + part * (alarms[start] - alarms[start - 1])
    return np.concatenate([[entry], alarms[start:]]), np.concatenate([[sensitivity], found[start:]])


def wrong_at_first(positives, scores, sensitivity):
    """The ISIC scorer's before its pull request 68: a rescaled area taken from a plain one."""
    alarms, found, _ = roc_curve(positives, scores)
    limit = alarms[np.argmax(found >= sensitivity)]
    before = roc_auc_score(positives, scores, max_fpr=limit) if limit else 0.0
    return roc_auc_score(positives, scores) - before


def test_counts_at_each_distinct_score():
    hits, others = by_threshold(TIED, TIED_SCORES, np.array([[1, 1, 1, 1], [0, 2, 3, 1]]))

    np.testing.assert_array_equal(hits, [[0, 1, 1], [0, 2, 0]])
    np.testing.assert_array_equal(others, [[1, 1, 0], [1, 3, 0]])


def test_area_above_a_sensitivity_is_worked_by_hand():
    """Four of five are found at half the alarms; from there a fourth at 0.8, a fourth at 1."""
    found = auroc_above_sensitivity(*counted(STEPS, FALLING), sensitivity=0.8)

    assert found == pytest.approx([0.25 * 0.8 + 0.25 * 1])


def test_area_above_a_sensitivity_inside_a_tie_is_worked_by_hand():
    """From (0, 1/2) to (1/2, 1) the curve is straight: it is at 0.8 where alarms are 0.3."""
    found = auroc_above_sensitivity(*counted(TIED, TIED_SCORES), sensitivity=0.8)

    assert found == pytest.approx([0.2 * (0.8 + 1) / 2 + 0.5])


def test_pauc_of_isic_2024_is_worked_by_hand():
    """Only the last fourth of the alarms is above 0.8, by 0.2; with the tie, a triangle before."""
    steps = isic_2024_pauc(*counted(STEPS, FALLING), sensitivity=0.8)
    tied = isic_2024_pauc(*counted(TIED, TIED_SCORES), sensitivity=0.8)

    assert steps == pytest.approx([0.25 * 0.2])
    assert tied == pytest.approx([0.2 * 0.2 / 2 + 0.5 * 0.2])


def test_standardised_partial_auroc_is_worked_by_hand():
    """Up to 0.2 alarms one of five is found: 0.04, where chance has 0.02 and the best 0.2."""
    found = standardised_partial_auroc(*counted(STEPS, FALLING), specificity=0.8)

    assert found == pytest.approx([(1 + (0.04 - 0.02) / (0.2 - 0.02)) / 2])


@pytest.mark.parametrize(
    ("scores", "values"),
    [
        ([0.1, 0.2, 0.8, 0.9], (1, 0.2, 1)),
        ([0.5, 0.5, 0.5, 0.5], (0.18, 0.02, 0.5)),
        ([0.9, 0.8, 0.2, 0.1], (0, 0, 4 / 9)),
    ],
    ids=["perfect", "constant", "inverted"],
)
def test_three_scores_that_every_reader_knows(scores, values):
    both = counted(np.array([False, False, True, True]), np.array(scores))

    for (metric, level), value in zip(PARTS, values, strict=True):
        assert metric(*both, **level) == pytest.approx([value])


def test_area_of_random_scores_is_not_what_the_isic_scorer_first_said():
    """Right is the area below the diagonal from 0.8 on, 0.18; the wrong formula is near 0."""
    rng = np.random.default_rng(0)
    positives, scores = rng.random(20_000) < 0.5, rng.random(20_000)

    found = auroc_above_sensitivity(*counted(positives, scores), sensitivity=0.8)[0]

    assert found == pytest.approx(0.18, abs=0.01)
    assert wrong_at_first(positives, scores, 0.8) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sensitivity", [0.1, 0.5, 0.8, 0.95])
def test_areas_above_a_sensitivity_are_those_of_scikit_learns_curve(seed, sensitivity):
    positives, scores = drawn(seed)
    alarms, found = area_above(positives, scores, sensitivity)
    both = counted(positives, scores)

    below = auroc_above_sensitivity(*both, sensitivity=sensitivity)
    above = isic_2024_pauc(*both, sensitivity=sensitivity)

    assert below == pytest.approx([np.trapezoid(found, alarms)])
    assert above == pytest.approx([np.trapezoid(found - sensitivity, alarms)])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("specificity", [0, 0.3, 0.8, 0.99])
def test_partial_auroc_is_scikit_learns(seed, specificity):
    positives, scores = drawn(seed)

    found = standardised_partial_auroc(*counted(positives, scores), specificity=specificity)

    assert found == pytest.approx([roc_auc_score(positives, scores, max_fpr=1 - specificity)])


def test_a_sensitivity_that_is_reached_exactly_counts_from_its_first_point():
    """Seven of a hundred are 0.07 as a division; 0.07 * 100 is more than 7 in floats."""
    positives = np.array([True] * 7 + [False] + [True] * 93)
    falling = np.arange(101, 0, -1.0)

    found = auroc_above_sensitivity(*counted(positives, falling), sensitivity=0.07)

    assert found == pytest.approx([0.07])


@pytest.mark.parametrize(("metric", "level"), PARTS)
def test_order_of_cases_changes_nothing(metric, level):
    positives, scores = drawn(9)
    rows = np.random.default_rng(1).permutation(len(scores))

    expected = metric(*counted(positives, scores), **level)

    np.testing.assert_array_equal(
        metric(*counted(positives[rows], scores[rows]), **level), expected
    )


@pytest.mark.parametrize("name", RANKED)
def test_counting_a_case_twice_is_having_it_twice(name):
    positives, scores = drawn(3, count=60)
    counts = np.random.default_rng(4).integers(0, 4, size=(6, 60))

    found = RANKED[name](*by_threshold(positives, scores, counts))

    for value, row in zip(found, counts, strict=True):
        assert value == pytest.approx(
            RANKED[name](*counted(np.repeat(positives, row), np.repeat(scores, row)))[0]
        )


@pytest.mark.parametrize("positives", [np.zeros(4, bool), np.ones(4, bool)])
@pytest.mark.parametrize(("metric", "level"), PARTS)
def test_one_kind_of_case_has_no_area(metric, level, positives):
    assert np.isnan(metric(*counted(positives, TIED_SCORES), **level))


@pytest.mark.parametrize("metric", [auroc_above_sensitivity, isic_2024_pauc])
@pytest.mark.parametrize("sensitivity", [0, -0.2, 1.1, 80])
def test_a_sensitivity_is_a_share(metric, sensitivity):
    with pytest.raises(ValueError, match=rf"^sensitivity must be in \(0, 1\]\. Got: {sensitivity}"):
        metric(*counted(STEPS, FALLING), sensitivity=sensitivity)


def test_a_specificity_is_a_share_below_1():
    with pytest.raises(ValueError, match=r"^specificity must be in \[0, 1\)\. Got: 1\."):
        standardised_partial_auroc(*counted(STEPS, FALLING), specificity=1)


def test_precision_recall_curve_is_worked_by_hand():
    """Falling: +, then a positive level with a negative, then -, which finds nothing more."""
    curve = precision_recall_curve(TIED, TIED_SCORES)

    np.testing.assert_allclose(curve, [[0.5, 1.0], [1.0, 2 / 3]])


def test_the_area_below_the_steps_is_the_average_precision():
    positives, scores = drawn(5)

    found = precision_recall_curve(positives, scores)

    area = (np.diff(found[:, 0], prepend=0) * found[:, 1]).sum()
    assert area == pytest.approx(average_precision_score(positives, scores))


@pytest.mark.parametrize("positive", [True, False])
def test_a_single_class_has_no_precision_recall_curve(positive):
    assert precision_recall_curve(np.full(4, positive), TIED_SCORES).shape == (0, 2)
