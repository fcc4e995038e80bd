"""Tests of `pipeline.scoring.ensemble`."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from pipeline.classes import CLASSES
from pipeline.scoring.ensemble import (
    EnsembleError,
    ProbabilityMap,
    average_ranks,
    fit_probability_map,
    load_probability_map,
    load_reference,
    make_reference,
    rank_against,
    rank_logits,
    rank_scores,
    save_reference,
)
from pipeline.scoring.metrics import auroc, every_case_once
from pipeline.storage import write_json

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


def labelled_ranks(count, seed):
    """Rank averages of cases with unequal classes, the true one scored higher, and their labels."""
    rng = np.random.default_rng(seed)
    shares = np.array([9, 31, 6, 3, 5, 1, 1, 2, 42]) / 100
    labels = rng.choice(9, size=count, p=shares)
    scores = rng.normal(size=(count, 9))
    scores[np.arange(count), labels] += 1.5
    return (rankdata(scores, axis=0) - 0.5) / count, labels


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

    np.testing.assert_allclose(average_ranks(ranks), np.full((2, 9), 0.55), rtol=1e-15)


def test_average_of_one_member_is_that_member():
    ranks = softmax_scores(5, seed=4).astype(np.float64)

    np.testing.assert_array_equal(average_ranks([ranks]), ranks)


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


def test_probabilities_are_the_softmax_of_linear_logits():
    """Worked by hand: logits of 0.5 are 0, of 0.8 log 4; class 0 doubles its logit, so 16 to 1."""
    coefficients = np.zeros((9, 9))
    coefficients[0, 0] = 2.0
    ranks = np.full((1, 9), 0.5)
    ranks[0, 0] = 0.8

    found = ProbabilityMap(coefficients, np.zeros(9), clip=0.01).apply(ranks)

    np.testing.assert_allclose(found[0], [16 / 24] + [1 / 24] * 8, rtol=1e-12)


def test_coefficients_lead_from_column_to_row():
    coefficients = np.zeros((9, 9))
    coefficients[3, 0] = 1.0
    ranks = np.full((1, 9), 0.5)
    ranks[0, 0] = 0.9

    found = ProbabilityMap(coefficients, np.zeros(9), clip=0.01).apply(ranks)

    assert found[0].argmax() == 3


def test_ranks_of_0_and_1_are_clipped_before_the_logit():
    found = rank_logits(np.array([[0.0, 1.0]]), clip=0.2)

    np.testing.assert_allclose(found, [[-np.log(4), np.log(4)]], rtol=1e-12)


def test_probabilities_of_a_case_are_bit_identical_alone_and_in_a_batch():
    ranks, labels = labelled_ranks(700, seed=5)
    fitted = fit_probability_map(ranks, labels, 1.0)
    batch = fitted.apply(ranks)

    alone = np.concatenate([fitted.apply(ranks[i : i + 1]) for i in range(700)])
    in_sevens = np.concatenate([fitted.apply(ranks[i : i + 7]) for i in range(0, 700, 7)])

    np.testing.assert_array_equal(batch, alone)
    np.testing.assert_array_equal(batch, in_sevens)


def test_fitted_probabilities_have_the_shares_of_the_classes():
    """The intercepts are not penalised, so the mean probability is the share, exactly."""
    ranks, labels = labelled_ranks(2000, seed=6)

    found = fit_probability_map(ranks, labels, 1.0).apply(ranks)

    np.testing.assert_allclose(found.mean(axis=0), np.bincount(labels) / 2000, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)


def test_fitted_map_is_scikit_learns():
    ranks, labels = labelled_ranks(1000, seed=7)
    fitted = fit_probability_map(ranks, labels, 0.3)

    model = LogisticRegression(C=0.3, tol=1e-8, max_iter=5000)
    model.fit(rank_logits(ranks, 0.5 / 1000), labels)

    expected = model.predict_proba(rank_logits(ranks, 0.5 / 1000))
    np.testing.assert_allclose(fitted.apply(ranks), expected, atol=1e-4)


def test_labels_come_from_probabilities_because_ranks_do_not_compare_across_classes():
    ranks, labels = labelled_ranks(3000, seed=8)
    fitted = fit_probability_map(ranks[:2000], labels[:2000], 1.0)

    by_rank = (ranks[2000:].argmax(axis=1) == labels[2000:]).mean()
    by_probability = (fitted.apply(ranks[2000:]).argmax(axis=1) == labels[2000:]).mean()

    assert by_probability > by_rank + 0.1


@pytest.mark.parametrize("present", [[4], [1, 8], [0, 1, 8]])
def test_a_class_without_a_case_gets_probability_0(present):
    ranks, _ = labelled_ranks(60, seed=9)
    labels = np.resize(present, 60)

    found = fit_probability_map(ranks, labels, 1.0).apply(ranks)

    absent = np.setdiff1d(np.arange(9), present)
    assert (found[:, absent] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(found.mean(axis=0), np.bincount(labels, minlength=9) / 60, atol=1e-5)


def test_two_classes_are_told_apart_in_the_right_direction():
    """scikit-learn keeps one row of coefficients for two classes, not two."""
    ranks, _ = labelled_ranks(200, seed=10)
    labels = np.where(ranks[:, 2] > 0.5, 2, 6)

    found = fit_probability_map(ranks, labels, 1.0).apply(ranks)

    assert (found.argmax(axis=1) == labels).mean() > 0.95


def test_a_map_of_no_case_is_refused():
    with pytest.raises(EnsembleError, match=r"^the probability map needs at least one"):
        fit_probability_map(np.empty((0, 9)), np.empty(0, int), 1.0)


def test_a_map_comes_back_from_its_file_bit_for_bit(tmp_path):
    ranks, labels = labelled_ranks(300, seed=11)
    fitted = fit_probability_map(ranks, labels, 1.0)
    write_json(tmp_path / "map.json", fitted.to_json())

    found = load_probability_map(tmp_path / "map.json")

    np.testing.assert_array_equal(found.apply(ranks), fitted.apply(ranks))
    assert found.clip == fitted.clip == 0.5 / 300


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": list(CLASSES[::-1])}, r"classes must be \['MEL', "),
        ({"clip": 0.0}, r"clip must be in \(0, 0\.5\]\. Got: 0\.0\.$"),
        ({"intercepts": [0.0] * 8}, r"coefficients must be \(9, 9\) and intercepts \(9,\)"),
        ({"intercepts": [float("inf")] * 9}, r"coefficients and intercepts must be finite\.$"),
        ({"intercepts": ["a"] * 9}, "could not convert"),
        ({"extra": 1}, r"probability map must have exactly the keys \['classes', "),
    ],
)
def test_a_broken_map_is_refused_with_its_path(tmp_path, change, message):
    whole = ProbabilityMap(np.zeros((9, 9)), np.zeros(9), clip=0.1).to_json()
    path = tmp_path / "map.json"
    path.write_text(json.dumps(whole | change))

    with pytest.raises(EnsembleError, match=rf"^{path}: {message}"):
        load_probability_map(path)


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
    ranked = auroc(melanoma, average_ranks(ranks), once)[0]

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
