"""Maps from the members' joined scores to nine probabilities that sum to one.

| method | what it maps | by |
|---|---|---|
| `rank_logistic` | logits of the nine rank averages | multinomial logistic regression |
| `temperature` | mean logits of the members | one number that divides them (Guo 2017) |
| `dirichlet` | mean logits of the members | multinomial logistic regression (Kull 2019) |
| `isotonic` | softmax of the mean logits | a rising curve per class, then divided by the sum |

Each is applied here in NumPy and written into the graph by `deploy.merge`, with the same
arithmetic: elementwise in a fixed order, without BLAS, bit-identical alone and in any batch.
`calibration` fits them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from pipeline.classes import CLASSES
from pipeline.scoring.ensemble import Combined, EnsembleError
from pipeline.storage import read_json

RANK_LOGISTIC = "rank_logistic"
TEMPERATURE = "temperature"
DIRICHLET = "dirichlet"
ISOTONIC = "isotonic"
METHODS = (RANK_LOGISTIC, TEMPERATURE, DIRICHLET, ISOTONIC)

# exp of it is exactly 0 in float32 and float64: a class that was never seen gets probability 0.
NEVER = -1e9


@dataclass(frozen=True, eq=False)
class LinearMap:
    """Softmax of a linear map of nine logits: every method but `isotonic`.

    Attributes:
        method: `rank_logistic`, `temperature` or `dirichlet`.
        coefficients: `(9, 9)` float64, from the column's logit to the row's class.
        intercepts: `(9,)` float64.
        clip: Rank averages are brought into [clip, 1 - clip] before the logit, in (0, 0.5]; `None`
            where the mean logits are mapped.
    """

    method: str
    coefficients: np.ndarray
    intercepts: np.ndarray
    clip: float | None

    def __post_init__(self) -> None:
        count = len(CLASSES)
        if self.coefficients.shape != (count, count) or self.intercepts.shape != (count,):
            raise EnsembleError(
                f"coefficients must be ({count}, {count}) and intercepts ({count},). "
                f"Got: {self.coefficients.shape} and {self.intercepts.shape}."
            )
        if not (np.isfinite(self.coefficients).all() and np.isfinite(self.intercepts).all()):
            raise EnsembleError("coefficients and intercepts must be finite.")
        if self.method == RANK_LOGISTIC:
            if self.clip is None or not 0 < self.clip <= 0.5:
                raise EnsembleError(f"clip must be in (0, 0.5]. Got: {self.clip}.")
        elif self.clip is not None:
            raise EnsembleError(f"clip must be null with {self.method}. Got: {self.clip}.")

    def apply(self, combined: Combined) -> np.ndarray:
        """Turn joined scores into probabilities, `(m, 9)` float64; each row sums to one."""
        logits = self.logits(combined)
        total = np.tile(self.intercepts, (len(logits), 1))
        for column in range(len(CLASSES)):
            total = total + logits[:, column : column + 1] * self.coefficients[:, column]
        return softmax(total)

    def logits(self, combined: Combined) -> np.ndarray:
        """Return what is mapped, `(m, 9)` float64."""
        if self.clip is None:
            return combined.mean_logits
        return rank_logits(combined.rank_average, self.clip)

    def to_json(self) -> dict[str, Any]:
        """Return the map as JSON holds it; `from_json` brings it back bit for bit."""
        return {
            "method": self.method,
            "classes": list(CLASSES),
            "clip": self.clip,
            "coefficients": self.coefficients.tolist(),
            "intercepts": self.intercepts.tolist(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Make the map of what `to_json` returned.

        Raises:
            EnsembleError: A key or a value is not what the map allows.
        """
        check_keys(data, "clip", "coefficients", "intercepts")
        return cls(
            data["method"],
            np.asarray(data["coefficients"], np.float64),
            np.asarray(data["intercepts"], np.float64),
            None if data["clip"] is None else float(data["clip"]),
        )


@dataclass(frozen=True, eq=False)
class IsotonicMap:
    """A curve per class from its softmax of mean logits to a level; levels divided by their sum.

    Attributes:
        knots: For each class, the softmax at which its curve bends, `(k,)` float64, rising.
        levels: For each class, the curve's height there, `(k,)` float64 in [0, 1], never falling;
            straight between knots, level before the first and after the last. All 0 for a class
            that was never seen.
    """

    knots: tuple[np.ndarray, ...]
    levels: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        if len(self.knots) != len(CLASSES) or len(self.levels) != len(CLASSES):
            raise EnsembleError(
                f"knots and levels must be of {len(CLASSES)} classes. "
                f"Got: {len(self.knots)} and {len(self.levels)}."
            )
        for name, knots, levels in zip(CLASSES, self.knots, self.levels, strict=True):
            if knots.ndim != 1 or len(knots) == 0 or knots.shape != levels.shape:
                raise EnsembleError(f"{name}: knots and levels must be one or more and as many.")
            inside = ((knots >= 0) & (knots <= 1) & (levels >= 0) & (levels <= 1)).all()
            if not inside or (np.diff(knots) <= 0).any() or (np.diff(levels) < 0).any():
                raise EnsembleError(f"{name}: knots must rise, levels not fall, both in [0, 1].")
        if not any(levels.min() > 0 for levels in self.levels):
            raise EnsembleError("levels of a class at least must be above 0 throughout.")

    def apply(self, combined: Combined) -> np.ndarray:
        """Turn joined scores into probabilities, `(m, 9)` float64; each row sums to one."""
        scores = softmax(combined.mean_logits)
        heights = np.empty_like(scores)
        for column, (knots, levels) in enumerate(zip(self.knots, self.levels, strict=True)):
            inside = np.maximum(scores[:, column], knots[0])
            below = np.searchsorted(knots, inside, side="right") - 1
            rise = inside - knots[below]
            heights[:, column] = levels[below] + slopes(knots, levels)[below] * rise
        return heights / sum(heights.T)[:, None]

    def to_json(self) -> dict[str, Any]:
        """Return the map as JSON holds it; `from_json` brings it back bit for bit."""
        return {
            "method": ISOTONIC,
            "classes": list(CLASSES),
            "knots": [knots.tolist() for knots in self.knots],
            "levels": [levels.tolist() for levels in self.levels],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Make the map of what `to_json` returned.

        Raises:
            EnsembleError: A key or a value is not what the map allows.
        """
        check_keys(data, "knots", "levels")
        return cls(
            tuple(np.asarray(row, np.float64) for row in data["knots"]),
            tuple(np.asarray(row, np.float64) for row in data["levels"]),
        )


ProbabilityMap = LinearMap | IsotonicMap


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax of each row, `(m, 9)` float64."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    # `sum` adds the columns one after the other, whatever the number of rows.
    return weights / sum(weights.T)[:, None]


def rank_logits(rank_average: np.ndarray, clip: float) -> np.ndarray:
    """Return log(r / (1 - r)) of rank averages brought into [clip, 1 - clip]."""
    clipped = np.clip(rank_average, clip, 1 - clip)
    return np.log(clipped / (1 - clipped))


def slopes(knots: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return how steep a curve is after each knot; level after the last."""
    return np.append(np.diff(levels) / np.diff(knots), 0.0)


def check_keys(data: dict[str, Any], *own: str) -> None:
    """Refuse a map without exactly these keys, or of other classes."""
    wanted = sorted(["method", "classes", *own])
    if sorted(data) != wanted:
        raise EnsembleError(f"probability map must have exactly the keys {wanted}.")
    if data["classes"] != list(CLASSES):
        raise EnsembleError(f"classes must be {list(CLASSES)}. Got: {data['classes']}.")


def load_probability_map(path: Path) -> ProbabilityMap:
    """Read what `to_json` of a map returned from a JSON file.

    Raises:
        EnsembleError: It is something else; the message names the file.
    """
    try:
        data = read_json(path)
        method = data.get("method") if isinstance(data, dict) else None
        if method not in METHODS:
            raise EnsembleError(f"method must be one of {list(METHODS)}. Got: {method!r}.")
        return (IsotonicMap if method == ISOTONIC else LinearMap).from_json(data)
    except (ValueError, TypeError) as error:
        raise EnsembleError(f"{path}: {error}") from error
