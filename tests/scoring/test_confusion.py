"""Tests of `pipeline.scoring.confusion`; `test_metrics` has those of its figures by class."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from pipeline.scoring.confusion import confusion, cost_weighted_error
from pipeline.scoring.metrics import every_case_once

LABELS, PREDICTED = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 1, 1, 0])


def table_of(labels, predicted):
    return confusion(labels, predicted, every_case_once(len(labels)))


def test_confusion_has_truth_in_rows():
    (table,) = table_of(np.array([0, 0, 1]), np.array([0, 1, 1]))

    np.testing.assert_array_equal(table[:2, :2], [[1, 1], [0, 1]])
    assert table.sum() == 3


def test_confusion_is_scikit_learns():
    labels, predicted = np.random.default_rng(6).integers(0, 9, size=(2, 90))

    (found,) = table_of(labels, predicted)

    expected = sklearn_metrics.confusion_matrix(labels, predicted, labels=range(9))
    np.testing.assert_array_equal(found, expected)


def test_cost_weighted_error_is_worked_by_hand():
    """Two melanomas called nevi cost 10 each, one nevus called melanoma 1, five cases."""
    costs = np.zeros((9, 9))
    costs[0, 1], costs[1, 0] = 10, 1

    assert cost_weighted_error(table_of(LABELS, PREDICTED), costs) == pytest.approx([21 / 5])


def test_costs_have_truth_in_rows():
    """The other way round a missed melanoma would cost what a false alarm does."""
    costs = np.zeros((9, 9))
    costs[0, 1] = 1

    assert cost_weighted_error(table_of(LABELS, PREDICTED), costs) == pytest.approx([2 / 5])
    assert cost_weighted_error(table_of(LABELS, PREDICTED), costs.T) == pytest.approx([1 / 5])


def test_order_of_cases_changes_no_cost():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 9, size=(2, 80))
    costs, rows = rng.random((9, 9)), rng.permutation(80)

    shuffled = table_of(labels[rows], predicted[rows])

    expected = cost_weighted_error(table_of(labels, predicted), costs)
    np.testing.assert_array_equal(cost_weighted_error(shuffled, costs), expected)


def test_right_answers_cost_nothing():
    costs = np.full((9, 9), 7.0) * (1 - np.eye(9))

    assert cost_weighted_error(table_of(LABELS, LABELS), costs) == 0


def test_no_case_has_no_cost():
    empty = confusion(LABELS, PREDICTED, np.zeros((1, 5), int))

    assert np.isnan(cost_weighted_error(empty, np.ones((9, 9))))


@pytest.mark.parametrize(
    ("costs", "got"),
    [
        (np.ones((8, 9)), r"Got: \(8, 9\), 0 not finite\.$"),
        (np.full((9, 9), np.nan), r"Got: \(9, 9\), 81 not finite\.$"),
    ],
)
def test_only_nine_by_nine_finite_costs_are_taken(costs, got):
    with pytest.raises(ValueError, match=r"^costs must be \(9, 9\) finite numbers\. " + got):
        cost_weighted_error(table_of(LABELS, PREDICTED), costs)
