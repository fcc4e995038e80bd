"""Geometry: how the camera was held.

What comes into view beyond the edges is the image's mirror image: skin goes on as skin. A dark
surround belongs to the camera and stays where it is.
"""

import math

import numpy as np
from PIL import Image

from pipeline.images.corruptions.surround import find_lit, has_dark_corners
from pipeline.images.resize import resize_box


def rotate(pixels: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Turn an image about its middle, one way or the other."""
    return turn(pixels, degrees if rng.random() < 0.5 else -degrees)


def rescale(pixels: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Show the lesion larger or smaller by a factor: the camera too near, or too far.

    An image with dark corners is always enlarged: nobody knows what lies beyond them.
    """
    is_nearer = rng.random() < 0.5 or has_dark_corners(Image.fromarray(pixels))
    return zoom(pixels, factor if is_nearer else 1 / factor)


def miss(pixels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Cut a part of the image out, off its middle: the lesion lies at the edge, or is cut.

    Args:
        pixels: RGB, `(height, width, 3)` uint8.
        share: Of height and width that is lost.
        rng: Chooses the side.

    Returns:
        RGB uint8, smaller: its pixels are the image's own.
    """
    angle = rng.uniform(0, 2 * np.pi)
    towards = np.array([np.sin(angle), np.cos(angle)])
    towards /= np.abs(towards).max()  # at least one of the image's sides is a side of the part
    cut = []
    for side, move in zip(pixels.shape[:2], towards, strict=True):
        kept = max(1, round(side * (1 - share)))
        start = round((side - kept) * (1 + float(move)) / 2)
        cut.append(slice(start, start + kept))
    return np.ascontiguousarray(pixels[*cut])


def turn(pixels: np.ndarray, degrees: float) -> np.ndarray:
    """Turn an image about its middle, counter-clockwise as one sees it."""
    height, width = pixels.shape[:2]
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    down = (abs(width * sine) + abs(height * cosine) - height) / 2
    across = (abs(width * cosine) + abs(height * sine) - width) / 2
    # The cubic kernel reads two pixels beyond a place.
    margins = max(0, math.ceil(down)) + 2, max(0, math.ceil(across)) + 2
    x, y = width / 2, height / 2
    # Where a pixel of the result comes from; Pillow's y points down.
    from_x = (cosine, -sine, x + margins[1] - cosine * x + sine * y)
    from_y = (sine, cosine, y + margins[0] - sine * x - cosine * y)
    turned = Image.fromarray(extend(pixels, margins)).transform(
        (width, height), Image.Transform.AFFINE, (*from_x, *from_y), Image.Resampling.BICUBIC
    )
    image = Image.fromarray(pixels)
    lit = find_lit(image)
    return np.asarray(turned if lit is None else Image.composite(turned, image, lit))


def zoom(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Enlarge an image about its middle, or shrink it; its shape stays.

    What is cut off or added are whole pixels: enlarging a box whose first column lies on a fraction
    can crash cykooz-resizer 4.0.1.
    """
    size = pixels.shape[:2]
    cuts = [round((side - side / factor) / 2) for side in size]
    if factor > 1:
        part = pixels[tuple(slice(cut, side - cut) for cut, side in zip(cuts, size, strict=True))]
    else:
        part = extend(pixels, (-cuts[0], -cuts[1]))
    return resize_box(part, None, size, resample="bicubic")


def extend(pixels: np.ndarray, margins: tuple[int, int]) -> np.ndarray:
    """Mirror rows above and below the image, and columns on either side."""
    rows, columns = margins
    return np.pad(pixels, ((rows, rows), (columns, columns), (0, 0)), mode="symmetric")
