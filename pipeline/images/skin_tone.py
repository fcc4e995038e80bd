"""Estimate how light the skin around a lesion is, by the individual typology angle (ITA).

ITA = arctan((L* - 50) / b*) in degrees, of skin in CIELAB under D65: the lighter, the larger
(Chardin et al., Int J Cosmet Sci 13:191-208, 1991). The six groups are those of Del Bino and
Bernerd, Br J Dermatol 169(s3):33-40, 2013.

UNVALIDATED on dermoscopy: ITA is defined for a colorimeter on bare skin. Polarised light, contact
fluid, pressure, the light's fall towards the rim, and a white balance that nobody recorded all move
it; so does pigment around the lesion. Skin has b* above 0, but where a camera turned it bluer than
grey the angle means nothing and there is no estimate: that is 45 % of HAM10000, and just above 0
every light skin comes out very light. It is neither a Fitzpatrick type nor a person's ethnicity.

Skin is looked for without a mask: towards the rim of the crop, what is neither surround nor
specular nor part of what `pipeline.images.protect` takes for the lesion. Hairs and rulers cover too
little to move the median. A lesion that fills the crop is taken for skin.
`tools.measure_skin_tone` compares it with skin outside of lesion masks.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pipeline.images.colour_space import srgb_to_lab
from pipeline.images.protect import (
    LEAST_INSIDE,
    RIM_SHARE,
    find_lesion,
    measure_depth,
    measure_difference,
)
from pipeline.images.resize import resize_to_square

# From light to dark, each with the angle above which it lies.
ITA_GROUPS = (
    ("very light", 55.0),
    ("light", 41.0),
    ("intermediate", 28.0),
    ("tan", 10.0),
    ("brown", -30.0),
    ("dark", -math.inf),
)

ANALYSIS_PX = 128
DARK_SHARE = 0.27  # of the bright level of an image: darker is surround
BRIGHT_QUANTILE = 0.9
SPECULAR_LEVEL = 250  # of 255, in all channels
RIM_RADIUS = 0.75  # of half the side; lesions lie inside
MARGIN_SHARE = 0.03  # of the side, around the lesion: its edge fades into skin
LEAST_SKIN_SHARE = 0.03  # of the crop; less is no sample of skin


@dataclass(frozen=True)
class ItaEstimate:
    """An estimate for one image.

    Attributes:
        degrees: ITA of the median skin pixel, between -90 and 90.
        group: Name in `ITA_GROUPS`.
        skin_share: Share of the crop that was taken for skin.
    """

    degrees: float
    group: str
    skin_share: float


def estimate_ita(crop: np.ndarray) -> ItaEstimate | None:
    """Estimate the ITA of the skin that a crop shows.

    Args:
        crop: RGB, `(side, side, 3)` uint8.

    Returns:
        The estimate; `None` where too little of the crop is skin, or its b* is not above 0.

    Raises:
        ValueError: `crop` is not three-channel uint8.
    """
    small = resize_to_square(crop, ANALYSIS_PX, resample="bilinear")
    skin = mark_skin(small)
    if skin.mean() < LEAST_SKIN_SHARE:
        return None
    degrees = typology_angle(np.median(srgb_to_lab(small[skin]), axis=0))
    if degrees is None:
        return None
    return ItaEstimate(degrees, ita_group(degrees), float(skin.mean()))


def mark_skin(pixels: np.ndarray) -> np.ndarray:
    """Mark what is skin of an image of some 128 by 128 pixels.

    Args:
        pixels: RGB, `(height, width, 3)` uint8.

    Returns:
        `(height, width)` bool; nothing where the image is dark, or next to all of it is surround.
    """
    height, width = pixels.shape[:2]
    y, x = (np.indices((height, width)) + 0.5) / np.array([height, width]).reshape(2, 1, 1) * 2 - 1
    brightest = pixels.max(axis=2)
    lit = brightest > DARK_SHARE * np.quantile(brightest, BRIGHT_QUANTILE)
    at_rim = np.hypot(y, x) > RIM_RADIUS
    matt = pixels.min(axis=2) < SPECULAR_LEVEL
    return at_rim & lit & matt & ~mark_lesion(pixels, lit, matt)


def mark_lesion(pixels: np.ndarray, lit: np.ndarray, matt: np.ndarray) -> np.ndarray:
    """Mark a lesion and its faded edge, `(height, width)` bool; nothing where it is not told."""
    # A dark lesion inside the field is no surround, and a glint would lift the surface of skin.
    depth = measure_depth(ndimage.binary_fill_holes(lit))
    inside = matt & (depth > RIM_SHARE * min(lit.shape))
    lesion = None
    if inside.mean() >= LEAST_INSIDE:
        lesion = find_lesion(measure_difference(pixels, depth, inside), inside)
    if lesion is None:
        return np.zeros_like(lit)
    return ndimage.distance_transform_edt(~lesion) <= MARGIN_SHARE * min(lit.shape)


def typology_angle(lab: np.ndarray) -> float | None:
    """Return the ITA of one colour in degrees; `None` where b* is not above 0.

    Args:
        lab: L*, a*, b*: `(3,)` float.
    """
    lightness, _, b = lab
    return math.degrees(math.atan((lightness - 50) / b)) if b > 0 else None


def ita_group(degrees: float) -> str:
    """Name the group of an angle; at a limit it is the darker."""
    return next((name for name, limit in ITA_GROUPS if degrees > limit), ITA_GROUPS[-1][0])
