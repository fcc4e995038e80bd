"""Confidence intervals by resampling patients.

Images of one patient look alike: to draw them apart would make intervals too narrow. A resample
draws as many patients as there are, with replacement, and takes all their images; where the patient
is unknown the lesion stands in, and where neither is known the image. All models of a report are
measured on the same resamples. Intervals are percentiles (Efron and Tibshirani 1993, chapter 13).
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.scoring.metrics import ScoredCases, every_case_once, measure

# With fewer defined resamples an interval would describe those that happened to hold every class.
LEAST_DEFINED = 0.5

# A model's metrics by name: on the cases as they are, and on each resample, `(repeats,)`; NaN where
# undefined.
Values = dict[str, tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Estimate:
    """A metric with its interval; `None` where undefined.

    Attributes:
        value: On the cases as they are.
        low: Lower end of the interval.
        high: Upper end.
        resamples: How many resamples had a defined value; the others were skipped.
    """

    value: float | None
    low: float | None
    high: float | None
    resamples: int


def resampling_units(cases: pd.DataFrame) -> np.ndarray:
    """Number the patients of cases; lesions where no patient is known, else images.

    Args:
        cases: With the columns `patient_id`, `lesion_id`, `image_id`; empty means unknown.

    Returns:
        Number of each case's unit, from 0 without gaps, `(n,)` int.
    """
    names = "image " + cases.image_id
    for column in ("lesion_id", "patient_id"):
        names = names.mask(cases[column] != "", column + " " + cases[column])
    return np.unique(names.to_numpy(object), return_inverse=True)[1]


def draw_counts(units: np.ndarray, *, repeats: int, seed: int) -> np.ndarray:
    """Draw resamples of units.

    Args:
        units: From `resampling_units`, `(n,)`.
        repeats: How many resamples.
        seed: Of the draw.

    Returns:
        How often each case stands in each resample, `(repeats, n)` int64.
    """
    total = int(units.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(total, np.full(total, 1 / total), size=repeats)
    return drawn[:, units]


def percentile_interval(
    values: np.ndarray, interval: float
) -> tuple[float | None, float | None, int]:
    """Return the interval's ends and the number of defined values.

    Args:
        values: Of the resamples, `(repeats,)`; NaN where undefined.
        interval: Share of the resamples inside, in (0, 1).
    """
    defined = values[~np.isnan(values)]
    if len(defined) == 0 or len(defined) < LEAST_DEFINED * len(values):
        return None, None, len(defined)
    low, high = np.quantile(defined, [(1 - interval) / 2, (1 + interval) / 2])
    return float(low), float(high), len(defined)


def estimate(
    cases: ScoredCases, counts: np.ndarray, interval: float, *, costs: np.ndarray | None = None
) -> dict[str, Estimate]:
    """Compute every metric of `metrics.measure` with its interval.

    Args:
        cases: At least one case.
        counts: From `draw_counts`; the same for all models that are compared.
        interval: Share of the resamples inside, in (0, 1).
        costs: What `cost_weighted_error` is of, or `None` for none; see `metrics`.
    """
    values = measure_model(cases, counts, costs)
    return {name: estimate_of(*value, interval) for name, value in values.items()}


def measure_model(
    cases: ScoredCases, counts: np.ndarray, costs: np.ndarray | None = None
) -> Values:
    """Compute every metric of `metrics.measure` on the cases and on each resample.

    Args:
        cases: At least one case.
        counts: From `draw_counts`; the same for all models that are compared.
        costs: What `cost_weighted_error` is of, or `None` for none.
    """
    points, resampled = (
        measure(cases, drawn, costs) for drawn in (every_case_once(len(cases)), counts)
    )
    return {name: (float(points[name][0]), resampled[name]) for name in points}


def estimate_of(point: float, resampled: np.ndarray, interval: float) -> Estimate:
    """Put a value and its interval together.

    Args:
        point: On the cases as they are; NaN where undefined.
        resampled: Of the resamples, `(repeats,)`; NaN where undefined.
        interval: Share of the resamples inside, in (0, 1).
    """
    low, high, resamples = percentile_interval(resampled, interval)
    if np.isnan(point):
        return Estimate(None, None, None, resamples)
    return Estimate(float(point), low, high, resamples)


def with_width(plain: Estimate, trials: int, interval: float) -> Estimate:
    """Give 0 or 1 the ends of so many trials that all came out alike; leave others as they are.

    No resample of cases that all came out alike has one that did not, so percentiles would make an
    interval without a width. The ends are Clopper and Pearson's (1934).
    """
    if plain.value not in (0, 1):
        return plain
    far = ((1 - interval) / 2) ** (1 / trials)
    low, high = (far, 1.0) if plain.value == 1 else (0.0, 1 - far)
    return replace(plain, low=low, high=high)
