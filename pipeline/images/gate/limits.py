"""Say in plain words why the probabilities of an image may not be trusted.

A gate gives reasons and never refuses: the image is scored all the same. It compares an image's
descriptor with limits that `pipeline.images.gate.fit` learns from training images: one-sided limits
of single features, and two of a distance from the training images as a whole. The share of genuine
images that gets any reason was chosen when it was fitted. Applying a gate needs NumPy alone.

The distance is Mahalanobis': each feature is centred on its median and scaled by its spread, apart
for what lies below and above, and what features have in common counts once. It is 1 for a typical
training image.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.images.gate.descriptors import FEATURES

BLURRED, EMPTY = "blurred", "empty"
UNDER_EXPOSED, OVER_EXPOSED = "under_exposed", "over_exposed"
WRONG_ASPECT = "wrong_aspect"
UNLIKE_TRAINING, NOT_A_LESION = "unlike_training", "not_a_lesion"

WORDS = {
    BLURRED: "The image is blurred, or enlarged from few pixels: fine structures are missing.",
    UNDER_EXPOSED: "The image is too dark.",
    OVER_EXPOSED: "The image is too bright: parts of it have lost their colour.",
    EMPTY: "There is next to nothing to be seen in the image.",
    WRONG_ASPECT: "The image is far from square: much of it is cut off or distorted.",
    UNLIKE_TRAINING: "The image is unlike those that the system was trained on.",
    NOT_A_LESION: "The image is so unlike dermoscopy that it may not show a skin lesion at all.",
}


@dataclass(frozen=True)
class Rule:
    """How one quality is read from a descriptor.

    Attributes:
        feature: One of `FEATURES`.
        sign: 1 where a value above the limit is a reason, -1 where one below is.
        spared: The limit is never stricter than this, whatever the training images are like.
    """

    feature: str
    sign: int
    spared: float


RULES = {
    BLURRED: Rule("sharpness", -1, 0.4),
    UNDER_EXPOSED: Rule("light_p90", -1, 50.0),
    OVER_EXPOSED: Rule("clipped_share", 1, 0.1),
    # Two CIELAB units from the mean colour, on average, are about what an eye tells apart.
    EMPTY: Rule("plan_spread", -1, 1.0),
    # A square crop keeps half of an image that is twice as long as wide.
    WRONG_ASPECT: Rule("aspect_ratio", 1, 2.0),
}
# All but the shape of the original, which says nothing about what is shown.
OF_DISTANCE = tuple(name for name in FEATURES if name != RULES[WRONG_ASPECT].feature)
SHOWN = [FEATURES.index(name) for name in OF_DISTANCE]
# One feature that all training images share, such as no black at all, must not decide alone.
MOST_SPREADS = 6.0


@dataclass(frozen=True)
class Reason:
    """Why the probabilities of an image may not be trusted.

    Attributes:
        code: Key of `WORDS`.
        words: A sentence for a person.
        value: What was measured.
        limit: What it lies beyond.
    """

    code: str
    words: str
    value: float
    limit: float


@dataclass(frozen=True, eq=False)
class Distance:
    """How far an image lies from the training images.

    Attributes:
        centre: Median of each feature in `OF_DISTANCE`, `(k,)` float64.
        below: Spread of what lies below it, `(k,)`, above 0.
        above: Spread of what lies above it, likewise.
        whitening: `(k, k)`; takes out what features have in common.
    """

    centre: np.ndarray
    below: np.ndarray
    above: np.ndarray
    whitening: np.ndarray

    def whiten(self, descriptors: np.ndarray) -> np.ndarray:
        """Return the features of descriptors centred, scaled and made independent, `(n, k)`."""
        away = descriptors[:, SHOWN] - self.centre
        scaled = away / np.where(away < 0, self.below, self.above)
        return np.clip(scaled, -MOST_SPREADS, MOST_SPREADS) @ self.whitening

    def measure(self, descriptors: np.ndarray) -> np.ndarray:
        """Return the distance of descriptors, `(n, len(FEATURES))`, as `(n,)` float64."""
        return np.sqrt((self.whiten(descriptors) ** 2).mean(axis=1))


@dataclass(frozen=True, eq=False)
class InputGate:
    """Limits learnt from training images.

    Attributes:
        limits: By code, every one of `WORDS`.
        distance: What the last two limits are limits of.
        images: How many it was fitted on.
        false_positive_share: Share of genuine images that was to get a reason.
    """

    limits: dict[str, float]
    distance: Distance
    images: int
    false_positive_share: float

    def reasons(self, descriptor: np.ndarray) -> tuple[Reason, ...]:
        """Find the reasons, in the order of `WORDS`; for most genuine images there is none.

        Of the two that tell a distance only the graver is given.

        Args:
            descriptor: `(len(FEATURES),)` float64, of `descriptors.describe`.

        Raises:
            ValueError: `descriptor` has another shape, or a value that is not finite.
        """
        values, flags = self.judge(descriptor[None])
        return tuple(
            Reason(code, words, float(values[code][0]), self.limits[code])
            for code, words in WORDS.items()
            if flags[code][0]
        )

    def judge(self, descriptors: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Measure many images at once.

        Args:
            descriptors: `(n, len(FEATURES))` float64.

        Returns:
            By code: what was measured, `(n,)` float64, and whether it is a reason, `(n,)` bool.
        """
        check_descriptors(descriptors)
        values = rule_values(descriptors)
        values[UNLIKE_TRAINING] = values[NOT_A_LESION] = self.distance.measure(descriptors)
        flags = {code: is_beyond(code, values[code], self.limits[code]) for code in WORDS}
        flags[UNLIKE_TRAINING] &= ~flags[NOT_A_LESION]
        return values, flags


def rule_values(descriptors: np.ndarray) -> dict[str, np.ndarray]:
    """Read by code what each rule looks at, `(n,)` float64."""
    return {
        code: descriptors[:, FEATURES.index(rule.feature)].copy() for code, rule in RULES.items()
    }


def is_beyond(code: str, values: np.ndarray, limit: float) -> np.ndarray:
    """Tell by code whether values are a reason: beyond the limit, never on it."""
    return values < limit if code in RULES and RULES[code].sign < 0 else values > limit


def check_descriptors(descriptors: np.ndarray) -> None:
    """Raise `ValueError` unless descriptors are `(n, len(FEATURES))` and finite."""
    if descriptors.ndim != 2 or descriptors.shape[1] != len(FEATURES):
        raise ValueError(
            f"descriptors must have {len(FEATURES)} features each. Got: {descriptors.shape}."
        )
    if not np.isfinite(descriptors).all():
        rows = np.flatnonzero(~np.isfinite(descriptors).all(axis=1))
        raise ValueError(f"descriptors must be finite. Got: rows {rows[:5].tolist()} are not.")
