"""Binary targets, thresholds for a wanted sensitivity or specificity, and what they reach.

A case is positive where its score is at or above the threshold. Choose on out-of-fold cases only:
the test set would make its own figures look better than they are. What a threshold reaches on the
cases that it was chosen on is no promise; `pipeline.scoring.decisions` measures it on others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from pipeline.classes import CLASSES


@dataclass(frozen=True, eq=False)
class BinaryCases:
    """Cases of one binary target, such as melanoma, and what a model says of them.

    Attributes:
        positive: Truth, `(n,)` bool.
        scores: `(n,)` float, finite, higher for more likely; probabilities where so stated.
    """

    positive: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        _require_finite(self.scores)

    def __len__(self) -> int:
        return len(self.positive)

    def only(self, chosen: np.ndarray) -> Self:
        """Return some of the cases, by index or mask."""
        return type(self)(self.positive[chosen], self.scores[chosen])


def binary_cases(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> BinaryCases:
    """Set some of the nine classes against the others.

    Args:
        labels: Truth, indices into `CLASSES`, `(n,)` int.
        probabilities: `(n, 9)`; those of `classes` are added up.
        classes: The positive ones. Whether AK is among the malignant is the caller's policy.

    Raises:
        ValueError: A class is unknown, stands twice, or there is none.
    """
    if not classes or len(set(classes)) < len(classes) or not set(classes) <= set(CLASSES):
        raise ValueError(
            f"classes must be some of {list(CLASSES)}, each once. Got: {list(classes)}."
        )
    columns = [CLASSES.index(name) for name in classes]
    # Rounding may lift a sum of probabilities a little above one.
    scores = np.minimum(probabilities[:, columns].sum(axis=1, dtype=np.float64), 1.0)
    return BinaryCases(np.isin(labels, columns), scores)


@dataclass(frozen=True)
class ChosenThreshold:
    """A threshold, the rule that chose it, and what it reached on the cases that it was chosen on.

    Attributes:
        quantity: What was wanted: `sensitivity` or `specificity`.
        wanted: At least this much of it, in (0, 1].
        threshold: `None` where no threshold reaches it.
        sensitivity: Reached; `None` where undefined.
        specificity: Reached; `None` where undefined.
        n: How many cases it was chosen on.
        positives: How many of them were positive.
    """

    quantity: str
    wanted: float
    threshold: float | None
    sensitivity: float | None
    specificity: float | None
    n: int
    positives: int


def choose_thresholds(
    cases: BinaryCases, *, sensitivities: Sequence[float], specificities: Sequence[float]
) -> list[ChosenThreshold]:
    """Choose a threshold for each wanted sensitivity, then for each wanted specificity.

    Args:
        cases: Out-of-fold, or of the calibration part.
        sensitivities: Each in (0, 1].
        specificities: Each in (0, 1].

    Raises:
        ValueError: A wanted share is outside (0, 1].
    """
    rules = [("sensitivity", highest_threshold, wanted) for wanted in sensitivities]
    rules += [("specificity", lowest_threshold, wanted) for wanted in specificities]
    found = []
    for quantity, choose, wanted in rules:
        threshold = choose(cases.scores, cases.positive, wanted)
        reached: list[float | None] = [None, None]
        if threshold is not None:
            ones = np.ones((1, len(cases)), np.int64)
            flagged = cases.scores >= threshold
            shares = sensitivity_and_specificity(flagged, cases.positive, ones)
            reached = [None if np.isnan(share) else float(share) for (share,) in shares]
        counted = (len(cases), int(cases.positive.sum()))
        found.append(ChosenThreshold(quantity, wanted, threshold, *reached, *counted))
    return found


def highest_threshold(scores: np.ndarray, positive: np.ndarray, sensitivity: float) -> float | None:
    """Find the highest threshold that still reaches a sensitivity.

    Args:
        scores: `(n,)` float, finite.
        positive: Truth, `(n,)` bool.
        sensitivity: Wanted share of the positives, in (0, 1].

    Returns:
        The score of one of the positives, or `None` where there is no positive.

    Raises:
        ValueError: A score is not finite, or the sensitivity is outside (0, 1].
    """
    _require_share("sensitivity", sensitivity)
    _require_finite(scores)
    descending = np.sort(scores[positive])[::-1]
    count = len(descending)
    if count == 0:
        return None
    # Shares as divisions: ceil(0.07 * 100) would ask for eight positives, not seven.
    reached = np.arange(1, count + 1) / count >= sensitivity
    return float(descending[np.argmax(reached)])


def lowest_threshold(scores: np.ndarray, positive: np.ndarray, specificity: float) -> float | None:
    """Find the lowest score that, as threshold, still reaches a specificity.

    Args:
        scores: `(n,)` float, finite.
        positive: Truth, `(n,)` bool.
        specificity: Wanted share of the negatives, in (0, 1].

    Returns:
        The score of one of the cases, or `None` where there is no negative, or where only a
        threshold above all scores would do: to flag nobody is no operating point.

    Raises:
        ValueError: A score is not finite, or the specificity is outside (0, 1].
    """
    _require_share("specificity", specificity)
    _require_finite(scores)
    negatives = np.sort(scores[~positive])
    if len(negatives) == 0:
        return None
    candidates = np.unique(scores)
    # How many negatives lie below each candidate, that is, are not flagged.
    reached = np.searchsorted(negatives, candidates, side="left") / len(negatives) >= specificity
    return float(candidates[np.argmax(reached)]) if reached.any() else None


def sensitivity_and_specificity(
    flagged: np.ndarray, positive: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Measure a decision, for one weighing of the cases or many at once.

    Args:
        flagged: Which cases are at or above the threshold, `(n,)` bool.
        positive: Truth, `(n,)` bool.
        counts: How often each case stands in each resample, `(repeats, n)` int; ones for the plain
            value.

    Returns:
        Share of the positives flagged and share of the negatives not flagged, each `(repeats,)`
        float64; NaN where there are none.
    """
    return (
        share(flagged & positive, positive, counts),
        share(~flagged & ~positive, ~positive, counts),
    )


def rates_by_threshold(cases: BinaryCases) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trace sensitivity and specificity over all thresholds that tell cases apart.

    Returns:
        Thresholds, the distinct scores rising, and both shares at each, `(thresholds,)`; a share is
        NaN throughout where there is no positive, or no negative.
    """
    thresholds = np.unique(cases.scores)
    below = [
        np.searchsorted(np.sort(cases.scores[part]), thresholds, side="left")
        / (part.sum() if part.any() else np.nan)
        for part in (cases.positive, ~cases.positive)
    ]
    return thresholds, 1 - below[0], below[1]


def share(part: np.ndarray, whole: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the share of some cases among others, `(repeats,)`; NaN of none.

    Args:
        part: Cases of the whole, `(n,)` bool.
        whole: `(n,)` bool.
        counts: `(repeats, n)` int.
    """
    total = counts[:, whole].sum(axis=1)
    found = counts[:, part].sum(axis=1)
    return np.divide(found, total, out=np.full(len(counts), np.nan), where=total > 0)


def _require_share(name: str, wanted: float) -> None:
    if not 0 < wanted <= 1:
        raise ValueError(f"{name} must be in (0, 1]. Got: {wanted}.")


def _require_finite(scores: np.ndarray) -> None:
    if not np.isfinite(scores).all():
        raise ValueError(f"scores must be finite. Got: {scores[~np.isfinite(scores)][:5]}.")
