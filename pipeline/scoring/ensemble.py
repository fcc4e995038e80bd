"""Rank scores, their average over the members, and probabilities.

A member's score of a case is ranked against that member's own out-of-fold scores, kept as a
reference, and never inside a batch: one image alone has the same score as among thousands. Rank
scores order the cases of one class; they are not probabilities and not comparable across classes,
so labels come from a multinomial logistic map of the nine rank averages.

Arrays have one row per case and nine columns in the order of `CLASSES`. All arithmetic is
elementwise in a fixed order, without BLAS: bit-identical alone and in any batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from pipeline.classes import CLASSES
from pipeline.storage import atomic_write, read_json

# exp of it is exactly 0 in float32 and float64: a class that was never seen gets probability 0.
NEVER = -1e9


class EnsembleError(ValueError):
    """Scores, reference or probability map are not what the ensemble needs."""


@dataclass(frozen=True, eq=False)
class ProbabilityMap:
    """Softmax of a linear map of the logits of the nine rank averages.

    Attributes:
        coefficients: `(9, 9)` float64, from the column's logit to the row's class.
        intercepts: `(9,)` float64.
        clip: Rank averages are brought into [clip, 1 - clip] before the logit, in (0, 0.5].
    """

    coefficients: np.ndarray
    intercepts: np.ndarray
    clip: float

    def __post_init__(self) -> None:
        count = len(CLASSES)
        if self.coefficients.shape != (count, count) or self.intercepts.shape != (count,):
            raise EnsembleError(
                f"coefficients must be ({count}, {count}) and intercepts ({count},). "
                f"Got: {self.coefficients.shape} and {self.intercepts.shape}."
            )
        if not (np.isfinite(self.coefficients).all() and np.isfinite(self.intercepts).all()):
            raise EnsembleError("coefficients and intercepts must be finite.")
        if not 0 < self.clip <= 0.5:
            raise EnsembleError(f"clip must be in (0, 0.5]. Got: {self.clip}.")

    def apply(self, rank_average: np.ndarray) -> np.ndarray:
        """Turn rank averages into probabilities.

        Args:
            rank_average: `(m, 9)` float64 in [0, 1].

        Returns:
            `(m, 9)` float64; each row sums to one.
        """
        logits = rank_logits(rank_average, self.clip)
        total = np.tile(self.intercepts, (len(logits), 1))
        for column in range(len(CLASSES)):
            total = total + logits[:, column : column + 1] * self.coefficients[:, column]
        weights = np.exp(total - total.max(axis=1, keepdims=True))
        # `sum` adds the columns one after the other, whatever the number of rows.
        return weights / sum(weights.T)[:, None]

    def to_json(self) -> dict[str, Any]:
        """Return the map as JSON holds it; `from_json` brings it back bit for bit."""
        return {
            "classes": list(CLASSES),
            "clip": self.clip,
            "coefficients": self.coefficients.tolist(),
            "intercepts": self.intercepts.tolist(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Make the map of what `to_json` returned.

        Raises:
            EnsembleError: A key, the classes or a value is not what `ProbabilityMap` allows.
        """
        wanted = ["classes", "clip", "coefficients", "intercepts"]
        if not isinstance(data, dict) or sorted(data) != wanted:
            raise EnsembleError(f"probability map must have exactly the keys {wanted}.")
        if data["classes"] != list(CLASSES):
            raise EnsembleError(f"classes must be {list(CLASSES)}. Got: {data['classes']}.")
        coefficients = np.asarray(data["coefficients"], np.float64)
        return cls(coefficients, np.asarray(data["intercepts"], np.float64), float(data["clip"]))


def rank_against(reference: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Rank scores against a reference: (#below + #below-or-equal) / 2n.

    On the reference itself this equals (average rank - 0.5) / n, ties included.

    Args:
        reference: `(n,)` float, ascending, finite.
        scores: `(m,)` float, finite, of the same precision: a float32 score that went through
            rounding on the way is no longer level with itself.

    Returns:
        `(m,)` float64 in [0, 1].

    Raises:
        EnsembleError: The reference is empty or a score is not finite.
    """
    if len(reference) == 0:
        raise EnsembleError("reference must have at least one score. Got: none.")
    if not np.isfinite(scores).all():
        raise EnsembleError(f"scores must be finite. Got: {scores[~np.isfinite(scores)][:5]}.")
    below = np.searchsorted(reference, scores, side="left")
    below_or_equal = np.searchsorted(reference, scores, side="right")
    return (below + below_or_equal) / (2 * len(reference))


def rank_scores(reference: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Rank a member's scores class by class.

    Args:
        reference: From `make_reference`, `(n, 9)` float32.
        scores: `(m, 9)` float32.

    Returns:
        `(m, 9)` float64 in [0, 1].

    Raises:
        EnsembleError: As `rank_against`, or an array has not nine columns.
    """
    for name, array in (("reference", reference), ("scores", scores)):
        if array.ndim != 2 or array.shape[1] != len(CLASSES):
            raise EnsembleError(f"{name} must be (n, {len(CLASSES)}). Got: {array.shape}.")
    columns = [rank_against(reference[:, k], scores[:, k]) for k in range(len(CLASSES))]
    return np.stack(columns, axis=1)


def average_ranks(ranks: Sequence[np.ndarray]) -> np.ndarray:
    """Average the members' rank scores, each `(m, 9)`, in their order."""
    return sum(ranks[1:], start=ranks[0]) / len(ranks)


def rank_logits(rank_average: np.ndarray, clip: float) -> np.ndarray:
    """Return log(r / (1 - r)) of rank averages brought into [clip, 1 - clip]."""
    clipped = np.clip(rank_average, clip, 1 - clip)
    return np.log(clipped / (1 - clipped))


def fit_probability_map(
    rank_average: np.ndarray, labels: np.ndarray, regularisation_c: float
) -> ProbabilityMap:
    """Fit the multinomial map on out-of-fold cases.

    A class without a case gets probability exactly 0: nothing is known of when it should be said.

    Args:
        rank_average: `(n, 9)` float64, of the cases that make the references.
        labels: Index into `CLASSES`, `(n,)` int.
        regularisation_c: scikit-learn's C, inverse strength of the squared penalty.

    Raises:
        EnsembleError: There is no case.
    """
    if len(labels) == 0:
        raise EnsembleError("the probability map needs at least one out-of-fold case. Got: none.")
    clip = 0.5 / len(labels)
    present = np.unique(labels)
    coefficients = np.zeros((len(CLASSES), len(CLASSES)))
    intercepts = np.full(len(CLASSES), NEVER)
    intercepts[present] = 0.0
    if len(present) > 1:
        # Imported here: the hospital's runtime scores with this module and has no scikit-learn.
        from sklearn.linear_model import LogisticRegression

        # Second order: 10 steps to 1e-6 where L-BFGS takes 100 and more, and the same every time.
        model = LogisticRegression(C=regularisation_c, solver="newton-cholesky", tol=1e-6)
        model.fit(rank_logits(rank_average, clip), labels)
        # With two classes scikit-learn keeps one row, of the second against the first.
        rows = present if len(present) > 2 else present[1:]
        coefficients[rows], intercepts[rows] = model.coef_, model.intercept_
    return ProbabilityMap(coefficients, intercepts, clip)


def make_reference(scores: np.ndarray) -> np.ndarray:
    """Sort a member's out-of-fold scores, `(n, 9)`, column by column; float32 as in the graph."""
    return np.sort(np.asarray(scores, np.float32), axis=0)


def save_reference(path: Path, references: dict[str, np.ndarray]) -> None:
    """Write the members' references as `.npz`, in the order of the members."""
    for name, reference in references.items():
        check_reference(reference, f"{path}: reference of {name}")
    with atomic_write(path) as file:
        np.savez(file, **references)


def load_reference(path: Path) -> dict[str, np.ndarray]:
    """Read the members' references, each `(n, 9)` float32, columns ascending.

    Raises:
        EnsembleError: An array is something else.
    """
    with np.load(path, allow_pickle=False) as file:
        references = {name: file[name] for name in file.files}
    for name, reference in references.items():
        check_reference(reference, f"{path}: reference of {name}")
    return references


def check_reference(reference: np.ndarray, place: str) -> None:
    """Refuse what is not a reference; `place` opens the message."""
    if reference.ndim != 2 or reference.shape[1] != len(CLASSES) or reference.dtype != np.float32:
        raise EnsembleError(
            f"{place} must be (n, {len(CLASSES)}) float32. "
            f"Got: {reference.shape} {reference.dtype}."
        )
    if len(reference) == 0 or not np.isfinite(reference).all():
        raise EnsembleError(f"{place} must hold one or more rows of finite scores.")
    if (np.diff(reference, axis=0) < 0).any():
        raise EnsembleError(f"{place} must be ascending in every column.")


def load_probability_map(path: Path) -> ProbabilityMap:
    """Read what `ProbabilityMap.to_json` returned from a JSON file."""
    try:
        return ProbabilityMap.from_json(read_json(path))
    except (ValueError, TypeError) as error:
        raise EnsembleError(f"{path}: {error}") from error
