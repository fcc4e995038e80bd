"""Thresholds for a wanted sensitivity, and what is measured at a threshold.

A case is positive where its score is at or above the threshold. Choose on out-of-fold cases only:
the test set would make its own figures look better than they are.
"""

import numpy as np


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
    if not 0 < sensitivity <= 1:
        raise ValueError(f"sensitivity must be in (0, 1]. Got: {sensitivity}.")
    if not np.isfinite(scores).all():
        raise ValueError(f"scores must be finite. Got: {scores[~np.isfinite(scores)][:5]}.")
    descending = np.sort(scores[positive])[::-1]
    count = len(descending)
    if count == 0:
        return None
    # Shares as divisions: ceil(0.07 * 100) would ask for eight positives, not seven.
    reached = np.arange(1, count + 1) / count >= sensitivity
    return float(descending[np.argmax(reached)])


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
        _share(counts, flagged & positive, positive),
        _share(counts, ~flagged & ~positive, ~positive),
    )


def _share(counts: np.ndarray, part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    total = counts[:, whole].sum(axis=1)
    found = counts[:, part].sum(axis=1)
    return np.divide(found, total, out=np.full(len(counts), np.nan), where=total > 0)
