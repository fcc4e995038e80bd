"""Tests of `pipeline.scoring.metrics`.

Each metric: a value worked by hand inside its range, identity, permutation of cases, agreement with
scikit-learn, counts that equal repeated cases, and the undefined case.
"""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from pipeline.scoring import metrics
from pipeline.scoring.metrics import ScoredCases, every_case_once, measure
from pipeline.scoring.ranking import RANKED

HITS = np.array([False, True, False, True, True])
SCORES = np.array([0.1, 0.3, 0.3, 0.6, 0.2])


def drawn_cases(count, seed, classes=9):
    """Cases whose true class tends to score higher, with tied scores."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, size=count)
    raw = rng.random((count, 9)).round(1) + 0.05
    raw[np.arange(count), labels] += 0.3
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    return ScoredCases(labels, probabilities.argmax(axis=1), probabilities, probabilities)


def perfect_cases():
    labels = np.repeat(np.arange(9), 2)
    certain = np.eye(9)[labels]
    return ScoredCases(labels, labels, certain, certain)


def take(cases, rows):
    return ScoredCases(
        cases.labels[rows], cases.predicted[rows], cases.scores[rows], cases.probabilities[rows]
    )


def value_of(metric, *arrays):
    return metric(*arrays, every_case_once(len(arrays[0])))[0]


def point(cases):
    return {name: values[0] for name, values in measure(cases, every_case_once(len(cases))).items()}


def test_auroc_counts_the_pairs_that_are_won():
    """Against the negatives .1 and .3, positive .3 wins one and ties one, .6 wins both, .2 one."""
    assert value_of(metrics.auroc, HITS, SCORES) == pytest.approx((1.5 + 2 + 1) / 6)


def test_average_precision_adds_precision_at_each_rise_of_recall():
    """Thresholds .6: 1 of 1; .3: 2 of 3; .2: 3 of 4; each finds one of three positives."""
    assert value_of(metrics.average_precision, HITS, SCORES) == pytest.approx(
        (1 + 2 / 3 + 3 / 4) / 3
    )


def test_roc_curve_has_a_corner_at_each_turn():
    expected = [[0, 0], [0, 1 / 3], [1 / 2, 2 / 3], [1 / 2, 1], [1, 1]]

    np.testing.assert_allclose(metrics.roc_curve(HITS, SCORES), expected)


def test_roc_curve_leaves_out_points_of_a_straight_stretch():
    curve = metrics.roc_curve(np.array([False, False, True, True]), np.array([1, 2, 3, 4]))

    np.testing.assert_array_equal(curve, [[0, 0], [0, 1], [1, 1]])


def test_area_below_the_roc_curve_is_the_auroc():
    cases = drawn_cases(200, seed=0)
    positives, scores = cases.labels == 2, cases.scores[:, 2]

    area = np.trapezoid(*metrics.roc_curve(positives, scores).T[::-1])

    assert area == pytest.approx(value_of(metrics.auroc, positives, scores))


@pytest.mark.parametrize("positives", [np.zeros(5, bool), np.ones(5, bool)])
def test_roc_curve_of_one_kind_of_case_is_empty(positives):
    assert metrics.roc_curve(positives, SCORES).shape == (0, 2)


def test_figures_of_a_confusion_matrix_are_worked_by_hand():
    """Class 0: 2 of 3 found, 2 of 2 said right. Class 1: 1 of 1 found, 1 of 2 said right."""
    labels, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])

    found = point(ScoredCases(labels, predicted, None, None))

    assert found["recall_MEL"] == pytest.approx(2 / 3)
    assert found["precision_MEL"] == 1
    assert found["f1_MEL"] == pytest.approx(0.8)
    assert found["precision_NV"] == 0.5
    assert found["f1_NV"] == pytest.approx(2 / 3)
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == pytest.approx(5 / 6)
    assert found["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)


def test_log_loss_is_worked_by_hand():
    probabilities = np.full((2, 9), 1 / 16)
    probabilities[0, 3], probabilities[1, 5] = 1 / 2, 1 / 2

    found = value_of(metrics.log_loss, np.array([3, 4]), probabilities)

    assert found == pytest.approx((np.log(2) + np.log(16)) / 2)


def test_brier_score_is_worked_by_hand():
    """Of the first: (1 - .7)² + .2² + .1²; of the second, which says .6 of another class, more."""
    probabilities = np.zeros((2, 9))
    probabilities[0, [2, 3, 4]] = 0.7, 0.2, 0.1
    probabilities[1, [2, 3]] = 0.6, 0.4

    found = value_of(metrics.brier_score, np.array([2, 3]), probabilities)

    assert found == pytest.approx((0.09 + 0.04 + 0.01 + 0.36 + 0.36) / 2)


def test_brier_score_of_nine_equal_probabilities():
    assert value_of(metrics.brier_score, np.arange(9), np.full((9, 9), 1 / 9)) == pytest.approx(
        8 / 9
    )


def test_top_2_accuracy_is_worked_by_hand():
    """Truth first, truth second, truth third, truth one of two that tie for the second place."""
    probabilities = np.zeros((4, 9))
    probabilities[:3, :3] = 0.5, 0.3, 0.2
    probabilities[3, [0, 5, 7]] = 0.6, 0.2, 0.2
    labels = np.array([0, 1, 2, 7])

    cases = ScoredCases(labels, np.zeros(4, int), None, probabilities)

    assert metrics.top_2_accuracy(cases, every_case_once(4))[0] == pytest.approx((1 + 1 + 0.5) / 4)


def test_a_one_hot_answer_has_no_second_guess():
    """Taking the first of eight zeros would find every melanoma without a reason."""
    labels = np.zeros(10, int)
    certain = np.tile(np.eye(9)[1], (10, 1))

    found = point(ScoredCases(labels, certain.argmax(axis=1), None, certain))

    assert found["accuracy"] == 0
    assert found["top_2_accuracy"] == pytest.approx(1 / 8)


def test_a_constant_answer_names_its_label_and_a_share_of_the_others():
    labels, level = np.array([0] * 6 + [4] * 2), np.full((8, 9), 1 / 9)

    found = point(ScoredCases(labels, level.argmax(axis=1), level, level))

    assert found["accuracy"] == 0.75
    assert found["top_2_accuracy"] == pytest.approx(0.75 + 0.25 / 8)
    assert found["auroc_MEL"] == 0.5
    assert found["auroc_above_80_sensitivity_MEL"] == pytest.approx(0.18)
    assert found["partial_auroc_above_80_specificity_MEL"] == pytest.approx(0.5)


def test_majority_accuracy_is_the_share_of_the_commonest_class():
    assert metrics.majority_accuracy(np.array([0, 4, 4, 4, 8])) == 0.6


def test_perfect_predictions_score_perfectly():
    found = point(perfect_cases())

    assert found.pop("log_loss") == found.pop("brier_score") == 0
    areas = [found.pop(name) for name in list(found) if "isic_2024_pauc" in name]
    assert areas == pytest.approx([0.2] * 10)
    assert list(found.values()) == pytest.approx([1.0] * len(found))


def test_reversed_scores_reverse_the_auroc():
    cases = drawn_cases(100, seed=1)
    positives, scores = cases.labels == 0, cases.scores[:, 0]

    forward = value_of(metrics.auroc, positives, scores)

    assert value_of(metrics.auroc, positives, -scores) == pytest.approx(1 - forward)


def test_order_of_cases_changes_nothing():
    cases = drawn_cases(150, seed=2)

    shuffled = take(cases, np.random.default_rng(0).permutation(150))

    assert point(shuffled) == pytest.approx(point(cases), rel=1e-12)


def test_counting_a_case_twice_is_having_it_twice():
    """What makes resampling by counts the same as resampling rows."""
    cases = drawn_cases(120, seed=3)
    counts = np.random.default_rng(1).integers(0, 4, size=(5, 120))
    found = measure(cases, counts)

    for index, row in enumerate(counts):
        repeated = point(take(cases, np.repeat(np.arange(120), row)))
        for name, values in found.items():
            assert values[index] == pytest.approx(repeated[name], nan_ok=True), name


@pytest.mark.parametrize("seed", range(5))
def test_all_figures_are_scikit_learns(seed):
    cases = drawn_cases(180, seed=seed)
    labels, predicted, scores = cases.labels, cases.predicted, cases.probabilities
    found = point(cases)
    each = {"labels": range(9), "average": None, "zero_division": np.nan}
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(labels, predicted),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(labels, predicted),
        "macro_f1": sklearn_metrics.f1_score(labels, predicted, average="macro"),
        "macro_auroc": sklearn_metrics.roc_auc_score(labels, scores, multi_class="ovr"),
        "macro_average_precision": sklearn_metrics.average_precision_score(labels, scores),
        "log_loss": sklearn_metrics.log_loss(labels, scores, labels=range(9)),
        "brier_score": sklearn_metrics.brier_score_loss(labels, scores, labels=range(9)),
    }
    precisions = sklearn_metrics.precision_score(labels, predicted, **each)
    recalls = sklearn_metrics.recall_score(labels, predicted, **each)
    f1s = sklearn_metrics.f1_score(labels, predicted, **each)
    for k, name in enumerate(metrics.CLASSES):
        own = labels == k
        expected |= {
            f"precision_{name}": precisions[k],
            f"recall_{name}": recalls[k],
            f"f1_{name}": f1s[k],
            f"auroc_{name}": sklearn_metrics.roc_auc_score(own, scores[:, k]),
            f"average_precision_{name}": sklearn_metrics.average_precision_score(own, scores[:, k]),
            f"partial_auroc_above_80_specificity_{name}": sklearn_metrics.roc_auc_score(
                own, scores[:, k], max_fpr=1 - 0.8
            ),
        }

    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_top_2_accuracy_without_ties_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    labels, scores = rng.integers(0, 9, size=200), rng.dirichlet(np.ones(9), 200)

    found = point(ScoredCases(labels, scores.argmax(axis=1), None, scores))["top_2_accuracy"]

    expected = sklearn_metrics.top_k_accuracy_score(labels, scores, k=2, labels=range(9))
    assert found == pytest.approx(expected)


def test_a_class_without_a_case_is_undefined_and_left_out_of_the_macro_mean():
    cases = drawn_cases(100, seed=4, classes=8)

    found = point(cases)

    for name in ("recall", "f1", *RANKED):
        assert np.isnan(found[f"{name}_UNK"]), name
    aurocs = [found[f"auroc_{name}"] for name in metrics.CLASSES[:8]]
    assert found["macro_auroc"] == pytest.approx(np.mean(aurocs))
    assert metrics.auroc_classes(cases.labels).sum() == 8


def test_blocks_of_resamples_change_no_figure(monkeypatch):
    """Memory is bounded by taking few resamples at once; nine in pairs leave one over."""
    cases = drawn_cases(70, seed=7)
    counts = np.random.default_rng(2).integers(0, 3, size=(9, 70))
    whole = measure(cases, counts)

    monkeypatch.setattr(metrics, "BLOCK_VALUES", 2 * 70 + 1)

    assert [len(block) for block in metrics.row_blocks(counts)] == [2, 2, 2, 2, 1]
    blocked = measure(cases, counts)
    for name, values in whole.items():
        np.testing.assert_allclose(blocked[name], values, rtol=1e-12, err_msg=name)


def test_costs_are_measured_where_they_are_given():
    cases = drawn_cases(50, seed=8)

    found = measure(cases, every_case_once(50), 1.0 - np.eye(9))

    assert found["cost_weighted_error"] == pytest.approx(1 - found["accuracy"])
    assert "cost_weighted_error" not in point(cases)


def test_a_class_that_is_never_predicted_has_no_precision_but_f1_0():
    found = point(ScoredCases(np.array([0, 1]), np.array([0, 0]), None, None))

    assert np.isnan(found["precision_NV"])
    assert found["recall_NV"] == 0
    assert found["f1_NV"] == 0


def test_a_resample_that_lacks_a_class_has_no_macro_mean():
    """Else the mean would be over other classes from one resample to the next."""
    cases = perfect_cases()
    counts = np.ones((2, 18), int)
    counts[1, cases.labels == 5] = 0

    found = measure(cases, counts)

    for name in ("macro_auroc", "macro_average_precision", "macro_f1", "balanced_accuracy"):
        assert found[name][0] == 1
        assert np.isnan(found[name][1]), name
    assert found["accuracy"][1] == 1


def test_a_test_set_of_one_class_has_no_auroc():
    found = point(drawn_cases(10, seed=5, classes=1))

    assert np.isnan(found["macro_auroc"])
    assert np.isnan(found["auroc_MEL"])
    assert 0 <= found["accuracy"] <= 1


def test_log_loss_is_undefined_where_the_truth_was_impossible():
    """It would be infinite, which JSON does not have, and clipping would hide it."""
    probabilities = np.eye(9)[[0, 1]]

    assert np.isnan(value_of(metrics.log_loss, np.array([0, 2]), probabilities))


def test_cases_without_scores_have_accuracy_only():
    found = point(ScoredCases(np.array([0, 1]), np.array([0, 0]), None, None))

    unscored = {"macro_auroc", "auroc_MEL", "isic_2024_pauc_MEL", "log_loss", "brier_score"}
    assert not unscored & set(found)
    assert "top_2_accuracy" not in found
    assert found["accuracy"] == 0.5
