"""Differences of any metric between two models, on the same resamples of patients.

Both models are measured on each resample, and the difference is taken there: what makes a resample
hard for both cancels out. The p-value is the percentile interval turned round (Efron and Tibshirani
1993, section 15.4): twice the smaller share of resamples on either side of 0, ties on both, one
added to each count and to the resamples (Davison and Hinkley 1997, section 4.2), so that it is
never 0. It is below 0.05 where the 95 % interval leaves out 0, but for that one; with 500 resamples
it cannot be below 0.004.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.scoring.bootstrap import Values, measure_model, percentile_interval
from pipeline.scoring.metrics import ScoredCases, every_case_once, row_blocks
from pipeline.scoring.ranking import RANKED, by_threshold


@dataclass(frozen=True)
class Difference:
    """A metric of one model less that of another; `None` where undefined.

    Attributes:
        value: First less second, on the cases as they are.
        low: Lower end of the interval.
        high: Upper end.
        p_value: Two-sided; `None` too where all resamples have the same difference, as of two
            models that say the same: no resample says how surprising another one would be.
        resamples: How many resamples had a defined difference; the others were skipped.
    """

    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    resamples: int


def measure_ranking(positives: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> Values:
    """Compute every metric of `ranking.RANKED` of one class against the rest.

    Args:
        positives: `(n,)` bool.
        scores: `(n,)` float.
        counts: From `bootstrap.draw_counts`; the same for all models that are compared.
    """
    parts = []
    for block in (every_case_once(len(scores)), *row_blocks(counts)):
        both = by_threshold(positives, scores, block)
        parts.append({name: metric(*both) for name, metric in RANKED.items()})
    return {
        name: (float(parts[0][name][0]), np.concatenate([part[name] for part in parts[1:]]))
        for name in RANKED
    }


def subtract(
    first: tuple[float, np.ndarray], second: tuple[float, np.ndarray], interval: float
) -> Difference:
    """Compare one metric of two models.

    Args:
        first: Of `Values`.
        second: Of the other model, on the same resamples.
        interval: Share of the resamples inside, in (0, 1).

    Raises:
        ValueError: They have not the same number of resamples.
    """
    if len(first[1]) != len(second[1]):
        raise ValueError(
            "models must be measured on the same resamples. "
            f"Got: {len(first[1])} and {len(second[1])}."
        )
    value, resampled = first[0] - second[0], first[1] - second[1]
    low, high, resamples = percentile_interval(resampled, interval)
    if np.isnan(value) or low is None:
        return Difference(None if np.isnan(value) else value, None, None, None, resamples)
    return Difference(value, low, high, _two_sided(resampled[~np.isnan(resampled)]), resamples)


def compare_models(
    first: ScoredCases, second: ScoredCases, counts: np.ndarray, interval: float
) -> dict[str, Difference]:
    """Compare two models by every metric of `metrics.measure` that both have.

    Args:
        first: Of a model; at least one case.
        second: Of another, the same cases in the same order.
        counts: From `bootstrap.draw_counts`.
        interval: Share of the resamples inside, in (0, 1).

    Raises:
        ValueError: The cases differ.
    """
    if not np.array_equal(first.labels, second.labels):
        raise ValueError("models must be compared on the same cases. Got: other labels.")
    one, other = measure_model(first, counts), measure_model(second, counts)
    return {name: subtract(one[name], other[name], interval) for name in one if name in other}


def _two_sided(differences: np.ndarray) -> float | None:
    """Turn the percentile interval of defined differences, `(repeats,)`, into a p-value."""
    if np.ptp(differences) == 0:
        return None
    sides = [(differences <= 0).sum(), (differences >= 0).sum()]
    return min(1.0, 2 * (1 + int(min(sides))) / (1 + len(differences)))
