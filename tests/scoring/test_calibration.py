"""Tests of `pipeline.scoring.calibration`."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from pipeline.scoring import calibration
from pipeline.scoring.calibration import choose_method, compare_maps, fit_map, refuse_other_fit
from pipeline.scoring.ensemble import Combined, EnsembleError
from pipeline.scoring.ensemble_params import CalibrationParams
from pipeline.scoring.probability_map import METHODS, rank_logits, softmax

SETTINGS = CalibrationParams("best", 0.3, 5, 0)
SHARES = np.array([9, 31, 6, 3, 5, 1, 1, 2, 42]) / 100


def drawn_cases(count, seed, *, sharpness=1.0):
    """Cases of unequal classes whose labels are drawn from their own softmax, and labels.

    The mean logits are those of the truth times `sharpness`: a temperature of it calibrates them.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 9)) * 1.5 + np.log(SHARES)
    labels = np.array([rng.choice(9, p=row) for row in softmax(logits)])
    ranks = (rankdata(logits, axis=0) - 0.5) / count
    return Combined(ranks, logits * sharpness), labels


@pytest.mark.parametrize("method", ["rank_logistic", "dirichlet"])
def test_fitted_probabilities_have_the_shares_of_the_classes(method):
    """The intercepts are not penalised, so the mean probability is the share, exactly."""
    cases, labels = drawn_cases(2000, seed=6)

    found = fit_map(method, cases, labels, 1.0).apply(cases)

    np.testing.assert_allclose(found.mean(axis=0), np.bincount(labels) / 2000, atol=1e-5)


def test_the_multinomial_map_is_scikit_learns():
    cases, labels = drawn_cases(1000, seed=7)
    logits = rank_logits(cases.rank_average, 0.5 / 1000)

    found = fit_map("rank_logistic", cases, labels, 0.3).apply(cases)

    model = LogisticRegression(C=0.3, tol=1e-8, max_iter=5000).fit(logits, labels)
    np.testing.assert_allclose(found, model.predict_proba(logits), atol=1e-4)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_logits_that_are_too_sharp_or_too_flat(sharpness):
    cases, labels = drawn_cases(20_000, seed=8, sharpness=sharpness)

    fitted = fit_map("temperature", cases, labels, 1.0)

    assert 1 / fitted.coefficients[0, 0] == pytest.approx(sharpness, rel=0.03)


def test_the_temperature_is_that_of_the_classes_that_have_a_case():
    """A network gives a class that it never saw some score; it must not move the others."""
    rng = np.random.default_rng(8)
    logits = rng.normal(size=(20_000, 9)) * 1.5
    labels = np.array([rng.choice(8, p=row) for row in softmax(logits[:, :8])])

    fitted = fit_map("temperature", Combined(np.full((20_000, 9), 0.5), logits * 2), labels, 1.0)

    assert 1 / fitted.coefficients[0, 0] == pytest.approx(2, rel=0.03)


class Logits(LogisticRegression):
    """Hands its inputs on as decision values, so that scikit-learn calibrates the logits."""

    def decision_function(self, inputs):
        return inputs


def test_the_temperature_is_scikit_learns():
    cases, labels = drawn_cases(800, seed=9, sharpness=2.0)
    model = FrozenEstimator(Logits(max_iter=1000).fit(cases.mean_logits, labels))

    found = fit_map("temperature", cases, labels, 1.0).apply(cases)

    peer = CalibratedClassifierCV(model, method="temperature").fit(cases.mean_logits, labels)
    np.testing.assert_allclose(found, peer.predict_proba(cases.mean_logits), atol=1e-3)


def test_isotonic_levels_are_the_shares_of_what_cannot_be_told_apart():
    """Worked by hand: of four cases with score 0.8, three are MEL; of four with 0.1, none is."""
    scores = np.repeat([0.8, 0.1], 4)
    logits = np.log(np.column_stack([scores, 1 - scores - 0.07, *[np.full(8, 0.01)] * 7]))
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1])

    fitted = fit_map("isotonic", Combined(np.full((8, 9), 0.5), logits), labels, 1.0)

    np.testing.assert_allclose(fitted.levels[0], [0.5 / 8, 0.75])
    np.testing.assert_allclose(fitted.knots[0], [0.1, 0.8])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("present", [[4], [1, 8], [0, 1, 8]])
def test_a_class_without_a_case_gets_probability_0(method, present):
    cases, _ = drawn_cases(60, seed=9)
    labels = np.resize(present, 60)

    found = fit_map(method, cases, labels, 1.0).apply(cases)

    assert (found[:, np.setdiff1d(np.arange(9), present)] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
    assert (found[:, present] > 0).all()


def test_two_classes_are_told_apart_in_the_right_direction():
    """scikit-learn keeps one row of coefficients for two classes, not two."""
    cases, _ = drawn_cases(200, seed=10)
    labels = np.where(cases.rank_average[:, 2] > 0.5, 2, 6)

    found = fit_map("rank_logistic", cases, labels, 1.0).apply(cases)

    assert (found.argmax(axis=1) == labels).mean() > 0.95


def test_labels_come_from_probabilities_because_ranks_do_not_compare_across_classes():
    cases, labels = drawn_cases(3000, seed=11)
    fitted = fit_map("rank_logistic", cases.only(slice(2000)), labels[:2000], 1.0)
    others, truth = cases.only(slice(2000, None)), labels[2000:]

    by_rank = (others.rank_average.argmax(axis=1) == truth).mean()
    by_probability = (fitted.apply(others).argmax(axis=1) == truth).mean()

    assert by_probability > by_rank + 0.1


def test_a_map_of_no_case_is_refused():
    cases, _ = drawn_cases(1, seed=12)

    with pytest.raises(EnsembleError, match=r"^the probability map needs at least one"):
        fit_map("temperature", cases.only(slice(0)), np.empty(0, int), 1.0)


def noise(count, seed, images):
    """Cases whose scores say nothing; the images of a patient share scores and label."""
    rng = np.random.default_rng(seed)
    logits = np.repeat(rng.normal(size=(count, 9)), images, axis=0)
    labels = np.repeat(rng.integers(0, 9, count), images)
    ranks = (rankdata(logits, axis=0) - 0.5) / len(logits)
    return Combined(ranks, logits), labels, np.repeat(np.arange(count), images)


def test_compared_maps_do_not_profit_from_what_they_were_fitted_on():
    """Scores without a meaning: on its own cases a map looks better than chance, left out not."""
    cases, labels, units = noise(120, seed=1, images=2)
    compared = compare_maps(cases, labels, units, SETTINGS).set_index("method")

    for method in ("rank_logistic", "dirichlet", "isotonic"):
        own = fit_map(method, cases, labels, 0.3).apply(cases)
        own_loss = -np.log(own[np.arange(len(labels)), labels]).mean()
        assert own_loss < np.log(9) - 0.1
        assert compared.log_loss[method] > np.log(9)


def test_parts_split_by_image_instead_of_by_patient_are_caught():
    """Planted: with a patient's other image among those fitted on, noise looks like knowledge."""
    cases, labels, units = noise(120, seed=1, images=4)
    by_image = np.arange(len(labels))

    right = compare_maps(cases, labels, units, SETTINGS).set_index("method").log_loss
    wrong = compare_maps(cases, labels, by_image, SETTINGS).set_index("method").log_loss

    assert right["isotonic"] > np.log(9) > wrong["isotonic"]


def test_the_map_that_the_cases_were_drawn_by_wins():
    sharp, labels = drawn_cases(600, seed=13, sharpness=3.0)
    compared = compare_maps(sharp, labels, np.arange(600), SETTINGS)

    assert choose_method(compared, "best") == "temperature"
    assert (compared.n == 600).all()
    assert (compared.folds == 5).all()


def test_figures_of_left_out_cases_are_right(monkeypatch):
    """Worked by hand: 0.6 and 0.2 for the truth, of 0.6/0.4 and 0.8/0.2."""
    found = np.zeros((2, 9))
    found[0, :2], found[1, :2] = (0.6, 0.4), (0.8, 0.2)
    monkeypatch.setattr(calibration, "_cross_fit", lambda *_: found)
    cases, _ = drawn_cases(2, seed=0)

    row = compare_maps(cases, np.array([0, 1]), np.arange(2), SETTINGS).iloc[0]

    # 0.2 is below 0.5/n = 0.25, which counts in its place.
    assert row.log_loss == pytest.approx(-(np.log(0.6) + np.log(0.25)) / 2)
    assert row.brier_score == pytest.approx((2 * 0.16 + 2 * 0.64) / 2)
    assert row.accuracy == 0.5


def test_one_patient_alone_leaves_nothing_to_compare_and_the_recipe_stays():
    cases, labels = drawn_cases(30, seed=14)

    compared = compare_maps(cases, labels, np.zeros(30, int), SETTINGS)

    assert compared.log_loss.isna().all()
    assert list(compared.method) == list(METHODS)
    assert choose_method(compared, "best") == "rank_logistic"


def test_a_map_that_is_asked_for_is_taken_whatever_its_loss():
    compared = pd.DataFrame({"method": METHODS, "log_loss": [0.1, 0.2, 0.3, 0.4]})

    assert choose_method(compared, "isotonic") == "isotonic"
    assert choose_method(compared, "best") == "rank_logistic"


@pytest.mark.parametrize("method", METHODS)
def test_a_map_that_was_fitted_on_the_test_set_is_caught(method):
    cases, labels = drawn_cases(300, seed=15)
    own, test = slice(200), slice(200, None)
    right = fit_map(method, cases.only(own), labels[own], 0.3)
    everything = fit_map(method, cases, labels, 0.3)

    refuse_other_fit(right, cases.only(own), labels[own], 0.3)

    for wrong in (fit_map(method, cases.only(test), labels[test], 0.3), everything):
        with pytest.raises(EnsembleError, match=r"must be the one that is fitted on the 200 cases"):
            refuse_other_fit(wrong, cases.only(own), labels[own], 0.3)
