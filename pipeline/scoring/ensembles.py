"""Other ways to join the members' probabilities than the recipe's, to be compared with it.

`members` are the members' probabilities of the same cases in the same order, by name, each
`(n, classes)`, rows summing to one; results are float64 of the same shape. The nine classes are one
use, a class and the rest in two columns another; `rank_average` alone wants the nine. Only ranks
and means need no fitting. Weights are fitted by log loss, and a case is never scored with weights
that it, or another image of its patient, was fitted to.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from pipeline.scoring.ensemble import (
    LEAST_SCORE,
    EnsembleError,
    average_members,
    log_scores,
    rank_scores,
)
from pipeline.scoring.probability_map import softmax

Members = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class NestedScores:
    """Cases scored with weights that were fitted without their group.

    Attributes:
        scores: Weighted mean of the members, `(n, classes)` float64.
        folds: Number of each case's fold, `(n,)` int; a group is in one.
        weights: Fitted without the fold's cases, `(folds, members)`; rows sum to one.
    """

    scores: np.ndarray
    folds: np.ndarray
    weights: np.ndarray


def rank_average(references: Members, members: Members) -> np.ndarray:
    """Average the members' rank scores, as the recipe does; not probabilities.

    Args:
        references: Of each member, from `ensemble.make_reference`.
        members: Each `(n, 9)` float32.

    Raises:
        EnsembleError: As `ensemble.rank_scores`, or a member has no reference.
    """
    check_members(members)
    absent = sorted(set(members) - set(references))
    if absent:
        raise EnsembleError(f"every member must have a reference. Got none for {absent}.")
    return average_members(
        [rank_scores(references[name], found) for name, found in members.items()]
    )


def mean_probabilities(members: Members) -> np.ndarray:
    """Average the members' probabilities; every member counts the same."""
    return average_members([found.astype(np.float64) for found in check_members(members)])


def mean_logits(members: Members) -> np.ndarray:
    """Average the members' logits and take the softmax.

    The logits of a softmax are the logarithms of its probabilities but for one number per case,
    which the softmax takes out again: this is the geometric mean of the probabilities, brought to
    sum to one. Probabilities below `ensemble.LEAST_SCORE` count as it.
    """
    return softmax(average_members([log_scores(found) for found in check_members(members)]))


def weighted_mean(members: Members, weights: np.ndarray) -> np.ndarray:
    """Average the members' probabilities with weights, `(members,)`, that sum to one."""
    return sum(w * found for w, found in zip(weights, check_members(members), strict=True))


def fit_weights(members: Members, labels: np.ndarray) -> np.ndarray:
    """Find the convex weights whose mean has the least log loss; never score these cases with them.

    The loss is convex in the weights: what the search from equal weights finds is the least, and
    the same every time. It judges probabilities: a member that ranks well and is poorly calibrated
    may get no weight.

    Args:
        members: Of cases that no member was trained on.
        labels: Column of each case's truth, `(n,)` int; at least one case.

    Returns:
        `(members,)` float64, not negative, summing to one.

    Raises:
        EnsembleError: There is no case, or the search fails.
    """
    arrays = check_members(members)
    if len(labels) == 0:
        raise EnsembleError("weights need at least one case. Got: none.")
    rows = np.arange(len(labels))
    of_truth = np.stack([np.maximum(found[rows, labels], LEAST_SCORE) for found in arrays], axis=1)
    return _least_log_loss(of_truth.astype(np.float64))


def nested_weighted_scores(
    members: Members,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    folds: int,
    seed: int,
) -> NestedScores:
    """Score every case with weights fitted without its group.

    Args:
        members: Of cases that no member was trained on.
        labels: Column of each case's truth, `(n,)` int.
        groups: Number of each case's patient, `(n,)` int, as of `bootstrap.resampling_units`.
        folds: How many parts the groups are dealt into, at least 2.
        seed: Of the dealing.

    Raises:
        EnsembleError: There are fewer than two folds, or fewer groups than folds.
    """
    arrays = check_members(members)
    fold_of = deal_groups(groups, folds=folds, seed=seed)
    scores = np.empty(arrays[0].shape)
    weights = np.empty((folds, len(members)))
    for fold in range(folds):
        own = fold_of == fold
        others = {name: found[~own] for name, found in members.items()}
        weights[fold] = fit_weights(others, labels[~own])
        scores[own] = weighted_mean({k: found[own] for k, found in members.items()}, weights[fold])
    return NestedScores(scores, fold_of, weights)


def deal_groups(groups: np.ndarray, *, folds: int, seed: int) -> np.ndarray:
    """Deal groups into folds at random, as many to each; independent of the order of cases.

    Args:
        groups: Number of each case's group, `(n,)` int.
        folds: At least 2.
        seed: Of the dealing.

    Returns:
        Number of each case's fold, `(n,)` int.

    Raises:
        EnsembleError: There are fewer than two folds, or fewer groups than folds.
    """
    names, numbers = np.unique(groups, return_inverse=True)
    if not 2 <= folds <= len(names):
        raise EnsembleError(
            f"folds must be from 2 to the number of groups {len(names)}. Got: {folds}."
        )
    return (np.random.default_rng(seed).permutation(len(names)) % folds)[numbers]


def check_members(members: Members) -> list[np.ndarray]:
    """Return the members' arrays; refuse none, and other shapes than the first one's.

    Raises:
        EnsembleError: There is no member, or an array is not `(n, classes)` as the others.
    """
    arrays = list(members.values())
    shapes = {name: found.shape for name, found in members.items()}
    if not arrays or arrays[0].ndim != 2 or len(set(shapes.values())) > 1:
        raise EnsembleError(f"members must be (n, classes), all of one shape. Got: {shapes}.")
    return arrays


def _least_log_loss(of_truth: np.ndarray) -> np.ndarray:
    """Minimise the mean of -log(of_truth @ weights), `(n, members)` above 0, over the simplex."""
    count = of_truth.shape[1]

    def loss_and_slope(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = of_truth @ weights
        return -np.log(mixed).mean(), -(of_truth / mixed[:, None]).mean(axis=0)

    found = minimize(
        loss_and_slope,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-10, "maxiter": 1000},
    )
    if not found.success:
        raise EnsembleError(f"the weights must be found. Got: {found.message}.")
    weights = np.clip(found.x, 0, 1)
    return weights / weights.sum()
