"""Metrics of nine-class predictions, for one weighing of the cases or many at once.

Conventions: `labels` and `predicted` are indices into `CLASSES`, `(n,)` int; `scores` are `(n, 9)`,
higher for more likely; `counts` is `(repeats, n)` int, how often each case stands in each resample
(`every_case_once` for the plain value). Results are `(repeats,)` or `(repeats, 9)` float64, with
NaN where a metric is undefined; what is reported turns NaN into `None`.

A class without a case has no recall, F1, AUROC or average precision; one that is never predicted
has no precision. A macro mean is over the classes that the test set holds, the same in all
resamples: one that lacks a class is undefined. Defined values agree with scikit-learn's.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.classes import CLASSES

PER_CLASS = ("precision", "recall", "f1", "auroc", "average_precision")


@dataclass(frozen=True, eq=False)
class ScoredCases:
    """Cases with their truth and what one model says of them.

    Attributes:
        labels: Truth, `(n,)`.
        predicted: Predicted class, `(n,)`.
        scores: What AUROC and average precision rank the cases by, or `None` for neither.
        probabilities: What the log loss is of, or `None` for none.
    """

    labels: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray | None
    probabilities: np.ndarray | None

    def __len__(self) -> int:
        return len(self.labels)


def measure(cases: ScoredCases, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Compute every metric under its flat name: `accuracy`, `macro_auroc`, `auroc_MEL` ….

    Args:
        cases: At least one case.
        counts: `(repeats, len(cases))` int.

    Returns:
        Name to values, each `(repeats,)` float64.
    """
    present = class_counts(cases.labels) > 0
    table = confusion(cases.labels, cases.predicted, counts)
    by_class = {"precision": precision(table), "recall": recall(table), "f1": f1(table)}
    found = {
        "accuracy": accuracy(table),
        "balanced_accuracy": macro_mean(by_class["recall"], present),
        "macro_f1": macro_mean(by_class["f1"], present),
    }
    if cases.scores is not None:
        for name, metric in (("auroc", auroc), ("average_precision", average_precision)):
            columns = [
                metric(cases.labels == k, cases.scores[:, k], counts) for k in range(len(CLASSES))
            ]
            by_class[name] = np.stack(columns, axis=1)
        contrasted = auroc_classes(cases.labels)
        found["macro_auroc"] = macro_mean(by_class["auroc"], contrasted)
        found["macro_average_precision"] = macro_mean(by_class["average_precision"], present)
    if cases.probabilities is not None:
        found["log_loss"] = log_loss(cases.labels, cases.probabilities, counts)
    for name, values in by_class.items():
        found |= {f"{name}_{label}": values[:, k] for k, label in enumerate(CLASSES)}
    return found


def every_case_once(n: int) -> np.ndarray:
    """Return the counts of the cases as they are, `(1, n)`."""
    return np.ones((1, n), np.int64)


def class_counts(labels: np.ndarray) -> np.ndarray:
    """Count the cases of each class, `(9,)` int."""
    return np.bincount(labels, minlength=len(CLASSES))


def auroc_classes(labels: np.ndarray) -> np.ndarray:
    """Say for which classes there are both positives and negatives, `(9,)` bool."""
    cases = class_counts(labels)
    return (cases > 0) & (cases < len(labels))


def majority_accuracy(labels: np.ndarray) -> float:
    """Return the share of the commonest class: the accuracy of always saying it."""
    return float(class_counts(labels).max() / len(labels))


def auroc(positives: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Area under the ROC curve: how often a positive scores above a negative; a tie is half.

    Own arithmetic, not scikit-learn's: all resamples at once, and exact, because it counts pairs.

    Args:
        positives: `(n,)` bool.
        scores: `(n,)` float.
        counts: `(repeats, n)` int.

    Returns:
        `(repeats,)`; NaN where positives or negatives are absent.
    """
    hits, others = _by_threshold(positives, scores, counts)
    lower = np.cumsum(others, axis=1) - others
    pairs_won_twice = (hits * (2 * lower + others)).sum(axis=1)
    return _ratio(pairs_won_twice, 2 * hits.sum(axis=1) * others.sum(axis=1))


def average_precision(positives: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sum of precision times the rise in recall, over falling thresholds; no interpolation.

    Args:
        positives: `(n,)` bool.
        scores: `(n,)` float.
        counts: `(repeats, n)` int.

    Returns:
        `(repeats,)`; NaN where positives are absent.
    """
    hits, others = (part[:, ::-1] for part in _by_threshold(positives, scores, counts))
    found = np.cumsum(hits, axis=1)
    # Nothing is found yet only where the rise in recall is zero too.
    precisions = found / np.maximum(found + np.cumsum(others, axis=1), 1)
    return _ratio((hits * precisions).sum(axis=1), hits.sum(axis=1))


def roc_curve(positives: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the ROC curve's corners, `(points, 2)`: false positive rate, sensitivity.

    Empty, `(0, 2)`, where positives or negatives are absent.
    """
    hits, others = _by_threshold(positives, scores, every_case_once(len(scores)))
    if not hits.any() or not others.any():
        return np.empty((0, 2))
    steps = np.stack([others[0, ::-1], hits[0, ::-1]], axis=1)
    # Points inside a straight stretch are left out: steps of one direction have cross product 0.
    turns = steps[:-1, 0] * steps[1:, 1] != steps[:-1, 1] * steps[1:, 0]
    corners = steps.cumsum(axis=0)[np.append(turns, True)]
    return np.concatenate([[[0.0, 0.0]], corners / corners[-1]])


def confusion(labels: np.ndarray, predicted: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Count cases by true (row) and predicted (column) class, `(repeats, 9, 9)` int."""
    size = len(CLASSES)
    cells = labels * size + predicted
    # Sums of whole numbers in float64 are exact.
    tables = [np.bincount(cells, weights=row, minlength=size * size) for row in counts]
    return np.reshape(tables, (len(counts), size, size)).astype(np.int64)


def accuracy(table: np.ndarray) -> np.ndarray:
    """Share of cases on the diagonal of `confusion`, `(repeats,)`."""
    return _ratio(np.trace(table, axis1=1, axis2=2), table.sum(axis=(1, 2)))


def recall(table: np.ndarray) -> np.ndarray:
    """Share of each true class that is found, `(repeats, 9)`."""
    return _ratio(_diagonal(table), table.sum(axis=2))


def precision(table: np.ndarray) -> np.ndarray:
    """Share of each predicted class that is right, `(repeats, 9)`."""
    return _ratio(_diagonal(table), table.sum(axis=1))


def f1(table: np.ndarray) -> np.ndarray:
    """Harmonic mean of precision and recall, `(repeats, 9)`; 0 for a class that is never found."""
    cases, said = table.sum(axis=2), table.sum(axis=1)
    return np.where(cases > 0, _ratio(2 * _diagonal(table), cases + said), np.nan)


def macro_mean(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Average `(repeats, 9)` over some classes, `(9,)` bool; NaN where one is, or none is given."""
    return _ratio(values[:, classes].sum(axis=1), np.full(len(values), classes.sum()))


def log_loss(labels: np.ndarray, probabilities: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean negative logarithm of the true class's probability, `(repeats,)`.

    NaN where a true class has probability 0, which makes it infinite.
    """
    of_truth = probabilities[np.arange(len(labels)), labels]
    possible = of_truth > 0
    losses = -np.log(np.where(possible, of_truth, 1.0))
    mean = _ratio((counts * losses).sum(axis=1), counts.sum(axis=1))
    return np.where(counts[:, ~possible].any(axis=1), np.nan, mean)


def _by_threshold(
    positives: np.ndarray, scores: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count positives and negatives at each distinct score, ascending, `(repeats, scores)` int."""
    order = np.argsort(scores, kind="stable")
    ascending = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))
    ordered = counts[:, order]
    hits = np.add.reduceat(ordered * positives[order], starts, axis=1)
    return hits, np.add.reduceat(ordered, starts, axis=1) - hits


def _diagonal(table: np.ndarray) -> np.ndarray:
    return np.diagonal(table, axis1=1, axis2=2)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide; NaN where the whole is zero."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0)
