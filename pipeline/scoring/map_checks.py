"""Do maps of importances know more than maps that know nothing? Measured on the same images.

A map's areas under deletion and insertion are compared with those of two controls: `random`, a map
of the same values and smoothness that knows nothing of the image, and `other_image`, the map of
another case. The second is the harder one: lesions lie in the middle, so any map that points there
gains on a random one.

Scoring is handed in as in `pipeline.scoring.deletion`, where the measures stand.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.scoring.deletion import (
    ScoreHidden,
    area_under,
    is_ordered,
    paired_gain,
    random_like,
    removal_curves,
)

OWN, RANDOM, OTHER = "map", "random", "other_image"
CONTROLS = (RANDOM, OTHER)
MEASURES = ("deletion", "insertion")


@dataclass(frozen=True)
class ChecksParams:
    """How maps are held against controls.

    Attributes:
        cases: Drawn for it, whatever was said of them.
        steps: Of each curve.
    """

    cases: int
    steps: int

    def __post_init__(self) -> None:
        for name in ("cases", "steps"):  # of a single case there is no other image's map
            if getattr(self, name) < 2:
                raise ValueError(f"{name} must be at least 2. Got: {getattr(self, name)}.")


# Name of the map or control to its areas under deletion and insertion, `(2,)` float64.
Areas = dict[str, np.ndarray]


def mean_map(heats: np.ndarray) -> np.ndarray:
    """Join the members' maps of one image: the mean of those that are defined.

    Args:
        heats: `(members, height, width)` float in [0, 1], NaN all over where undefined.

    Returns:
        `(height, width)` float64, its highest point 1; NaN all over where none is defined.
    """
    known = heats[[is_ordered(heat) for heat in heats]]
    if not len(known):
        return np.full(heats.shape[1:], np.nan)
    mean = known.mean(axis=0, dtype=np.float64)
    return mean / mean.max()


def measure_areas(
    heat: np.ndarray,
    other: np.ndarray,
    score_hidden: ScoreHidden,
    *,
    steps: int,
    rng: np.random.Generator,
) -> Areas:
    """Measure a map and its controls on one image.

    Args:
        heat: The image's map, `(height, width)` float.
        other: Another image's map, of the same shape.
        score_hidden: Scores of the image's class, from masks of what is hidden.
        steps: Of each curve.
        rng: Of the random control.

    Returns:
        NaN for all three where the map is undefined, and for a control that is.
    """
    undefined = np.full(len(MEASURES), np.nan)
    if not is_ordered(heat):
        return dict.fromkeys((OWN, *CONTROLS), undefined)
    areas = {}
    for name, shown in ((OWN, heat), (RANDOM, random_like(heat, rng)), (OTHER, other)):
        curves = removal_curves(shown, score_hidden, steps=steps)
        areas[name] = np.array([area_under(curves.deletion), area_under(curves.insertion)])
    return areas


def measure_all(
    heats: Sequence[np.ndarray],
    scores: Sequence[ScoreHidden],
    *,
    steps: int,
    seed: Sequence[int],
    executor: Executor,
) -> Iterator[Areas]:
    """Measure the maps of one kind, images side by side; the next image's map is the other one.

    Args:
        heats: A map of each image, of one shape.
        scores: How each image is scored.
        steps: Of each curve.
        seed: Of the random controls.
        executor: Threads; what comes out does not depend on how many.
    """

    def measure(at: int) -> Areas:
        other, rng = heats[(at + 1) % len(heats)], np.random.default_rng([*seed, at])
        return measure_areas(heats[at], other, scores[at], steps=steps, rng=rng)

    if len(heats) < 2:
        raise ValueError(f"maps of at least 2 images must be checked. Got: {len(heats)}.")
    return executor.map(measure, range(len(heats)))


def gain_rows(
    kind: str, found: Sequence[Areas], *, counts: np.ndarray, interval: float
) -> list[dict[str, Any]]:
    """Compare the maps of one kind with each control, by each measure.

    Args:
        kind: What the maps are called.
        found: From `measure_all`, `n` of them.
        counts: From `bootstrap.draw_counts`, `(repeats, n)`.
        interval: Share of the resamples inside, in (0, 1).

    Returns:
        A row per control and measure; `gain` is above 0 where the map is better, `None` where no
        image has both.
    """
    areas = {name: np.stack([one[name] for one in found]) for name in (OWN, *CONTROLS)}  # (n, 2)
    rows = []
    for control in CONTROLS:
        for column, measure in enumerate(MEASURES):
            own, others = areas[OWN][:, column], areas[control][:, column]
            # Deletion is better where the score falls sooner.
            pair = (others, own) if measure == "deletion" else (own, others)
            gained = paired_gain(*pair, counts=counts, interval=interval)
            rows.append(
                {"map": kind, "control": control, "measure": measure, "n": gained.n}
                | {"area": _mean(own, others), "control_area": _mean(others, own)}
                | {"gain": gained.gain.value, "low": gained.gain.low, "high": gained.gain.high}
                | {"wins": gained.wins}
            )
    return rows


def nest_gains(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Nest gains by map, control and measure, for JSON."""
    nested: dict[str, Any] = {}
    for row in rows:
        place = nested.setdefault(row["map"], {}).setdefault(row["control"], {})
        place[row["measure"]] = {key: row[key] for key in ("n", "gain", "low", "high", "wins")}
    return nested


def word_gains(rows: Sequence[dict[str, Any]]) -> str:
    """Say what insertion gains on another image's map, the harder control."""
    parts = []
    for row in rows:
        if (row["control"], row["measure"]) != (OTHER, "insertion"):
            continue
        name = row["map"].replace("_", "-")
        if row["gain"] is None:
            parts.append(f"{name}: undefined")
        else:
            ends = [f"{end:+.2f}" for end in (row["low"], row["high"]) if end is not None]
            within = f" ({' to '.join(ends)})" if ends else ""
            parts.append(f"{name} {row['gain']:+.2f}{within}, n = {row['n']}")
    return (
        "Insertion, against the map of another case; above 0 the map knows more of the image: "
        + "; ".join(parts)
        + "."
    )


def _mean(areas: np.ndarray, beside: np.ndarray) -> float | None:
    """Average over the images on which both are defined."""
    known = areas[~np.isnan(areas + beside)]
    return float(known.mean()) if len(known) else None
