"""Masks: how much of each pixel something covers, drawn with smooth edges at any image size.

Places are `(y, x)` from the image's centre in shares of its shorter side, down and to the right, so
that what is drawn takes the same part of a thumbnail and of a 24-megapixel original. A mask is a
Pillow image of mode `L`: 0 leaves the photograph alone, 255 hides it.
"""

import numpy as np
from PIL import Image, ImageChops, ImageDraw

SMOOTH_PX = 1800  # a shorter side of so many pixels needs no finer canvas
MOST_ZOOM = 4

Colour = tuple[int, int, int]
Places = tuple[np.ndarray, np.ndarray]


class Canvas:
    """A mask to draw on in places; small images are drawn larger and averaged."""

    def __init__(self, size: tuple[int, int]) -> None:
        """Start empty; `size` is `(height, width)` in pixels."""
        self._zoom = max(1, min(MOST_ZOOM, SMOOTH_PX // min(size)))
        self._middle = np.array(size[::-1]) * self._zoom / 2
        self._unit_px = min(size) * self._zoom
        self._image = Image.new("L", (size[1] * self._zoom, size[0] * self._zoom))
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, places: np.ndarray) -> None:
        """Fill the polygon through `(n, 2)` places."""
        self._draw.polygon(self._to_px(places), fill=255)

    def line(self, places: np.ndarray, width: float) -> None:
        """Draw a path through `(n, 2)` places, as wide as a share of the shorter side."""
        width_px = max(1, round(width * self._unit_px))
        self._draw.line(self._to_px(places), 255, width_px, "curve")

    def disc(self, place: np.ndarray, radius: float) -> None:
        """Fill a circle."""
        x, y = place[::-1] * self._unit_px + self._middle
        radius_px = radius * self._unit_px
        self._draw.ellipse((x - radius_px, y - radius_px, x + radius_px, y + radius_px), fill=255)

    def finish(self) -> Image.Image:
        """Return the mask at the photograph's size."""
        return self._image if self._zoom == 1 else self._image.reduce(self._zoom)

    def _to_px(self, places: np.ndarray) -> list[tuple[float, float]]:
        return [tuple(point) for point in places[:, ::-1] * self._unit_px + self._middle]


def ribbon(path: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Outline a path of varying width, which tapers as its widths do.

    Args:
        path: Places, `(n, 2)`.
        widths: Width at each of them, `(n,)`.

    Returns:
        Places of a polygon, `(2 n, 2)`.
    """
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    aside = along[:, ::-1] * (1, -1) * widths[:, None] / 2
    return np.concatenate([path + aside, (path - aside)[::-1]])


def grid_shape(size: tuple[int, int], cells: int) -> tuple[int, int]:
    """Return rows and columns of a coarse grid whose shorter side has so many cells."""
    return round(size[0] * cells / min(size)), round(size[1] * cells / min(size))


def grid_places(size: tuple[int, int], cells: int) -> Places:
    """Return the places of the middles of a grid's cells.

    Returns:
        y, `(rows, 1)`, and x, `(1, columns)`, float32.
    """
    short = min(size)
    y, x = (
        ((np.arange(count, dtype=np.float32) + 0.5) / count - 0.5) * np.float32(side / short)
        for side, count in zip(size, grid_shape(size, cells), strict=True)
    )
    return y[:, None], x[None, :]


def enlarge(shares: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Turn shares on a grid, `(rows, columns)` cut to 0-1, into a mask of `(height, width)`."""
    levels = np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8)
    return Image.fromarray(levels).resize(size[::-1], Image.Resampling.BICUBIC)


def fade(values: np.ndarray) -> np.ndarray:
    """Map values to 0-1 with soft ends; below 0 is 0, above 1 is 1."""
    x = np.clip(values, 0, 1)
    return x * x * (3 - 2 * x)


def lay(
    image: Image.Image, colour: Colour, mask: Image.Image, lit: Image.Image | None
) -> Image.Image:
    """Lay a colour over an image through a mask, in place.

    Args:
        image: RGB.
        colour: RGB, 0-255.
        mask: Where, and how densely.
        lit: What `surround.find_lit` found: nothing is laid over a dark surround.
    """
    if lit is not None:
        mask = ImageChops.multiply(mask, lit)
    image.paste(colour, (0, 0, *image.size), mask)
    return image
