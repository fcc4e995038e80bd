"""Tests of `pipeline.scoring.diversity`."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from pipeline.classes import CLASSES
from pipeline.scoring.diversity import diversity, spearman, yules_q
from pipeline.scoring.ensemble import EnsembleError


def drawn_members(seed, names=("b4", "b5", "b7"), count=80):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 9, size=count)
    members = {}
    for name in names:
        members[name] = rng.random((count, 9)).round(2)
        members[name][np.arange(count), labels] += 0.3
    return members, labels


def saying(labels):
    return np.eye(9)[labels]


def figures(members, labels):
    table = diversity(members, labels)
    return table[table["class"] == ""].set_index("measure").value


def test_rates_are_worked_by_hand():
    """Right: both, first alone, second alone, neither with one label, neither with two."""
    labels = np.array([0, 0, 0, 0, 0, 0])
    first, second = saying([0, 0, 0, 1, 2, 3]), saying([0, 0, 1, 0, 2, 4])

    found = figures({"b4": first, "b5": second}, labels)

    assert found["disagreement"] == pytest.approx(3 / 6)
    assert found["double_fault"] == pytest.approx(2 / 6)
    assert found["yules_q"] == pytest.approx((2 * 2 - 1 * 1) / (2 * 2 + 1 * 1))


@pytest.mark.parametrize(
    ("first", "second", "q"),
    [
        ([1, 1, 0, 0], [1, 0, 1, 0], 0),
        ([1, 1, 0, 0], [1, 1, 0, 0], 1),
        ([1, 1, 0, 0], [0, 0, 1, 1], -1),
        ([1, 1, 1, 1], [1, 1, 0, 0], None),
        ([1, 1, 1, 1], [1, 1, 1, 1], None),
    ],
    ids=["independent", "together", "never together", "one always right", "both always right"],
)
def test_yules_q_of_what_every_reader_knows(first, second, q):
    assert yules_q(np.array(first, bool), np.array(second, bool)) == q


def test_spearman_is_worked_by_hand():
    """Ranks 1 2 3 4 and 1 3 2 4: 1 - 6 · 2 / (4 · 15)."""
    assert spearman(np.array([1, 2, 3, 4]), np.array([10, 30, 20, 90])) == pytest.approx(0.8)


def test_spearman_with_ties_is_scipys():
    members, labels = drawn_members(0)

    table = diversity(members, labels)

    ranked = table[table.measure == "spearman"].set_index(["first", "second", "class"]).value
    for (first, second, label), value in ranked.items():
        k = CLASSES.index(label)
        expected = spearmanr(members[first][:, k], members[second][:, k]).statistic
        assert value == pytest.approx(expected)


def test_every_pair_has_every_measure_and_its_n():
    members, labels = drawn_members(1)

    table = diversity(members, labels)

    assert table.columns.tolist() == ["first", "second", "measure", "class", "value", "n"]
    assert len(table) == 3 * (9 + 3)
    assert set(zip(table["first"], table["second"], strict=True)) == {
        ("b4", "b5"),
        ("b4", "b7"),
        ("b5", "b7"),
    }
    assert (table.n == 80).all()


def test_a_member_beside_itself_has_nothing_new():
    members, labels = drawn_members(2, names=("b4",))

    table = diversity({"b4": members["b4"], "again": members["b4"]}, labels)

    wrong = (members["b4"].argmax(axis=1) != labels).mean()
    assert table[table.measure == "spearman"].value.to_numpy() == pytest.approx(np.ones(9))
    values = table[table["class"] == ""].value.tolist()
    assert values == pytest.approx([0, wrong, 1])


def test_order_of_cases_changes_nothing():
    members, labels = drawn_members(3)
    rows = np.random.default_rng(0).permutation(80)

    moved = diversity({name: found[rows] for name, found in members.items()}, labels[rows])

    np.testing.assert_allclose(moved.value, diversity(members, labels).value)


def test_what_is_undefined_is_empty():
    """A class that a member always scores alike has no order; the perfect member no mistakes."""
    members, labels = drawn_members(4, names=("b4",))
    labels = np.where(labels == CLASSES.index("AK"), 0, labels)

    table = diversity(members | {"perfect": saying(labels)}, labels)

    assert table[table["class"] == "AK"].value.isna().all()
    assert table[table.measure == "yules_q"].value.isna().all()
    assert not table[table["class"] == "MEL"].value.isna().any()


def test_other_than_nine_classes_are_refused():
    with pytest.raises(EnsembleError, match=r"^members must be \(n, 9\)\. Got: \(4, 2\)\.$"):
        diversity({"b4": np.ones((4, 2)), "b5": np.ones((4, 2))}, np.zeros(4, int))
