"""Show a map of importances: as colour over an image, as contours, as the scale's legend.

A map covers the same square as its image whatever the sizes of the two: pixel `i` of `n` has its
centre at `(i + 0.5) / n` of the side. The colours are a cubehelix: lightness alone tells the order,
so it survives grey print and every kind of colour blindness.

Source: Green 2011, "A colour scheme for the display of astronomical intensity images",
https://arxiv.org/abs/1108.5083
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy import ndimage

LEVELS = 256
# Green's parameters, from violet over blue to a light green: away from the hues of skin. The ends
# are cut, as black is the surround's colour and white that of a reflection.
START, ROTATIONS, HUE = 0.75, -0.8, 1.6
DARKEST, LIGHTEST = 0.12, 0.85
# From this value up a colour covers as `opacity` says, below it ever less: the image stays bare
# where there is nothing to point at.
FULL_AT = 0.5
LINE_INSIDE = (255, 255, 255)
LINE_OUTSIDE = (0, 0, 0)  # beside the other, so that a contour shows on any skin
LINE_SHARE = 1 / 256  # thickness of each of the two, of the shorter side


def resize_map(heat: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring a map to another size, bilinearly; one that shrinks is averaged.

    Args:
        heat: `(height, width)` float.
        size: `(height, width)` of the result.

    Returns:
        `size` float32, within the range of `heat`; NaN all over where `heat` is.
    """
    picture = Image.fromarray(np.ascontiguousarray(heat, np.float32))
    # Pillow: (width, height)
    return np.array(picture.resize(size[::-1], Image.Resampling.BILINEAR))


def cubehelix(values: np.ndarray) -> np.ndarray:
    """Colour values in [0, 1], `(...)` float, as RGB, `(..., 3)` uint8."""
    lightness = DARKEST + (LIGHTEST - DARKEST) * np.asarray(values, np.float64)
    angle = 2 * np.pi * (START / 3 + ROTATIONS * lightness)
    amplitude = HUE * lightness * (1 - lightness) / 2
    # The plane of equal perceived brightness, Green's equation 2.
    plane = np.array([[-0.14861, 1.78277], [-0.29227, -0.90649], [1.97294, 0.0]])
    turned = np.stack([np.cos(angle), np.sin(angle)], axis=-1) @ plane.T  # (..., 3)
    colours = lightness[..., None] + amplitude[..., None] * turned
    return np.round(255 * np.clip(colours, 0, 1)).astype(np.uint8)


SCALE = cubehelix(np.linspace(0, 1, LEVELS))  # (256, 3) uint8, from 0 to 1


def overlay(
    image: np.ndarray, heat: np.ndarray, *, opacity: float, contours: Sequence[float]
) -> np.ndarray:
    """Lay a map over its image.

    Args:
        image: RGB, `(height, width, 3)` uint8.
        heat: `(h, w)` float in [0, 1], of any size.
        opacity: Of the colours where the map is high, in [0, 1]; 0 leaves the image as it is, for
            contours alone.
        contours: Values in (0, 1) to draw lines at; none for colours alone.

    Returns:
        RGB, `(height, width, 3)` uint8.

    Raises:
        ValueError: The image is no RGB, the map is undefined or outside [0, 1], or so is a setting.
    """
    _check(image, heat, opacity, contours)
    fitted = resize_map(heat, image.shape[:2])
    colours = SCALE[np.round(fitted * (LEVELS - 1)).astype(int)].astype(np.float32)
    cover = opacity * np.minimum(fitted / FULL_AT, 1)[..., None]
    mixed = image + cover * (colours - image)
    shown = np.round(np.clip(mixed, 0, 255)).astype(np.uint8)
    for level in contours:
        _draw_contour(shown, fitted >= level)
    return shown


def draw_scale(size: tuple[int, int]) -> np.ndarray:
    """Draw the legend of the colours, 0 on the left and 1 on the right.

    Args:
        size: `(height, width)` in pixels.

    Returns:
        RGB, `(*size, 3)` uint8, without words.
    """
    height, width = size
    steps = np.round(np.linspace(0, LEVELS - 1, width)).astype(int)
    return np.repeat(SCALE[steps][None], height, axis=0)


def _draw_contour(image: np.ndarray, inside: np.ndarray) -> None:
    """Draw into an image the line around a region, light within it and dark without.

    Where the region reaches the image's border there is no line: it may well go on.
    """
    thick = max(1, round(LINE_SHARE * min(inside.shape)))
    image[inside & ndimage.binary_dilation(~inside, iterations=thick)] = LINE_INSIDE
    image[~inside & ndimage.binary_dilation(inside, iterations=thick)] = LINE_OUTSIDE


def _check(image: np.ndarray, heat: np.ndarray, opacity: float, contours: Sequence[float]) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"image must be (height, width, 3) uint8. Got: {image.shape} {image.dtype}."
        )
    if heat.ndim != 2 or not heat.size:
        raise ValueError(f"map must be (height, width). Got: {heat.shape}.")
    # `not` refuses NaN too: an undefined map drawn as zeros would say that there is nothing to see.
    if not ((heat >= 0) & (heat <= 1)).all():
        raise ValueError(f"map must be defined and in [0, 1]. Got: {heat.min()} to {heat.max()}.")
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be in [0, 1]. Got: {opacity}.")
    if not all(0 < level < 1 for level in contours):
        raise ValueError(f"contours must be in (0, 1). Got: {list(contours)}.")
