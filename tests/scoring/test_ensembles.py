"""Tests of `pipeline.scoring.ensembles`."""

import numpy as np
import pytest

from pipeline.scoring.ensemble import EnsembleError, make_reference
from pipeline.scoring.ensembles import (
    deal_groups,
    fit_weights,
    mean_logits,
    mean_probabilities,
    nested_weighted_scores,
    rank_average,
    weighted_mean,
)

TWO = {"b4": np.array([[0.9, 0.1]]), "b5": np.array([[0.5, 0.5]])}


def softmax(logits):
    shares = np.exp(logits)
    return shares / shares.sum(axis=1, keepdims=True)


def drawn_members(seed, count=120, names=("b4", "b5", "b7"), skill=1.0):
    """Labels, and members that know something of them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 9, size=count)
    members = {}
    for name in names:
        logits = rng.normal(size=(count, 9))
        logits[np.arange(count), labels] += skill
        members[name] = softmax(logits).astype(np.float32)
    return members, labels


def of_truth(*columns):
    """Members of two classes that give the truth, always the first, these probabilities."""
    arrays = [np.stack([np.array(p), 1 - np.array(p)], axis=1) for p in columns]
    return dict(zip("abc", arrays, strict=False)), np.zeros(len(columns[0]), int)


def log_loss(scores, labels):
    return -np.log(scores[np.arange(len(labels)), labels]).mean()


def test_mean_is_worked_by_hand():
    np.testing.assert_allclose(mean_probabilities(TWO), [[0.7, 0.3]])


def test_mean_of_logits_is_worked_by_hand():
    """Square roots of .9 · .5 and .1 · .5 are as 3 to 1."""
    np.testing.assert_allclose(mean_logits(TWO), [[0.75, 0.25]])


def test_mean_of_logits_is_the_geometric_mean_of_probabilities():
    members, _ = drawn_members(0)
    product = np.prod(list(members.values()), axis=0, dtype=np.float64) ** (1 / 3)

    expected = product / product.sum(axis=1, keepdims=True)

    np.testing.assert_allclose(mean_logits(members), expected, rtol=1e-9)


def test_mean_of_logits_does_not_need_the_logits_themselves():
    """A network's logits are known but for one number per case, here drawn anew."""
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(3, 40, 9))
    members = {str(i): softmax(own + rng.normal(size=(40, 1))) for i, own in enumerate(logits)}

    np.testing.assert_allclose(mean_logits(members), softmax(logits.mean(axis=0)), rtol=1e-9)


def test_a_probability_of_0_does_not_decide_alone():
    members = {"b4": np.array([[0, 1.0]]), "b5": np.array([[1 - 1e-9, 1e-9]])}

    found = mean_logits(members)

    np.testing.assert_allclose(found, [[0.5, 0.5]])


def test_rank_average_is_worked_by_hand():
    """Of one member above three of four, of the other level with one of two: 3/4 and 1/4."""
    references = {
        "b4": make_reference(np.repeat([[0.1], [0.2], [0.3], [0.8]], 9, axis=1)),
        "b5": make_reference(np.repeat([[0.4], [0.6]], 9, axis=1)),
    }
    members = {"b4": np.full((1, 9), 0.5, np.float32), "b5": np.full((1, 9), 0.4, np.float32)}

    np.testing.assert_array_equal(rank_average(references, members), np.full((1, 9), 0.5))


def test_rank_average_of_a_case_does_not_depend_on_its_batch():
    members, _ = drawn_members(2)
    references = {name: make_reference(found) for name, found in members.items()}

    alone = [
        rank_average(references, {name: found[i : i + 1] for name, found in members.items()})[0]
        for i in range(120)
    ]

    np.testing.assert_array_equal(rank_average(references, members), alone)


@pytest.mark.parametrize("way", [mean_probabilities, mean_logits])
def test_members_that_agree_are_joined_to_what_they_say(way):
    members, _ = drawn_members(3, names=("b4",))

    found = way({"b4": members["b4"], "b5": members["b4"]})

    np.testing.assert_allclose(found, members["b4"], rtol=1e-5)


@pytest.mark.parametrize("way", [mean_probabilities, mean_logits])
def test_order_of_cases_and_members_changes_nothing(way):
    members, _ = drawn_members(4)
    rows = np.random.default_rng(0).permutation(120)
    moved = {name: members[name][rows] for name in reversed(members)}

    np.testing.assert_allclose(way(moved), way(members)[rows], rtol=1e-12)
    np.testing.assert_allclose(way(members).sum(axis=1), 1, rtol=1e-6)


def test_weights_are_worked_by_hand():
    """2 log(.1 + .8 w) + log(.9 - .8 w) is highest at w = 17/24."""
    members, labels = of_truth([0.9, 0.9, 0.1], [0.1, 0.1, 0.9])

    assert fit_weights(members, labels) == pytest.approx([17 / 24, 7 / 24], abs=1e-4)


def test_a_member_that_is_always_worse_gets_no_weight():
    members, labels = of_truth([0.9, 0.8, 0.7], [0.6, 0.5, 0.4])

    assert fit_weights(members, labels) == pytest.approx([1, 0], abs=1e-6)


def test_weights_are_the_best_of_a_grid():
    members, labels = drawn_members(5, skill=0.5)
    members["b7"] = np.full((120, 9), 1 / 9, np.float32)
    shares = np.linspace(0, 1, 41)
    grid = [np.array([a, b, 1 - a - b]) for a in shares for b in shares if a + b <= 1]

    found = fit_weights(members, labels)

    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    best = min(log_loss(weighted_mean(members, weights), labels) for weights in grid)
    assert log_loss(weighted_mean(members, found), labels) <= best


def test_weights_are_the_same_every_time():
    members, labels = drawn_members(6)

    np.testing.assert_array_equal(fit_weights(members, labels), fit_weights(members, labels))


def test_a_truth_that_all_call_impossible_does_not_stop_the_search():
    members, labels = of_truth([0.9, 0.9, 0.1, 0.0], [0.1, 0.1, 0.9, 0.0])

    assert fit_weights(members, labels) == pytest.approx([17 / 24, 7 / 24], abs=1e-4)


def test_a_case_is_scored_with_weights_fitted_without_its_patient():
    """Other labels of a patient's images must change no score of theirs, to the last bit."""
    members, labels = drawn_members(7)
    groups = np.repeat(np.arange(40), 3)
    before = nested_weighted_scores(members, labels, groups, folds=4, seed=1)

    for group in range(5):
        own = groups == group
        lied = np.where(own, (labels + 1) % 9, labels)
        after = nested_weighted_scores(members, lied, groups, folds=4, seed=1)
        np.testing.assert_array_equal(after.scores[own], before.scores[own])
        assert (after.scores != before.scores).any()


def test_weights_tuned_on_what_they_score_flatter_themselves():
    """The planted fault: of members that know nothing some seem to, on the cases tuned on."""
    gains = []
    for seed in range(5):
        members, labels = drawn_members(seed, count=60, names=map(str, range(12)), skill=0)
        equal = log_loss(mean_probabilities(members), labels)
        tuned = weighted_mean(members, fit_weights(members, labels))
        nested = nested_weighted_scores(members, labels, np.arange(60), folds=5, seed=0)
        gains.append([equal - log_loss(s, labels) for s in (tuned, nested.scores)])

    flattering, honest = np.transpose(gains)
    assert (flattering > 0.01).all()
    assert honest.mean() < 0


def test_nested_scores_are_weighted_by_their_folds_weights():
    members, labels = drawn_members(8)

    found = nested_weighted_scores(members, labels, np.arange(120), folds=3, seed=0)

    arrays = np.stack(list(members.values()))
    expected = np.einsum("nm,mnc->nc", found.weights[found.folds], arrays)
    np.testing.assert_allclose(found.scores, expected, rtol=1e-6)
    np.testing.assert_allclose(found.weights.sum(axis=1), 1)


def test_groups_stay_whole_and_are_dealt_evenly():
    groups = np.repeat(np.arange(23), 4)

    folds = deal_groups(groups, folds=5, seed=0)

    assert all(len(np.unique(folds[groups == group])) == 1 for group in range(23))
    counts = np.bincount(folds[::4])
    assert counts.tolist() == sorted(counts, reverse=True) == [5, 5, 5, 4, 4]


def test_the_seed_alone_deals():
    groups = np.arange(50)
    rows = np.random.default_rng(0).permutation(50)
    folds = deal_groups(groups, folds=5, seed=3)

    np.testing.assert_array_equal(deal_groups(groups[rows], folds=5, seed=3), folds[rows])
    assert (deal_groups(groups, folds=5, seed=4) != folds).any()


@pytest.mark.parametrize("folds", [1, 4])
def test_folds_are_at_least_two_and_at_most_the_groups(folds):
    message = rf"^folds must be from 2 to the number of groups 3\. Got: {folds}\.$"

    with pytest.raises(EnsembleError, match=message):
        deal_groups(np.array([0, 1, 1, 2]), folds=folds, seed=0)


def test_no_case_has_no_weights():
    members, labels = of_truth([], [])

    with pytest.raises(EnsembleError, match=r"^weights need at least one case\. Got: none\.$"):
        fit_weights(members, labels)


@pytest.mark.parametrize(
    "members", [{}, {"b4": np.ones(3)}, {"b4": np.ones((3, 9)), "b5": np.ones((2, 9))}]
)
def test_members_are_of_one_shape(members):
    with pytest.raises(EnsembleError, match=r"^members must be \(n, classes\), all of one shape"):
        mean_probabilities(members)


def test_a_member_without_a_reference_is_refused():
    members, _ = drawn_members(9)
    references = {"b4": make_reference(members["b4"])}

    with pytest.raises(EnsembleError, match=r"must have a reference\. Got none for \['b5', 'b7'\]"):
        rank_average(references, members)
