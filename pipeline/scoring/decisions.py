"""What a decision at a threshold is worth: rates, predictive values, net benefit.

A case is flagged where its score is at or above the threshold. Every figure has its interval from
resamples of patients, the same for all figures of a report, and stands beside n and positives.
Undefined figures are `None`; so is a value, or an end of an interval, that is infinite. Rows are
flat dicts, ready for JSON; `as_table` makes the table for CSV.

A share that is 0 or 1 on the cases is so in every resample, and its interval would have no width:
12 of 12 melanomas found would look certain. There the ends are Clopper and Pearson's, with patients
as the trials.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline.scoring.bootstrap import (
    Estimate,
    draw_counts,
    estimate_of,
    resampling_units,
    with_width,
)
from pipeline.scoring.metrics import every_case_once
from pipeline.scoring.operating_point import (
    BinaryCases,
    ChosenThreshold,
    sensitivity_and_specificity,
    share,
)
from pipeline.scoring.tables import estimate_columns

UNDEFINED = Estimate(None, None, None, 0)

Rows = list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Resamples:
    """What all intervals of a report come from.

    Attributes:
        units: Number of each case's patient, from `bootstrap.resampling_units`, `(n,)` int.
        counts: From `bootstrap.draw_counts` of the units, `(repeats, n)` int.
        interval: Share of the resamples inside an interval, in (0, 1).
    """

    units: np.ndarray
    counts: np.ndarray
    interval: float


def draw_resamples(cases: pd.DataFrame, section: Mapping[str, Any]) -> Resamples:
    """Draw the patients that all intervals rest on, as section `evaluate` says.

    Args:
        cases: Rows of the manifest.
        section: With `bootstrap_repeats`, `seed` and `interval`.
    """
    units = resampling_units(cases)
    counts = draw_counts(units, repeats=section["bootstrap_repeats"], seed=section["seed"])
    return Resamples(units, counts, section["interval"])


def share_estimate(part: np.ndarray, whole: np.ndarray, resamples: Resamples) -> Estimate:
    """Return the share of some cases among others, with an interval that always has a width.

    Args:
        part: Cases of the whole, `(n,)` bool.
        whole: `(n,)` bool.
        resamples: Of the same cases.
    """
    (point,) = share(part, whole, every_case_once(len(whole)))
    plain = estimate_of(point, share(part, whole, resamples.counts), resamples.interval)
    return with_width(plain, len(np.unique(resamples.units[whole])), resamples.interval)


def measure_decision(
    cases: BinaryCases, threshold: float | None, prevalence: float | None, resamples: Resamples
) -> dict[str, Estimate]:
    """Measure a decision, and by Bayes' formula what a clinic with some prevalence would see.

    Args:
        cases: Others than those that the threshold was chosen on.
        threshold: `None` where none could be chosen; all figures are then undefined.
        prevalence: In (0, 1), taken as exactly known; `None` for that of the cases themselves.
        resamples: Of the same cases.

    Returns:
        Estimates by name. To refer, or to biopsy, `number_needed_to_refer` flagged patients finds
        one positive. A likelihood ratio by a false positive rate of 0 is infinite, hence `None`.

    Raises:
        ValueError: The prevalence is outside (0, 1).
    """
    if not (prevalence is None or 0 < prevalence < 1):
        raise ValueError(f"prevalence must be in (0, 1). Got: {prevalence}.")
    flagged, positive = cases.scores >= (threshold or 0.0), cases.positive
    found = {
        "sensitivity": share_estimate(flagged & positive, positive, resamples),
        "specificity": share_estimate(~flagged & ~positive, ~positive, resamples),
    }
    ends = [np.array([rate.low, rate.high], np.float64) for rate in found.values()]
    # A likelihood ratio is the odds after the test where those before are even. Percentiles of the
    # share follow into odds, also where those of some resamples are infinite.
    even = _by_bayes(flagged, positive, 0.5, ends, resamples)
    found |= _by_bayes(flagged, positive, prevalence, ends, resamples)
    found |= {
        "number_needed_to_refer": _mapped(found["ppv"], lambda p: _ratio(1, p)),
        "likelihood_ratio_positive": _mapped(even["ppv"], lambda p: _ratio(p, 1 - p)),
        "likelihood_ratio_negative": _mapped(even["npv"], lambda p: _ratio(1 - p, p)),
    }
    return dict.fromkeys(found, UNDEFINED) if threshold is None else found


def net_benefit_rows(
    cases: BinaryCases, threshold_probabilities: Sequence[float], resamples: Resamples
) -> Rows:
    """Trace a decision curve: net benefit of the model, and of treating all; of none it is 0.

    True positives less false ones weighed by the odds of the threshold probability, per case: who
    would biopsy at a risk of 5 % holds 19 needless biopsies for one melanoma found. That reading
    needs scores that are calibrated probabilities for cases as frequent as these.

    Args:
        cases: With calibrated probabilities as scores.
        threshold_probabilities: Each in (0, 1).
        resamples: Of the same cases.

    Returns:
        Rows of `threshold_probability`, and `net_benefit` and `treat_all` with intervals.

    Raises:
        ValueError: A score or a threshold is no such probability.

    Source: Vickers and Elkin 2006, doi:10.1177/0272989X06295361.
    """
    at = np.asarray(threshold_probabilities, np.float64)
    if not ((at > 0) & (at < 1)).all():
        raise ValueError(f"threshold probabilities must be in (0, 1). Got: {at[:5]}.")
    if not ((cases.scores >= 0) & (cases.scores <= 1)).all():
        raise ValueError("scores must be probabilities, in [0, 1]: net benefit needs them.")
    # What each case adds to the net benefit where it is treated, `(n, thresholds)`.
    worth = np.where(cases.positive[:, None], 1.0, -at / (1 - at))
    policies = {"net_benefit": worth * (cases.scores[:, None] >= at), "treat_all": worth}
    rows: Rows = [{"threshold_probability": float(value)} for value in at]
    for name, gains in policies.items():
        resampled = (resamples.counts @ gains) / resamples.counts.sum(axis=1, keepdims=True)
        for row, point, values in zip(rows, gains.mean(axis=0), resampled.T, strict=True):
            row |= estimate_columns(name, estimate_of(point, values, resamples.interval))
    return rows


def decision_rows(
    chosen: Sequence[ChosenThreshold],
    cases: BinaryCases,
    prevalences: Sequence[float],
    resamples: Resamples,
) -> Rows:
    """List thresholds by prevalence: first that of the cases (`is_stated` false), then others.

    What begins with `chosen_` is of the cases that the threshold was chosen on.
    """
    rows = []
    for one in chosen:
        at = one.threshold
        known = {f"chosen_{name}": value for name, value in asdict(one).items()}
        known |= {
            "threshold": known.pop("chosen_threshold"),
            "n": len(cases),
            "positives": int(cases.positive.sum()),
            "units": len(np.unique(resamples.units)),
            "flagged": None if at is None else int((cases.scores >= at).sum()),
        }
        for stated in (None, *prevalences):
            own = float(cases.positive.mean()) if stated is None else stated
            row = known | {"prevalence": own, "is_stated": stated is not None}
            rows.append(row | flat(measure_decision(cases, at, stated, resamples)))
    return rows


def flat(found: dict[str, Estimate]) -> dict[str, Any]:
    """Lay estimates out flat: `x, x_low, x_high, x_resamples` for each."""
    columns = [estimate_columns(name, estimate) for name, estimate in found.items()]
    return {key: value for column in columns for key, value in column.items()}


def as_table(rows: Rows) -> pd.DataFrame:
    """Make a table of flat rows; counts stay whole numbers where cells are empty."""
    table = pd.DataFrame(rows)
    counted = [name for name in table if name == "flagged" or name.endswith("_resamples")]
    return table.astype(dict.fromkeys(counted, "Int64"))


def _by_bayes(
    flagged: np.ndarray,
    positive: np.ndarray,
    prevalence: float | None,
    ends: list[np.ndarray],
    resamples: Resamples,
) -> dict[str, Estimate]:
    every, values = np.ones(len(positive), bool), []
    for counts in (every_case_once(len(positive)), resamples.counts):
        rates = sensitivity_and_specificity(flagged, positive, counts)
        before = share(positive, every, counts) if prevalence is None else prevalence
        values.append(_after_test(*rates, before))
    own = float(positive.mean()) if prevalence is None else prevalence
    found = {}
    for name, (point,) in values[0].items():
        found[name] = estimate_of(point, values[1][name], resamples.interval)
        if name != "flagged_share" and point in (0, 1):
            # A rate of 0 or 1 makes it so, and it rises with both: take both at their ends.
            low, high = _after_test(*ends, own)[name].tolist()
            found[name] = replace(found[name], low=low, high=high)
    return found


def _after_test(
    sens: np.ndarray, spec: np.ndarray, before: np.ndarray | float
) -> dict[str, np.ndarray]:
    """Apply Bayes' formula to rates, `(repeats,)`, at a prevalence."""
    found, missed = sens * before, (1 - sens) * before
    alarms, cleared = (1 - spec) * (1 - before), spec * (1 - before)
    values = {"flagged_share": found + alarms}
    for name, right, wrong in (("ppv", found, alarms), ("npv", cleared, missed)):
        blank = np.full(np.shape(right), np.nan)
        values[name] = np.divide(right, right + wrong, out=blank, where=right + wrong > 0)
    return values


def _mapped(known: Estimate, convert: Callable[[float], float | None]) -> Estimate:
    """Map a share and its ends by a monotone function; what becomes infinite is `None`."""
    shares = (known.value, known.low, known.high)
    value, low, high = (None if x is None else convert(x) for x in shares)
    if value is None:
        return replace(known, value=None, low=None, high=None)
    is_rising = convert(0.75) > convert(0.25)
    return Estimate(value, *((low, high) if is_rising else (high, low)), known.resamples)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
