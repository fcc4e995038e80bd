"""Rank scores, their average over the members, and the mean of the members' logits.

A member's score of a case is ranked against that member's own out-of-fold scores, kept as a
reference, and never inside a batch: one image alone has the same score as among thousands. Rank
scores order the cases of one class; they are not probabilities and not comparable across classes,
so labels come from a map to probabilities (`probability_map`).

Arrays have one row per case and nine columns in the order of `CLASSES`. All arithmetic is
elementwise in a fixed order, without BLAS: bit-identical alone and in any batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from pipeline.classes import CLASSES
from pipeline.storage import atomic_write

# A float32 softmax comes down to 0, whose logarithm is not finite.
LEAST_SCORE = 1e-7


class EnsembleError(ValueError):
    """Scores or reference are not what the ensemble needs."""


@dataclass(frozen=True, eq=False)
class Combined:
    """The members' scores of some cases, joined in the two ways that probabilities are made from.

    Attributes:
        rank_average: Mean of the members' rank scores, `(m, 9)` float64 in [0, 1].
        mean_logits: Mean of the logarithms of the members' probabilities, `(m, 9)` float64. Logits
            of a softmax are these up to one number per case, which no softmax of them notices.
    """

    rank_average: np.ndarray
    mean_logits: np.ndarray

    def only(self, chosen: np.ndarray) -> Self:
        """Return some of the cases, by index or mask."""
        return replace(
            self, rank_average=self.rank_average[chosen], mean_logits=self.mean_logits[chosen]
        )


def combine(references: Mapping[str, np.ndarray], scores: Mapping[str, np.ndarray]) -> Combined:
    """Join the members' scores.

    Args:
        references: Member name to what `make_reference` returned.
        scores: Member name to probabilities, `(m, 9)` float32, in the members' order.

    Raises:
        EnsembleError: As `rank_scores`.
    """
    ranks = [rank_scores(references[name], found) for name, found in scores.items()]
    return Combined(
        average_members(ranks), average_members([log_scores(found) for found in scores.values()])
    )


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


def average_members(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Average what each member says, `(m, 9)` each, in the members' order."""
    return sum(parts[1:], start=parts[0]) / len(parts)


def log_scores(scores: np.ndarray) -> np.ndarray:
    """Return the logarithms of probabilities, in float64; of `LEAST_SCORE` where one is less."""
    return np.log(np.maximum(scores.astype(np.float64), LEAST_SCORE))


def rank_logits(rank_average: np.ndarray, clip: float) -> np.ndarray:
    """Return log(r / (1 - r)) of rank averages brought into [clip, 1 - clip]."""
    clipped = np.clip(rank_average, clip, 1 - clip)
    return np.log(clipped / (1 - clipped))


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
