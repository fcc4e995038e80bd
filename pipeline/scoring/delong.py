"""Test of the difference of two AUROCs on the same cases, without resampling.

The AUROC is a mean over pairs of a positive and a negative, so a case counts by its structural
component: the share of the other side's cases that it wins against. DeLong takes the variance of
the components as if the images were independent; Obuchowski adds them up by patient first, and with
one image per patient gets the same. An image that is there twice, with its patient's other images,
then adds nothing to what is known.

Sources: DeLong, DeLong and Clarke-Pearson 1988, https://doi.org/10.2307/2531595; by ranks, in
O(n log n): Sun and Xu 2014, https://doi.org/10.1109/LSP.2014.2337313; patients: Obuchowski 1997,
https://doi.org/10.2307/2533958.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

# Components are shares: a difference whose standard error is below this is rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class AurocDifference:
    """AUROC of one model less that of another; `None` where undefined.

    Attributes:
        n: Cases.
        positives: Of them.
        units: Patients, or what stands in for them.
        value: First less second; `None` where positives or negatives are absent.
        standard_error: `None` where fewer than two units have positives, or fewer than two
            negatives, and where it is 0. It is 0 where both models rank alike: they cannot be told
            apart, and no test says how surprising that is, so that there is no p-value either.
        low: Lower end of the interval, of the normal distribution.
        high: Upper end.
        z: Value divided by standard error.
        p_value: Two-sided.
    """

    n: int
    positives: int
    units: int
    value: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    z: float | None
    p_value: float | None


def compare_aurocs(
    positives: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    units: np.ndarray,
    interval: float,
) -> AurocDifference:
    """Compare two models on the same cases.

    Args:
        positives: `(n,)` bool.
        first: Scores of a model, `(n,)` float, finite.
        second: Of another.
        units: Number of each case's patient, `(n,)` int, as of `bootstrap.resampling_units`.
        interval: Share of the normal distribution inside, in (0, 1).

    Raises:
        ValueError: A score is not finite.
    """
    counted = (len(positives), int(positives.sum()), len(np.unique(units)))
    if not positives.any() or positives.all():
        return AurocDifference(*counted, *[None] * 6)
    components = structural_components(positives, first) - structural_components(positives, second)
    value = float(components[positives].mean())
    variance = clustered_variance(positives, components, units)
    # Rounding, and the corrections for few units, can take a variance of 0 below it.
    if variance is None or variance <= ROUNDING**2:
        return AurocDifference(*counted, value, *[None] * 5)
    error = float(np.sqrt(variance))
    margin = float(norm.ppf((1 + interval) / 2)) * error
    z = value / error
    p_value = float(2 * norm.sf(abs(z)))
    return AurocDifference(*counted, value, error, value - margin, value + margin, z, p_value)


def structural_components(positives: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return what share of the other side each case wins against; a tie is half.

    The mean over the positives is the AUROC, and so is that over the negatives.

    Args:
        positives: `(n,)` bool; both kinds are there.
        scores: `(n,)` float, finite.

    Returns:
        `(n,)` float64 in [0, 1].

    Raises:
        ValueError: A score is not finite.
    """
    if not np.isfinite(scores).all():
        raise ValueError(f"scores must be finite. Got: {scores[~np.isfinite(scores)][:5]}.")
    ranks = rankdata(scores)
    components = np.empty(len(scores))
    # A rank among all less the rank among one's own counts those of the other side below.
    for own in (positives, ~positives):
        components[own] = (ranks[own] - rankdata(scores[own])) / (~own).sum()
    components[~positives] = 1 - components[~positives]
    return components


def clustered_variance(
    positives: np.ndarray, components: np.ndarray, units: np.ndarray
) -> float | None:
    """Estimate the variance of an AUROC, or of a difference of two, with images of one patient.

    Args:
        positives: `(n,)` bool; both kinds are there.
        components: From `structural_components`, or the difference of two models', `(n,)`.
        units: Number of each case's patient, `(n,)` int.

    Returns:
        `None` where fewer than two units have positives, or fewer than two negatives. May be just
        below 0 where few units are all that there is.
    """
    numbers = np.unique(units, return_inverse=True)[1]
    total = int(numbers.max()) + 1
    sums, parts = [], []
    for own in (positives, ~positives):
        holding = len(np.unique(numbers[own]))
        if holding < 2:
            return None
        deviations = components[own] - components[own].mean()
        sums.append(np.bincount(numbers[own], weights=deviations, minlength=total) / own.sum())
        parts.append(holding / (holding - 1) * (sums[-1] ** 2).sum())
    # Patients with both kinds of image bind the two means to each other.
    shared = total / (total - 1) * (sums[0] * sums[1]).sum()
    return float(parts[0] + parts[1] + 2 * shared)
