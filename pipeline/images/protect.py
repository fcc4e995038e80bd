"""Draw the box around a lesion that no cut of a surround may enter.

Under a dermatoscope the light falls off towards the rim by one factor for all colours. A lesion is
either redder or browner than its skin, which shows in the ratio of the channels whatever the light,
or darker than the light's slow fall explains. Both are measured against a smooth surface fitted to
the skin. Where the lesion cannot be told from its surroundings with some certainty, because it is
pale, wide, or one of many spots, the whole field is protected.

Measured against the lesion masks of HAM10000 by `tools.measure_crop`.
"""

import numpy as np
from scipy import ndimage

from pipeline.images.boxes import Box, bounding_box, grow_box

RIM_SHARE = 0.047  # of the shorter side: next to the surround, where the light is not measured
BLUR_SHARE = 0.012  # of the shorter side: hairs and noise
OFFSET = 8  # added to levels before the logarithm, so that noise in the dark counts little
FIT_STEP = 3  # every third pixel of every third row is enough for five factors
FIT_ROUNDS = 10
FIT_BELOW = 0.08  # octaves below the surface at which a pixel is no longer taken for skin
FIT_WEIGHT = 0.005  # of those pixels
FALL_SHARE = 0.04  # of the shorter side: how fast the light falls beside the rim
DARKNESS_WEIGHT = 0.5  # of darkness, beside colour: hairs and shadows are dark, not brown
LEAST_INSIDE = 0.03  # share of the image; a smaller field has too little skin to compare with

PEAK_SHARE = 0.002  # of the field's pixels: the lesion's strongest
LEAST_DIFFERENCE = 0.1  # octaves; less is skin
EDGE_SHARE = 0.2  # of the peak, at which a lesion ends
CORE_SHARE = 0.4  # of the peak, that some part of a lesion must reach
PART_SHARE = 0.4  # of the largest part's weight, that another part of a lesion must have

LEAST_MEAN = 0.2  # octaves; a paler lesion is not told from skin
MOST_EXTENT = 0.8  # of the field's shorter side; a wider lesion leaves too little skin
SPOT = 0.12  # octaves
MOST_SPOTS = 0.4  # share of the skin outside the box that may be spotted

LESION_MARGIN = 0.1  # of the lesion's longer side, beside `margin_share`


def find_protected(pixels: np.ndarray, field: np.ndarray, outline: Box, margin_share: float) -> Box:
    """Find what must stay of a field.

    Args:
        pixels: RGB, `(height, width, 3)` uint8, the shorter side some 128 pixels.
        field: Convex, not empty, `(height, width)` bool.
        outline: Box around the field.
        margin_share: Of the shorter side of the image, kept around the lesion.

    Returns:
        A box inside `outline`: around the lesion, or `outline` itself where the lesion is not told
        from the skin.
    """
    depth = measure_depth(field)
    inside = depth > RIM_SHARE * min(field.shape)
    if inside.mean() < LEAST_INSIDE:
        return outline
    difference = measure_difference(pixels, depth, inside)
    lesion = find_lesion(difference, inside)
    if lesion is None:
        return outline
    box = bounding_box(lesion)
    extent = max(box[2] - box[0], box[3] - box[1])
    if extent > MOST_EXTENT * min(outline[2] - outline[0], outline[3] - outline[1]):
        return outline
    if difference[lesion].mean() < LEAST_MEAN:
        return outline
    grown = grow_box(box, margin_share * min(field.shape) + LESION_MARGIN * extent, outline)
    skin = inside.copy()
    skin[grown[0] : grown[2], grown[1] : grown[3]] = False
    if not skin.any() or (difference[skin] > SPOT).mean() > MOST_SPOTS:
        return outline
    return grown


def measure_depth(field: np.ndarray) -> np.ndarray:
    """Return each pixel's distance from the surround, in pixels; the image's edge is none."""
    padded = np.pad(field, 1, mode="edge")
    if padded.all():
        return np.full(field.shape, np.inf)
    return ndimage.distance_transform_edt(padded)[1:-1, 1:-1]


def measure_difference(pixels: np.ndarray, depth: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Measure how far each pixel lies from skin, in octaves: redder, browner or darker.

    Args:
        pixels: RGB, `(height, width, 3)` uint8.
        depth: Distance from the surround, `(height, width)`.
        inside: The field without its rim, `(height, width)` bool.

    Returns:
        `(height, width)` float64, 0 outside `inside`; 0 is skin, 1 a factor of two.
    """
    red, green, blue = np.moveaxis(pixels.astype(np.float64) + OFFSET, 2, 0)
    light = np.log2((green + blue) / 2)
    colour = np.log2(red) - light
    surface = _surface(depth, inside)
    darkness = _below_skin(light, surface, inside)
    # A blue lesion is dark too; as skin it would pull the surface of colour to itself.
    redness = _below_skin(-colour, surface, inside & (darkness <= FIT_BELOW))
    darkness, redness = _blur(darkness, inside), _blur(redness, inside)
    return np.where(inside, np.maximum(redness, DARKNESS_WEIGHT * darkness), 0).clip(0)


def find_lesion(difference: np.ndarray, inside: np.ndarray) -> np.ndarray | None:
    """Mark the parts of a lesion: those with a strong core and enough weight.

    Returns:
        `(height, width)` bool, not empty; `None` where nothing differs from skin.
    """
    values = np.sort(difference[inside])
    peak = values[-max(10, int(PEAK_SHARE * len(values)))]
    labels, parts = ndimage.label(difference > max(LEAST_DIFFERENCE, EDGE_SHARE * peak))
    if not parts:
        return None
    weight, core = np.zeros(parts + 1), np.zeros(parts + 1)  # by label; 0 is skin
    marked = labels > 0
    np.add.at(weight, labels[marked], difference[marked])
    np.maximum.at(core, labels[marked], difference[marked])
    chosen = (weight >= PART_SHARE * weight.max()) & (core >= CORE_SHARE * peak)
    return chosen[labels] if chosen.any() else None


def _surface(depth: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the light's terms, `(height, width, 5)`: one, a bowl, and a fall at the rim.

    All are 0 outside.
    """
    top, left, bottom, right = bounding_box(depth > 0)
    side, half = min(depth.shape), max(depth.shape) / 2
    y, x = np.ogrid[: depth.shape[0], : depth.shape[1]]
    x, y = (x - (left + right) / 2) / half, (y - (top + bottom) / 2) / half
    fall = np.exp((RIM_SHARE * side - depth) / (FALL_SHARE * side))
    terms = np.empty((*depth.shape, 5))
    for index, term in enumerate((1, x, y, x * x + y * y, fall)):
        terms[..., index] = inside * term
    return terms


def _below_skin(values: np.ndarray, surface: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Return how far values lie below a surface, fitted to skin from above what is no skin."""
    thin = np.zeros_like(skin)
    thin[::FIT_STEP, ::FIT_STEP] = skin[::FIT_STEP, ::FIT_STEP]
    terms, wanted = surface[thin], values[thin]
    is_skin = np.ones(len(wanted), bool)
    for _ in range(FIT_ROUNDS):
        weighted = terms * np.where(is_skin, 1.0, FIT_WEIGHT)[:, None]
        normal = weighted.T @ terms + 1e-6 * np.eye(terms.shape[1])
        factors = np.linalg.solve(normal, weighted.T @ wanted)
        before, is_skin = is_skin, wanted - terms @ factors >= -FIT_BELOW
        if (is_skin == before).all():
            break
    return np.where(surface[..., 0], surface @ factors - values, 0)


def _blur(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Blur what is inside, without what is outside bleeding in."""
    sigma = BLUR_SHARE * min(values.shape)
    share = ndimage.gaussian_filter(inside.astype(np.float64), sigma)
    return ndimage.gaussian_filter(values, sigma) / np.maximum(share, 0.2)
