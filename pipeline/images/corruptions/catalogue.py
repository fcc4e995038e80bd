"""The corruptions by name, and `corrupt`, which applies one of them to an image.

An image is RGB, `(height, width, 3)` uint8, as decoded: a corruption acts on the original, before
the CAD crops and shrinks it. Strengths are shares of the shorter side, or do not depend on size.
Severity 1 is what a good clinic produces now and then, severity 5 what a careless phone attachment
does; a person still finds the lesion. What is random is drawn before the strength is used, from
(seed, name, image_id) alone: the severities of an image differ in strength and in nothing else. The
mean difference from the clean pixels grows with severity; of geometry how far places move does.
"""

import hashlib
import json
import operator
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

import numpy as np

from pipeline.images.corruptions import covers, geometry, illumination, lines, quality, skin_tone

Change = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]

SEVERITIES = (1, 2, 3, 4, 5)
LEAST_SIDE_PX = 32


class UnchangedError(ValueError):
    """A corruption left every pixel as it was: its result must not count as a corrupted image."""


@dataclass(frozen=True)
class Corruption:
    """One way in which an image goes wrong.

    Attributes:
        group: illumination, obstruction, skin_tone, quality or geometry.
        description: What it is.
        unit: What a strength counts.
        change: Takes pixels, strength and a generator; returns new pixels.
        strengths: Of severities 1 to 5, from weak to strong.
    """

    group: str
    description: str
    unit: str
    change: Change
    strengths: tuple[float, float, float, float, float]


CORRUPTIONS: dict[str, Corruption] = {
    "brighter": Corruption(
        "illumination",
        "overexposed: highlights are lost",
        "stops of light",
        illumination.brighten,
        (0.3, 0.6, 0.9, 1.2, 1.6),
    ),
    "darker": Corruption(
        "illumination",
        "underexposed",
        "stops of light",
        illumination.darken,
        (0.5, 1.0, 1.6, 2.2, 3.0),
    ),
    "gamma": Corruption(
        "illumination",
        "midtones too dark or too bright: another display curve",
        "exponent, or its inverse",
        illumination.bend_gamma,
        (1.15, 1.35, 1.6, 1.9, 2.3),
    ),
    "colour_cast": Corruption(
        "illumination",
        "white balanced for another light: warm or cold, greenish or magenta",
        "stops between red and blue",
        illumination.cast_colour,
        (0.25, 0.5, 0.8, 1.1, 1.5),
    ),
    "shadow": Corruption(
        "illumination",
        "a soft-edged shadow over about half of the image",
        "stops of light",
        illumination.cast_shadow,
        (0.5, 1.0, 1.6, 2.2, 3.0),
    ),
    "specular": Corruption(
        "illumination",
        "the lamp's reflection: white haze and glints",
        "opacity of the haze at its middle; above 1 it spreads",
        illumination.add_glare,
        (0.25, 0.45, 0.7, 1.0, 1.4),
    ),
    "hairs": Corruption(
        "obstruction", "dark hairs across the image", "hairs", lines.draw_hairs, (4, 10, 20, 35, 60)
    ),
    "ruler": Corruption(
        "obstruction",
        "a paper ruler over one side",
        "depth in shares of the shorter side",
        lines.lay_ruler,
        (0.05, 0.10, 0.15, 0.20, 0.26),
    ),
    "ink": Corruption(
        "obstruction",
        "a surgical pen's mark around the lesion",
        "turns around the lesion, each nearer to it",
        lines.draw_ink,
        (0.15, 0.4, 0.8, 1.3, 2.0),
    ),
    "gel_bubbles": Corruption(
        "obstruction", "air bubbles in the gel", "bubbles", covers.add_bubbles, (4, 10, 20, 35, 60)
    ),
    "dark_surround": Corruption(
        "obstruction",
        "a scope's round field of view, the rest dark",
        "radius in shares of half the diagonal",
        covers.darken_surround,
        (0.90, 0.80, 0.70, 0.61, 0.52),
    ),
    "occluding_patches": Corruption(
        "obstruction",
        "opaque labels, plasters or glove tips around the lesion",
        "share of the image that is covered, at most",
        covers.lay_patches,
        (0.03, 0.07, 0.13, 0.20, 0.28),
    ),
    "lighter_skin": Corruption(
        "skin_tone",
        "the same lesion on lighter skin",
        "share of the way to the lightest skin, in CIELAB",
        skin_tone.lighten_skin,
        (0.15, 0.3, 0.45, 0.6, 0.8),
    ),
    "darker_skin": Corruption(
        "skin_tone",
        "the same lesion on darker skin",
        "share of the way to the darkest skin, in CIELAB",
        skin_tone.darken_skin,
        (0.15, 0.3, 0.45, 0.6, 0.8),
    ),
    "defocus": Corruption(
        "quality",
        "out of focus",
        "radius of a point's image in shares of the shorter side",
        quality.defocus,
        (0.002, 0.004, 0.007, 0.011, 0.016),
    ),
    "motion_blur": Corruption(
        "quality",
        "the hand moved during the exposure",
        "length of the path in shares of the shorter side",
        quality.shake,
        (0.006, 0.012, 0.02, 0.032, 0.048),
    ),
    "noise": Corruption(
        "quality",
        "a small sensor in little light: shot and read noise",
        "standard deviation at level 128, in levels",
        quality.add_noise,
        (4, 8, 14, 21, 30),
    ),
    "jpeg": Corruption(
        "quality",
        "compressed by a messenger or an old archive",
        "quality of libjpeg's tables",
        quality.compress,
        (60, 35, 20, 12, 8),
    ),
    "low_resolution": Corruption(
        "quality",
        "a thumbnail, or a small part of a large picture",
        "pixels along the shorter side that remain of a very large image",
        quality.lower_resolution,
        (900, 450, 260, 160, 100),
    ),
    "rotation": Corruption(
        "geometry", "the camera turned", "degrees, either way", geometry.rotate, (5, 11, 19, 30, 45)
    ),
    "scale": Corruption(
        "geometry",
        "the camera too near or too far",
        "factor, or its inverse",
        geometry.rescale,
        (1.08, 1.2, 1.35, 1.55, 1.8),
    ),
    "crop_error": Corruption(
        "geometry",
        "the lesion off-centre or partly cut",
        "share of height and width that is lost",
        geometry.miss,
        (0.08, 0.15, 0.22, 0.29, 0.36),
    ),
}


def corrupt(
    pixels: np.ndarray, name: str, *, severity: int, image_id: str, seed: int
) -> np.ndarray:
    """Corrupt one image.

    Args:
        pixels: RGB, `(height, width, 3)` uint8, each side at least 32 px; is left as it is.
        name: Key of `CORRUPTIONS`.
        severity: 1 to 5.
        image_id: The case; with `seed` and `name` it makes what is random.
        seed: Of the whole run.

    Returns:
        RGB uint8, perhaps read-only, of the same shape; `crop_error` returns a smaller one.

    Raises:
        ValueError: An argument is not as above.
        UnchangedError: No pixel changed. So it is, for example, where a black image is made darker:
            whoever counts must leave the case out and say so, never score it as corrupted.
    """
    _check(pixels, name, severity)
    corruption = CORRUPTIONS[name]
    rng = generator(seed, name, image_id)
    corrupted = corruption.change(pixels, corruption.strengths[severity - 1], rng)
    if np.array_equal(corrupted, pixels):
        raise UnchangedError(
            f"corruption {name!r} at severity {severity} must change image {image_id!r}. Got: the "
            f"same pixels, of levels {pixels.min()} to {pixels.max()}. Leave this case out of this "
            "corruption, and report how many were."
        )
    return corrupted


def generator(seed: int, name: str, image_id: str) -> np.random.Generator:
    """Make the generator of a corruption of an image: the same in any order and any process."""
    text = json.dumps([operator.index(seed), name, image_id])
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big"))


def _check(pixels: np.ndarray, name: str, severity: int) -> None:
    if name not in CORRUPTIONS:
        raise ValueError(f"name must be one of {sorted(CORRUPTIONS)}. Got: {name!r}.")
    if (
        isinstance(severity, bool)
        or not isinstance(severity, Integral)
        or severity not in SEVERITIES
    ):
        raise ValueError(f"severity must be a whole number from 1 to 5. Got: {severity!r}.")
    shape, kind = pixels.shape, pixels.dtype
    if len(shape) != 3 or shape[2] != 3 or kind != np.uint8 or min(shape[:2]) < LEAST_SIDE_PX:
        raise ValueError(
            f"pixels must be (height, width, 3) uint8, at least {LEAST_SIDE_PX} px a side. "
            f"Got: {shape} {kind}."
        )
