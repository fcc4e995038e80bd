"""How far probabilities can be taken at their word: Brier scores, calibration errors, curves.

Conventions as in `pipeline.scoring.metrics`: `counts` is `(repeats, n)`, values are `(repeats,)`,
NaN where undefined. Nothing is fitted here that is used elsewhere, so the test set may be measured.

Bins hold equally many cases, not equal widths of probability: most dermoscopy scores of a rare
class are near 0, so that equal widths leave all bins but one nearly empty, and equal counts have
the smaller bias (Roelofs et al. 2022, arXiv:2012.08668). Equal scores share a bin, so bins never
depend on the order of cases; they are set by the cases as they are, for all resamples.

An expected calibration error is above 0 also for perfect probabilities, because a bin's share of
positives scatters: `chance_error` says how far. A resample scatters once more; the intervals of
these errors are reflected about the value, which takes that off, and end at 0 (the basic bootstrap,
Davison and Hinkley 1997, section 5.2).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import expit, logit

from pipeline.classes import CLASSES
from pipeline.scoring.bootstrap import Estimate, estimate_of
from pipeline.scoring.decisions import Resamples, Rows, flat, share_estimate
from pipeline.scoring.metrics import every_case_once, log_loss
from pipeline.scoring.operating_point import BinaryCases

ERROR = "expected_calibration_error"
NEWTON_STEPS = 100  # halved ones included; a fit takes about seven
NEWTON_TOLERANCE = 1e-14  # of the mean loss


def measure_reliability(
    labels: np.ndarray, probabilities: np.ndarray, bins: int, resamples: Resamples
) -> dict[str, Estimate]:
    """Measure nine-class probabilities.

    Args:
        labels: Truth, indices into `CLASSES`, `(n,)` int.
        probabilities: `(n, 9)`, rows sum to one.
        bins: How many, of equally many cases.
        resamples: Of the same cases.

    Returns:
        `brier_score` (0 to 2, the sum of the classes') and `brier_score_MEL` …; `log_loss`;
        `expected_calibration_error_top_label` (of each case's highest probability), `…_MEL` …, and
        their mean `…_class_wise`. An absent class has them too: to expect it is an error.
    """
    losses = (probabilities - (labels[:, None] == np.arange(len(CLASSES)))) ** 2

    def measure(counts: np.ndarray) -> dict[str, np.ndarray]:
        briers = (counts @ losses).T / counts.sum(axis=1)
        return {
            "brier_score": briers.sum(axis=0),
            "log_loss": log_loss(labels, probabilities, counts),
            **{f"brier_score_{name}": of for name, of in zip(CLASSES, briers, strict=True)},
            **_calibration_errors(labels, probabilities, bins, counts),
        }

    return _estimates(len(labels), measure, resamples)


def chance_error(
    probabilities: np.ndarray, bins: int, *, repeats: int, seed: int, interval: float
) -> dict[str, Estimate]:
    """Measure the calibration errors that these probabilities would show if they were perfect.

    Labels are drawn from the probabilities themselves, independently: where patients have several
    alike images, chance reaches further than this says.

    Args:
        probabilities: `(n, 9)`, rows sum to one.
        bins: As in `measure_reliability`.
        repeats: How many draws of labels.
        seed: Of the draws.
        interval: Share of the draws between `low` and `high`, in (0, 1).

    Returns:
        The mean over the draws, and the interval, of each `expected_calibration_error_…`.
    """
    rng, once = np.random.default_rng(seed), every_case_once(len(probabilities))
    edges = probabilities.cumsum(axis=1)[:, :-1]
    drawn: dict[str, list[float]] = {}
    for _ in range(repeats):
        labels = (rng.random((len(probabilities), 1)) > edges).sum(axis=1)
        for name, (value,) in _calibration_errors(labels, probabilities, bins, once).items():
            drawn.setdefault(name, []).append(value)
    values = {name: np.array(of) for name, of in drawn.items()}
    return {name: estimate_of(of.mean(), of, interval) for name, of in values.items()}


def brier_score(cases: BinaryCases, counts: np.ndarray) -> np.ndarray:
    """Mean squared distance of a binary target's probability from the truth, `(repeats,)`.

    It depends on how frequent positives are; compare it on the same cases only.
    """
    total, losses = counts.sum(axis=1), counts @ (cases.scores - cases.positive) ** 2
    return np.divide(losses, total, out=np.full(len(counts), np.nan), where=total > 0)


def observed_expected(cases: BinaryCases, counts: np.ndarray) -> np.ndarray:
    """Divide how many are positive by how many the probabilities expect, `(repeats,)`.

    Above 1 the risk is understated. NaN where no positive, or nothing, is there to compare.
    """
    observed, expected = counts @ cases.positive.astype(np.float64), counts @ cases.scores
    known = (observed > 0) & (expected > 0)
    return np.divide(observed, expected, out=np.full(len(counts), np.nan), where=known)


def equal_count_bins(scores: np.ndarray, bins: int) -> np.ndarray:
    """Put cases into bins of rising scores, as equally filled as ties allow, `(n,)` int from 0."""
    below = np.searchsorted(np.sort(scores), scores, side="left")
    return below * bins // len(scores)


def expected_calibration_error(cases: BinaryCases, bins: int, counts: np.ndarray) -> np.ndarray:
    """Mean distance of a bin's share of positives from its mean probability, `(repeats,)`.

    Weighted by cases, these distances are the bins' sums of truth minus probability, per case.
    """
    place = equal_count_bins(cases.scores, bins)
    sums = np.zeros((len(cases), bins))
    sums[np.arange(len(cases)), place] = cases.positive - cases.scores
    return np.abs(counts @ sums).sum(axis=1) / counts.sum(axis=1)


def recalibration(cases: BinaryCases, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Fit truth to the logit of the probability; perfect is an intercept of 0 and a slope of 1.

    Args:
        cases: With probabilities as scores.
        counts: `(repeats, n)` int.

    Returns:
        `calibration_slope`: below 1 where probabilities are too extreme; NaN where positives and
        negatives do not overlap, which makes it infinite. `calibration_intercept`, at a slope of
        1: below 0 where they are too high. Each `(repeats,)`; NaN without positives or negatives,
        and where a probability is 0 or 1, which has no logit.

    Source: Cox 1958; Van Calster et al. 2019, doi:10.1186/s12916-019-1466-7.
    """
    slopes, intercepts = np.full((2, len(counts)), np.nan)
    if ((cases.scores > 0) & (cases.scores < 1)).all():
        logits, sign = logit(cases.scores), np.where(cases.positive, 1.0, -1.0)
        for number, row in enumerate(counts):
            held = row > 0
            x, y, weights = logits[held], sign[held], row[held] / row.sum()
            design = np.stack([np.ones(len(x)), x])
            if abs(y.sum()) < len(y):
                intercepts[number] = _fit(design[:1], x, y, weights)
                if _have_overlap(x, y > 0):
                    slopes[number] = _fit(design, np.zeros(len(x)), y, weights)
    return {"calibration_slope": slopes, "calibration_intercept": intercepts}


def measure_binary(cases: BinaryCases, bins: int, resamples: Resamples) -> dict[str, Estimate]:
    """Measure the probabilities of a binary target.

    Returns:
        `brier_score, expected_calibration_error, observed_expected` and those of `recalibration`.
    """

    def measure(counts: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "brier_score": brier_score(cases, counts),
            ERROR: expected_calibration_error(cases, bins, counts),
            "observed_expected": observed_expected(cases, counts),
            **recalibration(cases, counts),
        }

    return _estimates(len(cases), measure, resamples)


def reliability_rows(cases: BinaryCases, bins: int, resamples: Resamples) -> Rows:
    """List a reliability curve: of each bin that holds cases what was predicted and observed.

    Args:
        cases: With probabilities as scores.
        bins: How many, of equally many cases; fewer where scores are equal.
        resamples: For the intervals of what was observed.

    Returns:
        Rows of `n, positives, predicted, predicted_least, predicted_most, observed`.
    """
    place, rows = equal_count_bins(cases.scores, bins), []
    for number in np.unique(place):
        inside = place == number
        scores = cases.scores[inside]
        rows.append(
            {
                "n": int(inside.sum()),
                "positives": int(cases.positive[inside].sum()),
                "predicted": float(scores.mean()),
                "predicted_least": float(scores.min()),
                "predicted_most": float(scores.max()),
                **flat({"observed": share_estimate(cases.positive & inside, inside, resamples)}),
            }
        )
    return rows


def _calibration_errors(
    labels: np.ndarray, probabilities: np.ndarray, bins: int, counts: np.ndarray
) -> dict[str, np.ndarray]:
    top = BinaryCases(probabilities.argmax(axis=1) == labels, probabilities.max(axis=1))
    found = {f"{ERROR}_top_label": expected_calibration_error(top, bins, counts)}
    by_class = {}
    for k, name in enumerate(CLASSES):
        one = BinaryCases(labels == k, probabilities[:, k])
        by_class[f"{ERROR}_{name}"] = expected_calibration_error(one, bins, counts)
    return found | {f"{ERROR}_class_wise": np.mean(list(by_class.values()), axis=0)} | by_class


def _estimates(
    n: int, measure: Callable[[np.ndarray], dict[str, np.ndarray]], resamples: Resamples
) -> dict[str, Estimate]:
    # Products of whole numbers with floats would convert them each time.
    resampled, found = measure(resamples.counts.astype(np.float64)), {}
    for name, (point,) in measure(every_case_once(n)).items():
        plain = found[name] = estimate_of(point, resampled[name], resamples.interval)
        if name.startswith(ERROR) and plain.low is not None:
            low, high = (max(2 * point - end, 0.0) for end in (plain.high, plain.low))
            found[name] = replace(plain, low=float(low), high=float(high))
    return found


def _have_overlap(logits: np.ndarray, positive: np.ndarray) -> bool:
    """Say whether the slope is finite (Albert and Anderson 1984, one covariate)."""
    above, below = logits[positive], logits[~positive]
    return bool(above.max() > below.min() and below.max() > above.min())


def _fit(design: np.ndarray, offset: np.ndarray, sign: np.ndarray, weights: np.ndarray) -> float:
    """Fit a logistic regression to truth of 1 or -1 by Newton's steps; its last parameter."""
    found = step = np.zeros(len(design))
    least = np.inf
    for _ in range(NEWTON_STEPS):
        margin = sign * (offset + (found + step) @ design)
        loss = weights @ np.logaddexp(0, -margin)
        if loss > least:  # beyond the minimum
            step = step / 2
            continue
        gain, found, least, wrong = least - loss, found + step, loss, expit(-margin)
        if gain < NEWTON_TOLERANCE:
            break
        curvature = (design * (weights * wrong * (1 - wrong))) @ design.T
        step = np.linalg.solve(curvature, design @ (weights * sign * wrong))
    return float(found[-1])
