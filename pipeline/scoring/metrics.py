"""Metrics of nine-class predictions, for one weighing of the cases or many at once.

Conventions: `labels` and `predicted` are indices into `CLASSES`, `(n,)` int; `scores` are `(n, 9)`,
higher for more likely; `counts` is `(repeats, n)` int, how often each case stands in each resample
(`every_case_once` for the plain value). Results are `(repeats,)` or `(repeats, 9)` float64, with
NaN where a metric is undefined; what is reported turns NaN into `None`.

A class without a case has no recall, F1, AUROC or average precision; one that is never predicted
has no precision. A macro mean is over the classes that the test set holds, the same in all
resamples: one that lacks a class is undefined. Defined values agree with scikit-learn's where it
has the metric; `ranking` says which partial area is which.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.classes import CLASSES
from pipeline.scoring.confusion import (
    accuracy,
    confusion,
    cost_weighted_error,
    f1,
    precision,
    ratio,
    recall,
)
from pipeline.scoring.ranking import RANKED, by_threshold, whole_area, whole_precision

PER_CLASS = ("precision", "recall", "f1", *RANKED)

# Values of `counts` that are worked on at once: 8 MiB, and some ten times that with what is derived
# from them. All of 500 resamples of 60,000 cases at once would take 3 GB.
BLOCK_VALUES = 1 << 20


@dataclass(frozen=True, eq=False)
class ScoredCases:
    """Cases with their truth and what one model says of them.

    Attributes:
        labels: Truth, `(n,)`.
        predicted: Predicted class, `(n,)`.
        scores: What AUROC and average precision rank the cases by, or `None` for neither.
        probabilities: What log loss, Brier score and the second place are of, or `None` for none.
    """

    labels: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray | None
    probabilities: np.ndarray | None

    def __len__(self) -> int:
        return len(self.labels)


def measure(
    cases: ScoredCases, counts: np.ndarray, costs: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Compute every metric under its flat name: `accuracy`, `macro_auroc`, `auroc_MEL` ….

    Args:
        cases: At least one case.
        counts: `(repeats, len(cases))` int.
        costs: What `cost_weighted_error` is of, or `None` for none.

    Returns:
        Name to values, each `(repeats,)` float64.
    """
    blocks = [_measure_block(cases, block, costs) for block in row_blocks(counts)]
    return {name: np.concatenate([found[name] for found in blocks]) for name in blocks[0]}


def row_blocks(counts: np.ndarray) -> Iterator[np.ndarray]:
    """Cut `(repeats, n)` counts into blocks of resamples that fit in little memory."""
    rows = max(1, BLOCK_VALUES // counts.shape[1])
    for start in range(0, len(counts), rows):
        yield counts[start : start + rows]


def _measure_block(
    cases: ScoredCases, counts: np.ndarray, costs: np.ndarray | None
) -> dict[str, np.ndarray]:
    present = class_counts(cases.labels) > 0
    table = confusion(cases.labels, cases.predicted, counts)
    by_class = {"precision": precision(table), "recall": recall(table), "f1": f1(table)}
    found = {
        "accuracy": accuracy(table),
        "balanced_accuracy": macro_mean(by_class["recall"], present),
        "macro_f1": macro_mean(by_class["f1"], present),
    }
    if costs is not None:
        found["cost_weighted_error"] = cost_weighted_error(table, costs)
    if cases.scores is not None:
        ranked = _rank_classes(cases, counts)
        contrasted = auroc_classes(cases.labels)
        for name, values in ranked.items():
            counted = present if name == "average_precision" else contrasted
            found[f"macro_{name}"] = macro_mean(values, counted)
        by_class |= ranked
    if cases.probabilities is not None:
        found["log_loss"] = log_loss(cases.labels, cases.probabilities, counts)
        found["brier_score"] = brier_score(cases.labels, cases.probabilities, counts)
        found["top_2_accuracy"] = top_2_accuracy(cases, counts)
    for name, values in by_class.items():
        found |= {f"{name}_{label}": values[:, k] for k, label in enumerate(CLASSES)}
    return found


def _rank_classes(cases: ScoredCases, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the metrics `RANKED` of each class against the rest, each `(repeats, 9)`."""
    columns = []
    for k in range(len(CLASSES)):
        both = by_threshold(cases.labels == k, cases.scores[:, k], counts)
        columns.append([metric(*both) for metric in RANKED.values()])
    return dict(zip(RANKED, np.moveaxis(columns, 0, 2), strict=True))


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
    return whole_area(*by_threshold(positives, scores, counts))


def average_precision(positives: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sum of precision times the rise in recall, over falling thresholds; no interpolation.

    Args:
        positives: `(n,)` bool.
        scores: `(n,)` float.
        counts: `(repeats, n)` int.

    Returns:
        `(repeats,)`; NaN where positives are absent.
    """
    return whole_precision(*by_threshold(positives, scores, counts))


def roc_curve(positives: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the ROC curve's corners, `(points, 2)`: false positive rate, sensitivity.

    Empty, `(0, 2)`, where positives or negatives are absent.
    """
    hits, others = by_threshold(positives, scores, every_case_once(len(scores)))
    if not hits.any() or not others.any():
        return np.empty((0, 2))
    steps = np.stack([others[0, ::-1], hits[0, ::-1]], axis=1)
    # Points inside a straight stretch are left out: steps of one direction have cross product 0.
    turns = steps[:-1, 0] * steps[1:, 1] != steps[:-1, 1] * steps[1:, 0]
    corners = steps.cumsum(axis=0)[np.append(turns, True)]
    return np.concatenate([[[0.0, 0.0]], corners / corners[-1]])


def macro_mean(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Average `(repeats, 9)` over some classes, `(9,)` bool; NaN where one is, or none is given."""
    return ratio(values[:, classes].sum(axis=1), np.full(len(values), classes.sum()))


def log_loss(labels: np.ndarray, probabilities: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean negative logarithm of the true class's probability, `(repeats,)`.

    NaN where a true class has probability 0, which makes it infinite.
    """
    of_truth = probabilities[np.arange(len(labels)), labels]
    possible = of_truth > 0
    losses = -np.log(np.where(possible, of_truth, 1.0))
    return np.where(counts[:, ~possible].any(axis=1), np.nan, _weighted_mean(losses, counts))


def brier_score(labels: np.ndarray, probabilities: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean over the cases of the squared errors of the nine probabilities, summed, `(repeats,)`.

    From 0 to 2, Brier's own scale of 1950: 8/9 for nine equal probabilities.
    """
    errors = np.array(probabilities, np.float64)
    errors[np.arange(len(labels)), labels] -= 1
    return _weighted_mean((errors**2).sum(axis=1), counts)


def top_2_accuracy(cases: ScoredCases, counts: np.ndarray) -> np.ndarray:
    """Share of cases whose truth is the predicted class or the likeliest of the others.

    Never below the accuracy. Each of k others that tie for the second place counts 1/k: a one-hot
    answer does not name the first class of the list as its second guess.

    Args:
        cases: With probabilities.
        counts: `(repeats, len(cases))` int.

    Returns:
        `(repeats,)`.
    """
    rows = np.arange(len(cases))
    others = np.array(cases.probabilities, np.float64)
    others[rows, cases.predicted] = -np.inf
    likeliest = others == others.max(axis=1, keepdims=True)
    second = likeliest[rows, cases.labels] / likeliest.sum(axis=1)
    return _weighted_mean(np.where(cases.labels == cases.predicted, 1.0, second), counts)


def _weighted_mean(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Average the cases' values, `(n,)`, in each resample."""
    return ratio((counts * values).sum(axis=1), counts.sum(axis=1))
