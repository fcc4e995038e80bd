"""How well scores put positives above negatives, and which part of the ROC curve is looked at.

`by_threshold` counts the positives and the negatives at each distinct score, ascending, in every
resample; all figures are made of these counts, `(repeats, thresholds)` int each. Results are
`(repeats,)` float64, NaN where positives or negatives are absent. Between thresholds the curve is
straight: tied cases count half.

Three partial areas that are easily confused; in brackets what a perfect, a constant and an inverted
score get with the level at 0.8:

- `auroc_above_sensitivity` (1, 0.18, 0): below the curve, right of where it first reaches the
  sensitivity. "AUC, Sens > 80%" of the ISIC leaderboards of 2018 and 2019.
- `isic_2024_pauc` (0.2, 0.02, 0): below the curve and above the sensitivity, in
  [0, 1 - sensitivity]. The metric of the ISIC challenge of 2024. The first is this one and the
  rectangle below it.
- `standardised_partial_auroc` (1, 0.5, 0.444): below the curve, left of a false positive rate,
  rescaled by McClish so that chance is 0.5. scikit-learn's `roc_auc_score(max_fpr=)`.
"""

from functools import partial

import numpy as np

from pipeline.scoring.confusion import ratio


def by_threshold(
    positives: np.ndarray, scores: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count positives and negatives at each distinct score, ascending.

    Args:
        positives: `(n,)` bool.
        scores: `(n,)` float.
        counts: `(repeats, n)` int.

    Returns:
        Positives and negatives, each `(repeats, distinct scores)` int.
    """
    order = np.argsort(scores, kind="stable")
    ascending = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))
    ordered = np.take(counts, order, axis=1)
    hits = np.add.reduceat(ordered * positives[order], starts, axis=1)
    return hits, np.add.reduceat(ordered, starts, axis=1) - hits


def whole_area(hits: np.ndarray, others: np.ndarray) -> np.ndarray:
    """AUROC from the counts at each score; see `metrics.auroc`."""
    lower = np.cumsum(others, axis=1) - others
    pairs_won_twice = (hits * (2 * lower + others)).sum(axis=1)
    return ratio(pairs_won_twice, 2 * hits.sum(axis=1) * others.sum(axis=1))


def whole_precision(hits: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Average precision from the counts at each score; see `metrics.average_precision`."""
    hits, others = hits[:, ::-1], others[:, ::-1]
    found = np.cumsum(hits, axis=1)
    # Nothing is found yet only where the rise in recall is zero too.
    precisions = found / np.maximum(found + np.cumsum(others, axis=1), 1)
    return ratio((hits * precisions).sum(axis=1), hits.sum(axis=1))


def precision_recall_curve(positives: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return sensitivity and precision at each threshold, falling, `(points, 2)`.

    Steps, not straight lines, lead from point to point: average precision is the area below them.
    Empty, `(0, 2)`, where positives or negatives are absent.
    """
    hits, others = by_threshold(positives, scores, np.ones((1, len(scores)), np.int64))
    if not hits.any() or not others.any():
        return np.empty((0, 2))
    found = hits[0, ::-1].cumsum()
    flagged = found + others[0, ::-1].cumsum()
    # A threshold that finds no further positive says nothing new: precision only falls.
    keep = np.diff(found, prepend=0) > 0
    return np.stack([found / found[-1], found / flagged], axis=1)[keep]


def auroc_above_sensitivity(
    hits: np.ndarray, others: np.ndarray, *, sensitivity: float
) -> np.ndarray:
    """Area below the ROC curve, right of where it first reaches a sensitivity.

    Args:
        hits: Positives at each score, `(repeats, thresholds)` int.
        others: Negatives, likewise.
        sensitivity: In (0, 1].

    Returns:
        `(repeats,)` in [0, 1], not rescaled: less than the whole AUROC but for a curve along the
        left edge.

    Raises:
        ValueError: The sensitivity is outside (0, 1].

    Source: `auc_above_sensitivity` of https://github.com/ImageMarkup/isic-challenge-scoring since
        its pull request 68; before, it took McClish's rescaled area from the plain one.
    """
    above = isic_2024_pauc(hits, others, sensitivity=sensitivity)
    falling, alarms = hits[:, ::-1], others[:, ::-1]
    found = np.cumsum(falling, axis=1)
    positives, negatives = (np.maximum(part.sum(axis=1), 1) for part in (hits, others))
    # Shares as divisions, as they are read: 8 of 10 is 0.8, while 0.8 * 10 may be rounded.
    first = (found / positives[:, None] >= sensitivity).argmax(axis=1)[:, None]
    found, last_hits, last_alarms, alarms = (
        np.take_along_axis(part, first, axis=1)[:, 0]
        for part in (found, falling, alarms, np.cumsum(alarms, axis=1))
    )
    surplus = (found - sensitivity * positives) / np.maximum(last_hits, 1)
    return above + sensitivity * (1 - (alarms - surplus * last_alarms) / negatives)


def isic_2024_pauc(hits: np.ndarray, others: np.ndarray, *, sensitivity: float) -> np.ndarray:
    """Area between the ROC curve and the level of a sensitivity.

    Args:
        hits: Positives at each score, `(repeats, thresholds)` int.
        others: Negatives, likewise.
        sensitivity: In (0, 1]; the challenge takes 0.8.

    Returns:
        `(repeats,)` in [0, 1 - sensitivity].

    Raises:
        ValueError: The sensitivity is outside (0, 1].

    Source: https://github.com/ISIC-Research/Challenge-2024-Metrics
    """
    if not 0 < sensitivity <= 1:
        raise ValueError(f"sensitivity must be in (0, 1]. Got: {sensitivity}.")
    # From the top right corner down: missed positives run, negatives let pass rise.
    return _area_before(hits, others, 1 - sensitivity)


def standardised_partial_auroc(
    hits: np.ndarray, others: np.ndarray, *, specificity: float
) -> np.ndarray:
    """Area below the ROC curve where the specificity is at least so high, chance brought to 0.5.

    Args:
        hits: Positives at each score, `(repeats, thresholds)` int.
        others: Negatives, likewise.
        specificity: In [0, 1).

    Returns:
        `(repeats,)`; 1 is perfect, 0.5 chance. At specificity 0 it is the AUROC.

    Raises:
        ValueError: The specificity is outside [0, 1).

    Source: McClish 1989, https://doi.org/10.1177/0272989X8900900307
    """
    if not 0 <= specificity < 1:
        raise ValueError(f"specificity must be in [0, 1). Got: {specificity}.")
    most = 1 - specificity
    by_chance = most**2 / 2
    area = _area_before(others[:, ::-1], hits[:, ::-1], most)
    return (1 + (area - by_chance) / (most - by_chance)) / 2


def _area_before(widths: np.ndarray, heights: np.ndarray, share: float) -> np.ndarray:
    """Area below a curve of straight stretches in the unit square, up to a share of its width.

    Args:
        widths: How far each stretch runs, `(repeats, stretches)` int; the sum is the unit.
        heights: How far it rises, likewise.
        share: In [0, 1].

    Returns:
        `(repeats,)`; NaN where the widths or the heights are all 0.
    """
    width = widths.sum(axis=1)
    start = np.cumsum(widths, axis=1) - widths
    inside = np.clip(share * width[:, None] - start, 0, widths)
    bottom = np.cumsum(heights, axis=1) - heights
    area = (inside * (bottom + heights * inside / np.maximum(widths, 1) / 2)).sum(axis=1)
    return ratio(area, width * heights.sum(axis=1))


# The levels are part of the names: ISIC's, and its mirror image.
RANKED = {
    "auroc": whole_area,
    "average_precision": whole_precision,
    "auroc_above_80_sensitivity": partial(auroc_above_sensitivity, sensitivity=0.8),
    "isic_2024_pauc": partial(isic_2024_pauc, sensitivity=0.8),
    "partial_auroc_above_80_specificity": partial(standardised_partial_auroc, specificity=0.8),
}
