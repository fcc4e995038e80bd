"""How well a map of importances says what a network looks at: deletion, insertion, localisation.

Pure numbers: a map is `(height, width)` float, NaN all over where it is undefined. What hides the
pixels and scores the rest is handed in as `score_hidden(masks)`: masks `(n, height, width)` float32
in [0, 1], 0 where the image shows and 1 where its fill does, to the scores of one class, `(n,)`.

Deletion hides the most important pixels first: the lower the area under the scores, the better the
map. Insertion shows them first: the higher, the better. Pixels of one value have no order, so they
fade together; a constant map has no order at all and its areas are undefined.

Areas depend on the image and on the fill, so one alone says little: compare them with the areas of
maps that know nothing (`random_like`, or another image's map), image by image (`paired_gain`).

Source: Petsiuk et al. 2018, https://arxiv.org/abs/1806.07421
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.scoring.bootstrap import Estimate, percentile_interval

ScoreHidden = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Curves:
    """Scores of one class while an image is hidden or shown, `(steps + 1,)` float64 each.

    Attributes:
        deletion: From the whole image to its fill.
        insertion: From the fill to the whole image.
    """

    deletion: np.ndarray
    insertion: np.ndarray


@dataclass(frozen=True)
class PairedGain:
    """How much better maps do than their controls, on the same images.

    Attributes:
        n: Images on which both are defined.
        gain: Mean difference, with its interval; above 0 where the maps are better.
        wins: Share of those images on which the map is better, a tie as half; `None` without one.
    """

    n: int
    gain: Estimate
    wins: float | None


def removal_masks(heat: np.ndarray, steps: int) -> np.ndarray:
    """Hide ever more of an image, the most important pixels first.

    Args:
        heat: `(height, width)` float, finite.
        steps: Equal shares of the pixels that are hidden one after another.

    Returns:
        `(steps + 1, height, width)` float32: the first all 0, the last all 1, each with the mean
        `step / steps`; pixels of one value are alike.

    Raises:
        ValueError: There is no step.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1. Got: {steps}.")
    above, ties = _places(-heat)
    wanted = np.linspace(0, heat.size, steps + 1)[:, None, None]
    return np.clip((wanted - above) / ties, 0, 1).astype(np.float32)


def removal_curves(heat: np.ndarray, score_hidden: ScoreHidden, *, steps: int) -> Curves:
    """Score an image while it is hidden, and while it is shown, in the order of a map.

    Args:
        heat: `(height, width)` float.
        score_hidden: Masks to scores, as described above; called twice with `steps + 1` masks.
        steps: Of each curve.

    Returns:
        The curves; NaN all over where the map is undefined or constant, without scoring.
    """
    if not is_ordered(heat):
        undefined = np.full(steps + 1, np.nan)
        return Curves(undefined, undefined)
    masks = removal_masks(heat, steps)
    scores = (score_hidden(masks), score_hidden(1 - masks))
    return Curves(*(np.asarray(curve, np.float64) for curve in scores))


def area_under(curve: np.ndarray) -> float:
    """Mean of a curve over the share that is hidden or shown, by trapezia; NaN if undefined."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def is_ordered(heat: np.ndarray) -> bool:
    """Say whether a map is defined and has more than one value."""
    return bool(np.isfinite(heat).all() and np.ptp(heat) > 0)


def random_like(heat: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a map that knows nothing of the image, with the same values and the same smoothness.

    The phases of its Fourier transform are random, the amplitudes the map's own; then its values
    become the map's, rank by rank. A rough control would be beaten by any smooth map.

    Args:
        heat: `(height, width)` float, finite.
        rng: Source of the phases.

    Returns:
        `(height, width)` float, a permutation of `heat`.

    Source: Theiler et al. 1992, https://doi.org/10.1016/0167-2789(92)90102-S
    """
    noise = np.fft.rfft2(rng.standard_normal(heat.shape))
    amplitude = np.abs(np.fft.rfft2(heat - heat.mean()))
    drawn = np.fft.irfft2(amplitude * np.exp(1j * np.angle(noise)), s=heat.shape)
    values = np.empty(heat.size, heat.dtype)
    values[np.argsort(drawn, axis=None, kind="stable")] = np.sort(heat, axis=None)
    return values.reshape(heat.shape)


def paired_gain(
    better: np.ndarray, worse: np.ndarray, *, counts: np.ndarray, interval: float
) -> PairedGain:
    """Compare maps with their controls image by image.

    Args:
        better: What is thought to be the larger, `(n,)` float: areas of insertion of the maps, or
            areas of deletion of the controls; NaN where undefined.
        worse: The other, `(n,)`.
        counts: From `bootstrap.draw_counts`, `(repeats, n)` int.
        interval: Share of the resamples inside, in (0, 1).
    """
    difference = better - worse
    known = ~np.isnan(difference)
    n = int(known.sum())
    if not n:
        return PairedGain(0, Estimate(None, None, None, 0), None)
    total = counts[:, known].sum(axis=1)
    sums = counts[:, known] @ difference[known]
    means = np.divide(sums, total, out=np.full(len(counts), np.nan), where=total > 0)
    low, high, resamples = percentile_interval(means, interval)
    value = float(difference[known].mean())
    wins = float(np.mean((np.sign(difference[known]) + 1) / 2))
    return PairedGain(n, Estimate(value, low, high, resamples), wins)


def pointing_hit(heat: np.ndarray, region: np.ndarray) -> float:
    """Say whether a map's highest point lies in a region: 1 or 0, a share where several are.

    Args:
        heat: `(height, width)` float.
        region: `(height, width)` bool.

    Returns:
        NaN where the map is undefined or constant. By chance it is the region's share of the image.

    Source: Zhang et al. 2016, https://arxiv.org/abs/1608.00507
    """
    if not is_ordered(heat):
        return float("nan")
    return float(region[heat == heat.max()].mean())


def energy_inside(heat: np.ndarray, region: np.ndarray) -> float:
    """Share of a map's sum that lies in a region, in [0, 1].

    Args:
        heat: `(height, width)` float, 0 or more.
        region: `(height, width)` bool.

    Returns:
        NaN where the map is undefined or 0 all over. For a constant map it is the region's share.

    Source: Wang et al. 2020, https://arxiv.org/abs/1910.01279
    """
    total = float(heat.sum())
    return float(heat[region].sum() / total) if total > 0 else float("nan")


def map_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation of two maps' pixels, in [-1, 1]; ties share their mean rank.

    Of a network's map and that of the same network with random weights it must be low: a map that
    stays shows the image, not what was learnt.

    Args:
        first: `(height, width)` float.
        second: Of the same shape.

    Returns:
        NaN where either is undefined or constant.

    Source: Adebayo et al. 2018, https://arxiv.org/abs/1810.03292
    """
    if not (is_ordered(first) and is_ordered(second)):
        return float("nan")
    ranks = [np.ravel(below + (ties - 1) / 2) for below, ties in map(_places, (first, second))]
    return float(np.corrcoef(*ranks)[0, 1])


def _places(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count for each value those below it, and those equal to it, itself included."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    group = group.reshape(values.shape)
    return (np.cumsum(sizes) - sizes)[group], sizes[group]
