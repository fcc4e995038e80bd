"""Tests of `pipeline.scoring.reliability`."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from pipeline.classes import CLASSES
from pipeline.scoring.bootstrap import draw_counts
from pipeline.scoring.decisions import Resamples
from pipeline.scoring.metrics import every_case_once
from pipeline.scoring.operating_point import BinaryCases
from pipeline.scoring.reliability import (
    brier_score,
    chance_error,
    equal_count_bins,
    expected_calibration_error,
    measure_binary,
    measure_reliability,
    observed_expected,
    recalibration,
    reliability_rows,
)

CASES = BinaryCases(np.array([False, True, True, False]), np.array([0.1, 0.3, 0.6, 0.8]))


def resampled(units, repeats=200):
    units = np.asarray(units)
    return Resamples(units, draw_counts(units, repeats=repeats, seed=0), 0.95)


def calibrated(count, seed=0):
    """Cases whose probabilities are right."""
    rng = np.random.default_rng(seed)
    scores = expit(rng.normal(-1.5, 1.3, count))
    return BinaryCases(rng.random(count) < scores, scores)


def nine_classes(count, seed=0):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(9, 0.5), count)
    labels = (rng.random((count, 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return labels, probabilities


def once(metric, cases, *settings):
    (value,) = metric(cases, *settings, every_case_once(len(cases)))
    return value


def values(found):
    return {name: estimate.value for name, estimate in found.items()}


def test_calibration_error_of_two_bins_worked_out_by_hand():
    """Below: 0.2 expected, half observed; above: 0.7 expected, half observed."""
    assert once(expected_calibration_error, CASES, 2) == pytest.approx((0.3 + 0.2) / 2)
    assert once(expected_calibration_error, CASES, 1) == pytest.approx(0.05)


def test_brier_score_and_ratio_worked_out_by_hand():
    assert once(brier_score, CASES) == pytest.approx((0.01 + 0.49 + 0.16 + 0.64) / 4)
    assert once(observed_expected, CASES) == pytest.approx(2 / 1.8)


def test_brier_scores_agree_with_scikit_learn():
    labels, probabilities = nine_classes(200)

    found = values(measure_reliability(labels, probabilities, 10, resampled(np.arange(200), 5)))

    assert found["brier_score"] == pytest.approx(
        brier_score_loss(labels, probabilities, labels=range(9), scale_by_half=False)
    )
    assert found["log_loss"] == pytest.approx(
        sklearn_log_loss(labels, probabilities, labels=range(9))
    )
    for k, name in enumerate(CLASSES):
        alone = brier_score_loss(labels == k, probabilities[:, k])
        assert found[f"brier_score_{name}"] == pytest.approx(alone)


def test_curve_agrees_with_scikit_learn():
    cases = calibrated(400)

    rows = reliability_rows(cases, 8, resampled(np.arange(400), 5))

    observed, predicted = calibration_curve(
        cases.positive, cases.scores, n_bins=8, strategy="quantile"
    )
    np.testing.assert_allclose([row["observed"] for row in rows], observed)
    np.testing.assert_allclose([row["predicted"] for row in rows], predicted)
    assert [row["n"] for row in rows] == [50] * 8
    weighed = np.abs(observed - predicted).mean()
    assert once(expected_calibration_error, cases, 8) == pytest.approx(weighed)


def test_a_resample_weighs_cases_as_if_they_stood_there_again():
    cases, rng = calibrated(60), np.random.default_rng(1)
    counts = rng.multinomial(60, np.full(60, 1 / 60), size=3)
    measured = recalibration(cases, counts)

    for number, row in enumerate(counts):
        again = cases.only(np.repeat(np.arange(60), row))
        assert brier_score(cases, counts)[number] == pytest.approx(once(brier_score, again))
        alone = recalibration(again, every_case_once(60))
        for name, found in measured.items():
            assert found[number] == pytest.approx(alone[name][0], rel=1e-6), name


def test_order_of_cases_changes_nothing_where_scores_are_equal():
    rng = np.random.default_rng(0)
    cases = BinaryCases(rng.random(100) < 0.4, rng.integers(1, 5, 100) / 5)
    rows = rng.permutation(100)

    for bins in (2, 3, 10):
        first, second = (
            once(expected_calibration_error, c, bins) for c in (cases, cases.only(rows))
        )
        assert first == pytest.approx(second)


def test_equal_scores_share_a_bin():
    scores = np.array([0.1, 0.2, 0.2, 0.2, 0.2, 0.9])

    assert equal_count_bins(scores, 3).tolist() == [0, 0, 0, 0, 0, 2]
    assert equal_count_bins(np.full(5, 0.3), 4).tolist() == [0] * 5


def test_a_constant_predictor_has_one_bin_and_the_distance_to_the_prevalence():
    cases = BinaryCases(np.arange(100) < 15, np.full(100, 0.2))

    (row,) = reliability_rows(cases, 10, resampled(np.arange(100)))
    found = values(measure_binary(cases, 10, resampled(np.arange(100))))

    assert (row["n"], row["positives"], row["observed"]) == (100, 15, 0.15)
    assert row["predicted_least"] == row["predicted_most"] == 0.2
    assert found["expected_calibration_error"] == pytest.approx(0.05)
    assert found["calibration_slope"] is None
    assert found["calibration_intercept"] == pytest.approx(logit(0.15) - logit(0.2))
    assert found["observed_expected"] == pytest.approx(0.75)


def test_perfect_probabilities_have_no_error_and_no_slope():
    cases = BinaryCases(CASES.positive, CASES.positive.astype(float))

    found = values(measure_binary(cases, 2, resampled(np.arange(4))))

    assert found == {
        "brier_score": 0.0,
        "expected_calibration_error": 0.0,
        "observed_expected": 1.0,
        "calibration_slope": None,
        "calibration_intercept": None,
    }


def test_an_inverted_model_has_a_slope_below_zero():
    cases = calibrated(400)

    found = values(
        measure_binary(BinaryCases(~cases.positive, cases.scores), 5, resampled(range(400), 3))
    )

    assert found["calibration_slope"] == pytest.approx(
        -once(lambda c, counts: recalibration(c, counts)["calibration_slope"], cases)
    )
    assert found["calibration_slope"] < -0.5


@pytest.mark.parametrize("is_positive", [False, True])
def test_one_class_alone_has_no_recalibration(is_positive):
    cases = BinaryCases(np.full(4, is_positive), CASES.scores)

    found = values(measure_binary(cases, 2, resampled(np.arange(4))))

    assert (found["calibration_slope"], found["calibration_intercept"]) == (None, None)
    assert (found["observed_expected"] is None) is not is_positive
    assert found["brier_score"] is not None


@pytest.mark.parametrize(
    "scores",
    [
        [0.1, 0.2, 0.3, 0.4],  # all positives above all negatives
        [0.4, 0.3, 0.2, 0.1],  # below
        [0.1, 0.2, 0.2, 0.4],  # they touch
    ],
)
def test_separated_classes_have_an_intercept_but_no_slope(scores):
    cases = BinaryCases(np.array([False, False, True, True]), np.array(scores))

    found = recalibration(cases, every_case_once(4))

    assert np.isnan(found["calibration_slope"]).all()
    assert np.isfinite(found["calibration_intercept"]).all()


def test_recalibration_agrees_with_scikit_learn():
    cases = calibrated(300, seed=3)
    stretched = BinaryCases(cases.positive, expit(2 * logit(cases.scores) + 1))

    slope = once(lambda c, counts: recalibration(c, counts)["calibration_slope"], stretched)

    fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(
        logit(stretched.scores)[:, None], cases.positive
    )
    assert slope == pytest.approx(fitted.coef_[0, 0], rel=1e-5)


def test_recalibration_finds_how_probabilities_were_bent():
    """Logits stretched by two and lifted by one: a slope of a half, an intercept below zero."""
    cases = calibrated(10000)
    bent = [expit(2 * logit(cases.scores)), expit(logit(cases.scores) + 1)]

    straight, stretched, lifted = (
        recalibration(BinaryCases(cases.positive, scores), every_case_once(10000))
        for scores in (cases.scores, *bent)
    )

    assert straight["calibration_slope"] == pytest.approx(1, abs=0.1)
    assert straight["calibration_intercept"] == pytest.approx(0, abs=0.1)
    assert stretched["calibration_slope"] == pytest.approx(straight["calibration_slope"] / 2)
    shifted = straight["calibration_intercept"] - 1
    assert lifted["calibration_intercept"] == pytest.approx(shifted, abs=1e-6)


@pytest.mark.parametrize("scores", [[1e-12, 2e-12, 1e-9, 3e-12], [0.5, 1 - 1e-12, 1e-12, 0.5]])
def test_extreme_probabilities_do_not_break_the_fit(scores):
    cases = BinaryCases(CASES.positive, np.array(scores))

    found = recalibration(cases, every_case_once(4))

    assert np.isfinite(found["calibration_intercept"]).all()


def test_top_label_and_class_wise_errors_worked_out_by_hand():
    """Two cases say MEL at 0.8, one is; NV gets the rest."""
    probabilities = np.zeros((2, 9))
    probabilities[:, :2] = [0.8, 0.2]

    found = values(measure_reliability(np.array([0, 1]), probabilities, 1, resampled(np.arange(2))))

    assert found["expected_calibration_error_top_label"] == pytest.approx(0.3)
    assert found["expected_calibration_error_MEL"] == pytest.approx(0.3)
    assert found["expected_calibration_error_BCC"] == 0.0
    assert found["expected_calibration_error_class_wise"] == pytest.approx(0.6 / 9)
    assert found["brier_score"] == pytest.approx((2 * 0.04 + 2 * 0.64) / 2)


def test_chance_error_of_one_bin_is_the_binomials():
    """The share of 1,000 coin tosses is off by sqrt(2/pi) standard errors on average."""
    probabilities = np.zeros((1000, 9))
    probabilities[:, :2] = 0.5

    found = chance_error(probabilities, 10, repeats=300, seed=0, interval=0.95)

    mean = np.sqrt(2 / np.pi) * 0.5 / np.sqrt(1000)
    assert found["expected_calibration_error_MEL"].value == pytest.approx(mean, rel=0.12)
    high = 1.96 * 2.24 / 1.96 * 0.5 / np.sqrt(1000)  # the 97.5 % point of half a normal
    assert found["expected_calibration_error_MEL"].high == pytest.approx(high, rel=0.12)
    assert found["expected_calibration_error_BCC"].high == 0.0


def test_error_of_right_probabilities_is_within_chance_and_of_wrong_ones_beyond():
    labels, probabilities = nine_classes(500, seed=1)
    sharper = probabilities**2 / (probabilities**2).sum(axis=1, keepdims=True)

    for given, is_right in ((probabilities, True), (sharper, False)):
        found = measure_reliability(labels, given, 10, resampled(np.arange(500)))
        chance = chance_error(given, 10, repeats=60, seed=0, interval=0.95)
        for name in ("top_label", "class_wise"):
            key = f"expected_calibration_error_{name}"
            assert (found[key].value < chance[key].high) is is_right, name


def test_interval_of_a_calibration_error_reaches_down_to_none():
    """Percentiles of resamples would say that right probabilities are surely wrong."""
    labels, probabilities = nine_classes(300)
    resamples = resampled(np.arange(300), 400)
    top = BinaryCases(probabilities.argmax(axis=1) == labels, probabilities.max(axis=1))

    found = measure_reliability(labels, probabilities, 15, resamples)
    plain = np.quantile(expected_calibration_error(top, 15, resamples.counts), [0.025, 0.975])

    interval = found["expected_calibration_error_top_label"]
    assert interval.low < 0.01 < plain[0]
    assert interval.high == pytest.approx(2 * interval.value - plain[0])


def test_ends_of_an_empty_bins_share_are_not_zero():
    cases = BinaryCases(np.repeat([False, True], 50), np.repeat([0.1, 0.9], 50))

    low, high = reliability_rows(cases, 2, resampled(np.arange(100) // 5))

    assert (low["observed"], low["observed_low"]) == (0.0, 0.0)
    assert low["observed_high"] == pytest.approx(1 - 0.025 ** (1 / 10))
    assert (high["observed"], high["observed_high"]) == (1.0, 1.0)
