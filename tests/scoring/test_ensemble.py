"""Tests of `pipeline.scoring.ensemble`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from pipeline.scoring.ensemble import (
    EnsembleError,
    average_members,
    combine,
    load_reference,
    make_reference,
    rank_against,
    rank_scores,
    save_reference,
)
from pipeline.scoring.metrics import auroc, every_case_once

REFERENCE = np.array([0.1, 0.2, 0.2, 0.7], np.float32)
REAL_SCORES = (
    Path(__file__).resolve().parents[2]
    / ".."
    / "shared"
    / "data"
    / "predictions"
    / "oof_melanoma_3_models.csv"
)


def softmax_scores(count, seed, decimals=None):
    """Rows of nine float32 scores that sum to one; rounding makes ties."""
    drawn = np.random.default_rng(seed).dirichlet(np.full(9, 0.5), count)
    return (drawn if decimals is None else drawn.round(decimals)).astype(np.float32)


def rank_in_batch(reference, scores):
    """The usual rank average, wrong for one patient: it ranks inside the submitted batch."""
    return (rankdata(scores) - 0.5) / len(scores)


def rank_ties_low(reference, scores):
    """Counts what lies below and forgets what is level."""
    return np.searchsorted(reference, scores, side="left") / len(reference)


def rank_ties_high(reference, scores):
    """Counts what is level as if it lay below."""
    return np.searchsorted(reference, scores, side="right") / len(reference)


def check_ranks(rank):
    """What every rank must keep: the known values, and no dependence on the batch."""
    found = rank(REFERENCE, np.array([0.0, 0.15, 0.2, 0.9], np.float32))
    np.testing.assert_array_equal(found, [0.0, 0.25, 0.5, 1.0])
    np.testing.assert_array_equal(rank(REFERENCE, REFERENCE), (rankdata(REFERENCE) - 0.5) / 4)
    assert rank(REFERENCE, REFERENCE[3:]) == 0.875


@pytest.mark.parametrize(
    ("score", "rank"),
    [
        (0.0, 0.0),  # below all
        (0.15, 0.25),  # above one of four
        (0.2, 0.5),  # above one, level with two: (1 + 3) / 2 of four
        (0.7, 0.875),  # above three, level with one
        (0.9, 1.0),  # above all
    ],
)
def test_rank_is_share_of_reference_below(score, rank):
    assert rank_against(REFERENCE, np.array([score], np.float32)) == rank


def test_rank_keeps_what_every_rank_must():
    check_ranks(rank_against)


@pytest.mark.parametrize("fault", [rank_in_batch, rank_ties_low, rank_ties_high])
def test_wrong_ranks_are_caught(fault):
    with pytest.raises(AssertionError):
        check_ranks(fault)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=60))
def test_rank_of_the_reference_is_the_average_rank(values):
    """Equal to the rank average of the field on the cases it was made of, ties included."""
    scores = np.array(values, np.float32)

    found = rank_against(np.sort(scores), scores)

    np.testing.assert_array_equal(found, (rankdata(scores) - 0.5) / len(scores))


def test_rank_of_a_case_does_not_depend_on_its_batch():
    """The CAD service scores one case at a time and must agree with the evaluation."""
    reference = make_reference(softmax_scores(200, seed=0, decimals=2))
    scores = softmax_scores(300, seed=1, decimals=2)

    alone = [rank_scores(reference, scores[i : i + 1])[0] for i in range(300)]

    np.testing.assert_array_equal(rank_scores(reference, scores), alone)


def test_each_class_is_ranked_against_its_own_column():
    reference = make_reference(softmax_scores(50, seed=2))
    scores = softmax_scores(7, seed=3)

    found = rank_scores(reference, scores)

    for k in range(9):
        np.testing.assert_array_equal(found[:, k], rank_against(reference[:, k], scores[:, k]))


def test_average_of_ranks_is_their_mean():
    ranks = [np.full((2, 9), 0.25), np.full((2, 9), 0.5), np.full((2, 9), 0.9)]

    np.testing.assert_allclose(average_members(ranks), np.full((2, 9), 0.55), rtol=1e-15)


def test_average_of_one_member_is_that_member():
    ranks = softmax_scores(5, seed=4).astype(np.float64)

    np.testing.assert_array_equal(average_members([ranks]), ranks)


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(score):
    """A NaN would be sorted above everything and rank 1."""
    with pytest.raises(EnsembleError, match=r"^scores must be finite\. Got: \["):
        rank_against(REFERENCE, np.array([0.1, score], np.float32))


def test_an_empty_reference_is_refused():
    with pytest.raises(EnsembleError, match=r"^reference must have at least one score\. Got: none"):
        rank_against(REFERENCE[:0], REFERENCE)


def test_scores_of_another_number_of_classes_are_refused():
    with pytest.raises(EnsembleError, match=r"^scores must be \(n, 9\)\. Got: \(3, 8\)\.$"):
        rank_scores(make_reference(softmax_scores(4, seed=0)), softmax_scores(3, seed=0)[:, :8])


def test_logits_are_averaged_over_the_members():
    """Worked by hand: log 0.5 and log 0.125 average to log 0.25; a score of 0 counts as 1e-7."""
    references = {"a": make_reference(np.eye(9)), "b": make_reference(np.eye(9))}
    one, other = np.zeros((1, 9), np.float32), np.zeros((1, 9), np.float32)
    one[0, :2], other[0, :2] = 0.5, (0.125, 0.875)

    found = combine(references, {"a": one, "b": other}).mean_logits

    np.testing.assert_allclose(found[0, 0], np.log(0.25), rtol=1e-12)
    np.testing.assert_allclose(found[0, 2:], np.log(1e-7), rtol=1e-12)


def test_joined_scores_of_a_case_do_not_depend_on_its_batch():
    references = {n: make_reference(softmax_scores(50, seed=i)) for i, n in enumerate("ab")}
    scores = {n: softmax_scores(200, seed=i + 2) for i, n in enumerate("ab")}

    batch = combine(references, scores)
    alone = [combine(references, {n: s[i : i + 1] for n, s in scores.items()}) for i in range(200)]

    for part in ("rank_average", "mean_logits"):
        expected = np.concatenate([getattr(one, part) for one in alone])
        np.testing.assert_array_equal(getattr(batch, part), expected)


def test_references_come_back_in_order_and_bit_for_bit(tmp_path):
    references = {name: make_reference(softmax_scores(20, seed=i)) for i, name in enumerate("cab")}
    save_reference(tmp_path / "reference.npz", references)

    found = load_reference(tmp_path / "reference.npz")

    assert list(found) == ["c", "a", "b"]
    for name in found:
        np.testing.assert_array_equal(found[name], references[name])
        assert found[name].dtype == np.float32


def test_the_same_references_are_the_same_bytes(tmp_path):
    references = {"b4": make_reference(softmax_scores(20, seed=0))}
    save_reference(tmp_path / "first.npz", references)
    save_reference(tmp_path / "second.npz", references)

    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda r: r[::-1], "must be ascending in every column"),
        (lambda r: r.astype(np.float64), r"must be \(n, 9\) float32\. Got: \(20, 9\) float64"),
        (lambda r: r[:, :8], r"must be \(n, 9\) float32\. Got: \(20, 8\)"),
        (lambda r: r[:0], "must hold one or more rows of finite scores"),
        (lambda r: np.where(r == r.max(), np.nan, r), "must hold one or more rows of finite"),
    ],
)
def test_a_broken_reference_is_refused_on_both_ways(tmp_path, fault, message):
    broken = {"b4": fault(make_reference(softmax_scores(20, seed=0)))}
    path = tmp_path / "reference.npz"
    np.savez(path, **broken)

    with pytest.raises(EnsembleError, match=rf"^{path}: reference of b4 {message}"):
        load_reference(path)
    with pytest.raises(EnsembleError, match=message):
        save_reference(tmp_path / "other.npz", broken)


@pytest.mark.data
@pytest.mark.skipif(not REAL_SCORES.exists(), reason="needs ../shared/data/predictions")
def test_real_models_reach_their_known_auroc():
    """57,224 out-of-fold melanoma scores of three models, figures known from elsewhere."""
    table = pd.read_csv(REAL_SCORES)
    scores = table[["model_1", "model_2", "model_3"]].to_numpy().T
    ranks = [rank_against(np.sort(column), column) for column in scores]
    melanoma, once = table.target.to_numpy() == 1, every_case_once(len(table))

    found = [auroc(melanoma, s, once)[0] for s in (*scores, scores.mean(axis=0))]
    ranked = auroc(melanoma, average_members(ranks), once)[0]

    assert melanoma.sum() == 4922
    np.testing.assert_allclose(found, [0.9287, 0.9048, 0.9262, 0.9326], atol=5e-5)
    assert ranked == pytest.approx(0.9325, abs=5e-5)


@pytest.mark.data
@pytest.mark.skipif(not REAL_SCORES.exists(), reason="needs ../shared/data/predictions")
def test_real_ranks_are_pandas_own():
    table = pd.read_csv(REAL_SCORES)
    scores = table.model_3.to_numpy()

    found = rank_against(np.sort(scores), scores)

    expected = table.model_3.rank(pct=True).to_numpy() - 0.5 / len(table)
    np.testing.assert_allclose(found, expected, atol=1e-12)
