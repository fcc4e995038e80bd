"""Tests of `pipeline.scoring.metrics`.

Each metric: a value worked by hand inside its range, identity, permutation of cases, agreement with
scikit-learn, counts that equal repeated cases, and the undefined case.
"""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from pipeline.scoring import metrics
from pipeline.scoring.metrics import ScoredCases, every_case_once, measure

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


def test_confusion_has_truth_in_rows():
    table = value_of(metrics.confusion, np.array([0, 0, 1]), np.array([0, 1, 1]))

    np.testing.assert_array_equal(table[:2, :2], [[1, 1], [0, 1]])
    assert table.sum() == 3


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


def test_majority_accuracy_is_the_share_of_the_commonest_class():
    assert metrics.majority_accuracy(np.array([0, 4, 4, 4, 8])) == 0.6


def test_perfect_predictions_score_perfectly():
    found = point(perfect_cases())

    assert found.pop("log_loss") == 0
    assert set(found.values()) == {1.0}


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
        }

    assert found == pytest.approx(expected, rel=1e-9)


def test_confusion_is_scikit_learns():
    cases = drawn_cases(90, seed=6)

    found = value_of(metrics.confusion, cases.labels, cases.predicted)

    expected = sklearn_metrics.confusion_matrix(cases.labels, cases.predicted, labels=range(9))
    np.testing.assert_array_equal(found, expected)


def test_a_class_without_a_case_is_undefined_and_left_out_of_the_macro_mean():
    cases = drawn_cases(100, seed=4, classes=8)

    found = point(cases)

    for name in ("auroc_UNK", "average_precision_UNK", "recall_UNK", "f1_UNK"):
        assert np.isnan(found[name]), name
    aurocs = [found[f"auroc_{name}"] for name in metrics.CLASSES[:8]]
    assert found["macro_auroc"] == pytest.approx(np.mean(aurocs))
    assert metrics.auroc_classes(cases.labels).sum() == 8


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

    assert not {"macro_auroc", "auroc_MEL", "log_loss"} & set(found)
    assert found["accuracy"] == 0.5
