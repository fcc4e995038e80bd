"""What can be read off a table of true and predicted classes, for many resamples at once.

Conventions and undefined figures are those of `metrics`; tables are `(repeats, 9, 9)` int, truth in
rows.
"""

import numpy as np

from pipeline.classes import CLASSES


def confusion(labels: np.ndarray, predicted: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Count cases by true (row) and predicted (column) class, `(repeats, 9, 9)` int."""
    size = len(CLASSES)
    cells = labels * size + predicted
    # Sums of whole numbers in float64 are exact.
    tables = [np.bincount(cells, weights=row, minlength=size * size) for row in counts]
    return np.reshape(tables, (len(counts), size, size)).astype(np.int64)


def accuracy(table: np.ndarray) -> np.ndarray:
    """Share of cases on the diagonal of `confusion`, `(repeats,)`."""
    return ratio(np.trace(table, axis1=1, axis2=2), table.sum(axis=(1, 2)))


def recall(table: np.ndarray) -> np.ndarray:
    """Share of each true class that is found, `(repeats, 9)`."""
    return ratio(_diagonal(table), table.sum(axis=2))


def precision(table: np.ndarray) -> np.ndarray:
    """Share of each predicted class that is right, `(repeats, 9)`."""
    return ratio(_diagonal(table), table.sum(axis=1))


def f1(table: np.ndarray) -> np.ndarray:
    """Harmonic mean of precision and recall, `(repeats, 9)`; 0 for a class that is never found."""
    cases, said = table.sum(axis=2), table.sum(axis=1)
    return np.where(cases > 0, ratio(2 * _diagonal(table), cases + said), np.nan)


def cost_weighted_error(table: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Mean cost of a case, by what it is and what was said.

    Args:
        table: From `confusion`.
        costs: By true (row) and predicted (column) class, `(9, 9)` float, from the caller's params;
            with 1 off the diagonal and 0 on it this is 1 - accuracy.

    Returns:
        `(repeats,)`, in the unit of the costs.

    Raises:
        ValueError: The costs are of another shape, or not all finite.
    """
    if costs.shape != (len(CLASSES), len(CLASSES)) or not np.isfinite(costs).all():
        raise ValueError(
            f"costs must be {(len(CLASSES), len(CLASSES))} finite numbers. Got: {costs.shape}, "
            f"{(~np.isfinite(costs)).sum()} not finite."
        )
    return ratio((table * costs).sum(axis=(1, 2)), table.sum(axis=(1, 2)))


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide; NaN where the whole is zero."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0)


def _diagonal(table: np.ndarray) -> np.ndarray:
    return np.diagonal(table, axis1=1, axis2=2)
