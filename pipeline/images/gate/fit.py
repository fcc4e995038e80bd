"""Fit an input gate on the descriptors of training images.

The limits are calibrated on images that the distance was not fitted on: the images are parted into
folds of whole groups (lesions, patients), and each is measured by what was fitted on the other
folds. One level, a share of images beyond each limit, is then raised until the wanted share of
images has any reason; what is wrong in several ways counts once.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.images.gate.limits import (
    NOT_A_LESION,
    RULES,
    SHOWN,
    UNLIKE_TRAINING,
    Distance,
    InputGate,
    check_descriptors,
    is_beyond,
    rule_values,
)

LEAST_IMAGES = 40
FOLDS = 5
MIDDLE = 0.95  # share of images between the two that tell a feature's spread
MIDDLE_SPREADS = 1.96  # of a normal distribution, from its median to either of them
LEAST_PART = 0.5  # of the standard deviation, that either spread has at least
LEAST_SPREAD = 1e-9  # of a feature that is not the same everywhere
FAR = 2.0  # times the limit of `unlike_training`: as far away as to show something else
# Shares of the false positives: what shows something else is told by the distance.
WEIGHTS = dict.fromkeys(RULES, 1.0) | {UNLIKE_TRAINING: 5.0}
ROUNDS = 40  # of halving the level


@dataclass(frozen=True)
class GateParams:
    """Section `gate` of `params.yaml`.

    Attributes:
        false_positive_share: Of genuine images, that may have a reason, in (0, 1).
    """

    false_positive_share: float

    def __post_init__(self) -> None:
        if not 0 < self.false_positive_share < 1:
            raise ValueError(
                f"false_positive_share must be in (0, 1). Got: {self.false_positive_share}."
            )


def fit_gate(
    descriptors: np.ndarray, *, groups: np.ndarray, false_positive_share: float
) -> InputGate:
    """Fit a gate.

    Args:
        descriptors: `(n, len(FEATURES))` float64, of `descriptors.describe`.
        groups: What each image belongs to and must not be parted from, `(n,)`, of any type.
        false_positive_share: Of genuine images, that may have a reason, in (0, 1).

    Raises:
        ValueError: There are too few images or groups, or the share is out of bounds.
    """
    check_descriptors(descriptors)
    if not 0 < false_positive_share < 1:
        raise ValueError(f"false_positive_share must be in (0, 1). Got: {false_positive_share}.")
    if len(descriptors) < LEAST_IMAGES:
        raise ValueError(
            f"A gate needs at least {LEAST_IMAGES} images to be fitted on. Got: {len(descriptors)}."
        )
    limits = choose_limits(
        {**rule_values(descriptors), UNLIKE_TRAINING: measure_apart(descriptors, groups)},
        false_positive_share,
    )
    limits[NOT_A_LESION] = FAR * limits[UNLIKE_TRAINING]
    return InputGate(limits, fit_distance(descriptors), len(descriptors), false_positive_share)


def measure_apart(descriptors: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Measure each image's distance, `(n,)`, by what was fitted on images of other groups."""
    from sklearn.model_selection import GroupKFold

    if len(np.unique(groups)) < FOLDS:
        raise ValueError(
            f"groups must have at least {FOLDS} different values. Got: {len(np.unique(groups))}."
        )
    found = np.empty(len(descriptors))
    for kept, held in GroupKFold(FOLDS).split(descriptors, groups=groups):
        found[held] = fit_distance(descriptors[kept]).measure(descriptors[held])
    return found


def fit_distance(descriptors: np.ndarray) -> Distance:
    """Fit the distance: spreads of single features, then what they have in common.

    The covariance is shrunk by the rule of Ledoit and Wolf (J Multivar Anal 88:365-411, 2004), so
    that few images suffice. A feature that never varies is left out.
    """
    from sklearn.covariance import ledoit_wolf

    shown = descriptors[:, SHOWN]
    centre, spread = np.median(shown, axis=0), shown.std(axis=0)
    ends = np.quantile(shown, [(1 - MIDDLE) / 2, (1 + MIDDLE) / 2], axis=0)
    varies = spread > LEAST_SPREAD
    below, above = (
        np.where(varies, np.maximum(np.abs(end - centre) / MIDDLE_SPREADS, LEAST_PART * spread), 1)
        for end in ends
    )
    scaled = Distance(centre, below, above, np.diag(varies.astype(float))).whiten(descriptors)
    # About the median, not the mean: what is typical has no distance.
    covariance = ledoit_wolf(scaled, assume_centered=True)[0]
    covariance[~varies, ~varies] = 1
    values, vectors = np.linalg.eigh(covariance)
    whitening = vectors / np.sqrt(values) * varies[:, None]
    return Distance(centre, below, above, whitening)


def choose_limits(values: dict[str, np.ndarray], false_positive_share: float) -> dict[str, float]:
    """Choose limits by code, such that the wanted share of images is beyond any of them, at most.

    Args:
        values: What was measured, by code, `(n,)` each, by something fitted on other images.
        false_positive_share: The wanted share.
    """
    low, high = 0.0, 1.0
    for _ in range(ROUNDS):
        level = (low + high) / 2
        limits = limits_at(level, values)
        beyond = [is_beyond(code, values[code], limit) for code, limit in limits.items()]
        if np.any(beyond, axis=0).mean() > false_positive_share:
            high = level
        else:
            low = level
    return limits_at(low, values)


def limits_at(level: float, values: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the limits beyond which lies a share of `level`, split by `WEIGHTS`, of the images."""
    limits = {}
    for code, found in values.items():
        part = level * WEIGHTS[code] / sum(WEIGHTS.values())
        rule = RULES.get(code)
        if rule is None or rule.sign > 0:
            limit = float(np.quantile(found, 1 - part, method="higher"))
            limits[code] = limit if rule is None else max(limit, rule.spared)
        else:
            limits[code] = min(float(np.quantile(found, part, method="lower")), rule.spared)
    return limits
