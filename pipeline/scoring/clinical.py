"""Section `clinical`: the test set as stage `clinical` looks at it, and what it is asked.

`mean` stands for the mean of the members' probabilities: what an ensemble would say without any map
to probabilities.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.scoring.decisions import Resamples, flat
from pipeline.scoring.operating_point import BinaryCases, ChosenThreshold, binary_cases
from pipeline.scoring.reliability import chance_error, measure_binary, measure_reliability

MEAN = "mean"


@dataclass(frozen=True)
class ClinicalParams:
    """Section `clinical` of `params.yaml`.

    Attributes:
        bins: Of the reliability curves and calibration errors, each with as many cases.
        chance_repeats: Draws of labels that say what calibration error is chance.
        prevalences: By target, for which predictive values are given beside those of the test set.
        most_threshold_probability: Where the decision curves end, in (0, 1).
        age_edges_years: Where the next age band begins.
        edges_px: Where the next class of image sizes begins, in pixels of the original.
        least: A group with fewer positives, or fewer negatives, is marked small.
    """

    bins: int
    chance_repeats: int
    prevalences: dict[str, tuple[float, ...]]
    most_threshold_probability: float
    age_edges_years: tuple[float, ...]
    edges_px: tuple[int, ...]
    least: int

    def __post_init__(self) -> None:
        for name in ("bins", "chance_repeats", "least"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Got: {getattr(self, name)}.")
        for target, values in self.prevalences.items():
            if not all(0 < value < 1 for value in values):
                raise ValueError(f"prevalences of {target} must be in (0, 1). Got: {values}.")
        if not 0 < self.most_threshold_probability < 1:
            raise ValueError(
                f"most_threshold_probability must be in (0, 1). "
                f"Got: {self.most_threshold_probability}."
            )

    @property
    def threshold_probabilities(self) -> np.ndarray:
        """Where the decision curves are measured: every half of a percent."""
        return np.arange(0.005, self.most_threshold_probability + 1e-9, 0.005)


@dataclass(frozen=True, eq=False)
class Tested:
    """The test set with what the ensemble says of it by several maps to probabilities.

    Attributes:
        cases: Rows of the manifest.
        labels: Index into `CLASSES`, `(n,)` int.
        probabilities: By name of a map, or `mean`, `(n, 9)`.
        deployed: Name of the map in the graph.
        resamples: Of the cases.
    """

    cases: pd.DataFrame
    labels: np.ndarray
    probabilities: Mapping[str, np.ndarray]
    deployed: str
    resamples: Resamples

    @property
    def name(self) -> str:
        """What the cases are called in a title."""
        return f"test set, n = {len(self.labels)} cases"

    def target(self, classes: tuple[str, ...], way: str) -> BinaryCases:
        """Set some classes against the others, by one map's probabilities."""
        return binary_cases(self.labels, self.probabilities[way], classes)


@dataclass(frozen=True)
class Outcome:
    """A binary outcome: its classes, and thresholds of which the first decides."""

    classes: tuple[str, ...]
    chosen: tuple[ChosenThreshold, ...]

    @property
    def threshold(self) -> float | None:
        """The one that decides; `None` where none could be chosen."""
        return self.chosen[0].threshold


def read_outcomes(found: Mapping[str, Any]) -> dict[str, Outcome]:
    """Take what stage `operating_points` wrote."""
    return {
        name: Outcome(
            tuple(target["classes"]),
            tuple(_as_chosen(point) for point in (target["decision"], *target["others"])),
        )
        for name, target in found.items()
    }


def calibration_table(tested: Tested, bins: int) -> pd.DataFrame:
    """Measure the nine probabilities by every map: `map, is_deployed, n, units` and figures."""
    rows = [
        {
            "map": way,
            "is_deployed": way == tested.deployed,
            "n": len(tested.labels),
            "units": len(np.unique(tested.resamples.units)),
            **flat(measure_reliability(tested.labels, probabilities, bins, tested.resamples)),
        }
        for way, probabilities in tested.probabilities.items()
    ]
    return pd.DataFrame(rows)


def chance_table(tested: Tested, settings: ClinicalParams, seed: int) -> pd.DataFrame:
    """List the calibration errors that perfect probabilities would have on so few cases."""
    found = chance_error(
        tested.probabilities[tested.deployed],
        settings.bins,
        repeats=settings.chance_repeats,
        seed=seed,
        interval=tested.resamples.interval,
    )
    figures = [
        {"figure": name, "mean": e.value, "low": e.low, "high": e.high} for name, e in found.items()
    ]
    return pd.DataFrame(figures)


def target_table(tested: Tested, outcomes: Mapping[str, Outcome], bins: int) -> pd.DataFrame:
    """Measure the probabilities of the binary outcomes, before any map and by the deployed one."""
    rows = [
        {
            "target": name,
            "map": way,
            "n": len(tested.labels),
            "positives": int(tested.target(outcome.classes, way).positive.sum()),
            **flat(measure_binary(tested.target(outcome.classes, way), bins, tested.resamples)),
        }
        for name, outcome in outcomes.items()
        for way in (MEAN, tested.deployed)
    ]
    return pd.DataFrame(rows)


def _as_chosen(point: Mapping[str, Any]) -> ChosenThreshold:
    return ChosenThreshold(
        quantity=point["quantity"],
        wanted=point["wanted"],
        threshold=point["threshold"],
        sensitivity=point["sensitivity"]["value"],
        specificity=point["specificity"]["value"],
        n=point["n"],
        positives=point["positives"],
    )
