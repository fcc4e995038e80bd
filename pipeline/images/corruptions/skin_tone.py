"""Skin tone: the same lesion on a lighter or a darker person.

The image's own skin tone is measured and moved, in CIELAB, a share of the way towards the lightest
or the darkest human skin, which moves its typology angle. Colours darker than skin, a lesion's,
move in proportion to their lightness, nearly as under a layer of more or less melanin: a lesion
stays darker than its skin, its contrast shrinks on dark skin as it does there, black stays black.
"""

import numpy as np
from PIL import Image, ImageFilter

from pipeline.images.colour_space import lab_to_srgb, srgb_to_lab
from pipeline.images.corruptions.surround import find_lit

# L*, a*, b* at the ends of what is measured on people: typology angles of 77 and -64 degrees.
LIGHTEST = np.array([85.0, 6.0, 8.0])
DARKEST = np.array([25.0, 10.0, 12.0])
LOOK_PX = 48
MARGIN_SHARE = 0.2  # of each side: skin, where a lesion lies in the middle
LEAST_LIGHTNESS = 5.0  # L*; skin is never darker
KNOTS = 25  # of the colour table along each channel


def lighten_skin(pixels: np.ndarray, share: float, _: np.random.Generator) -> np.ndarray:
    """Move skin a share of the way to the lightest tone; white stays white."""
    return _move_tone(pixels, LIGHTEST, share)


def darken_skin(pixels: np.ndarray, share: float, _: np.random.Generator) -> np.ndarray:
    """Move skin a share of the way to the darkest tone."""
    return _move_tone(pixels, DARKEST, share)


def estimate_tone(image: Image.Image) -> np.ndarray:
    """Return the median L*, a*, b* of the image's margin, a dark surround left out, `(3,)`."""
    step = max(1, min(image.size) // LOOK_PX)
    small = np.asarray(image.reduce(step))
    lit = find_lit(image)
    is_lit = np.ones(small.shape[:2], bool) if lit is None else np.asarray(lit.reduce(step)) > 250
    margin = np.ones_like(is_lit)
    rows, columns = (round(MARGIN_SHARE * side) for side in margin.shape)
    margin[rows:-rows, columns:-columns] = False
    skin = is_lit & margin
    return np.median(srgb_to_lab(small[skin if skin.any() else is_lit]), axis=0)


def _move_tone(pixels: np.ndarray, goal: np.ndarray, share: float) -> np.ndarray:
    image = Image.fromarray(pixels)
    tone = estimate_tone(image)
    is_lighter = goal is LIGHTEST
    change = share * (goal - tone)
    # Overexposed skin is lighter than any: it is not darkened in order to make it light.
    change[0] = max(change[0], 0.0) if is_lighter else min(change[0], 0.0)
    knots = np.linspace(0, 255, KNOTS)
    blue, green, red = np.meshgrid(knots, knots, knots, indexing="ij")  # red varies fastest
    lab = srgb_to_lab(np.stack([red, green, blue], axis=-1))
    moved = lab_to_srgb(_move(lab, tone, change, is_lighter=is_lighter)) / 255
    table = np.clip(moved, 0, 1).astype(np.float32)
    return np.asarray(image.filter(ImageFilter.Color3DLUT(KNOTS, table.ravel())))


def _move(lab: np.ndarray, tone: np.ndarray, change: np.ndarray, *, is_lighter: bool) -> np.ndarray:
    """Move colours, `(..., 3)` L*, a*, b*, as `tone` moves by `change`."""
    skin = max(tone[0], LEAST_LIGHTNESS)
    lightness = lab[..., :1]
    weight = np.minimum(1.0, lightness / skin)
    if is_lighter:
        weight = np.minimum(weight, (100 - lightness) / max(100 - skin, 1.0))
    # Less light carries less colour: else a lesion would glow red on dark skin.
    faded = min(1.0, (skin + change[0]) / skin)
    own = faded * (lab - weight * tone)[..., 1:]  # how a colour differs from skin's
    colour = own + weight * (tone + change)[1:]
    return np.concatenate([lightness + weight * change[0], colour], axis=-1)
