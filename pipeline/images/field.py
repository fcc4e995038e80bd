"""Find the part of an image that a dark or white surround leaves, and that no lesion is cut out of.

The field is the convex hull of what is not surround: a circle, a circle that the image cuts, the
middle of a letterbox. The rule of the ISIC 2019 winner ("crop_black" in
https://github.com/ngessert/isic2019/blob/master/Matlab/adjust_2019.m) asks for a whole circle and
takes a fixed share of its radius; here sides are cut off one line at a time, first the line with
most surround, until next to none is left, and never into the box that `pipeline.images.protect`
draws around the lesion. See docs/decisions/0008-border-crop.md.

Images are analysed at `analysis_px`: `(height, width)` arrays of that shorter side. A box there is
`(top, left, bottom, right)` in whole pixels, the last two excluded.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pipeline.images.boxes import Box, bounding_box, grow_box
from pipeline.images.decode import Decoded
from pipeline.images.hull import fill_circle, fill_hull
from pipeline.images.protect import find_protected
from pipeline.images.resize import Region, resize_box

DARK_SURROUND = "dark_surround"  # a whole side of the image is dark
DARK_CORNERS = "dark_corners"
WHITE_SURROUND = "white_surround"
SURROUND_KEPT = "surround_kept"  # there is one, but every cut could reach the lesion

CORNER_SHARE = 1 / 16  # side of a corner, of the shorter side
CORNERS = 2  # that are surround; a single one may be a dark lesion
CORNER_FULL = 0.9  # share of a corner's pixels that are surround
CORNER_LIKELY = 0.4  # the same, with a bright line along the image's edge
BRIGHT_QUANTILE = 0.9  # of the grey levels; lies in the field even where most of the image is dark
DARKEST_FIELD = 30  # grey level; a field darker than this cannot be told from its surround
WHITE_SPREAD = 12  # largest less smallest channel of a white pixel
WHITE_FIELD = 0.4  # share of the image; a smaller field may be a lesion on overexposed skin
WHITE_SOLID = 0.95  # share of the hull that is not white; a lesion's outline is not convex


@dataclass(frozen=True)
class BorderParams:
    """Key `border` of section `crop`: what counts as surround, and how far it is cut off."""

    analysis_px: int
    dark_share: float
    white_level: int
    least_share: float
    left_share: float
    margin_share: float

    def __post_init__(self) -> None:
        if self.analysis_px < 64:
            raise ValueError(f"analysis_px must be at least 64. Got: {self.analysis_px}.")
        if not 128 <= self.white_level <= 255:
            raise ValueError(f"white_level must be from 128 to 255. Got: {self.white_level}.")
        for name in ("dark_share", "least_share", "left_share", "margin_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be above 0 and below 1. Got: {getattr(self, name)}.")


@dataclass(frozen=True)
class Field:
    """What is kept before squaring, in pixels of the original, and why.

    `reason` is `dark_surround`, `dark_corners`, `white_surround` or `surround_kept`.
    """

    region: Region
    reason: str


def find_field(decoded: Decoded, border: BorderParams) -> Field | None:
    """Find what to keep of an image with a surround.

    Returns:
        The region, whole pixels inside the image; `None` where there is no surround.
    """
    small = shrink(decoded, border.analysis_px)
    for kind, surround in (
        (DARK_SURROUND, mark_dark(small, border)),
        (WHITE_SURROUND, mark_white(small, border)),
    ):
        field = None if surround is None else _hull_of_field(surround)
        if field is not None and _is_framed(field, surround, kind, border):
            return _cut(decoded, small, field, kind, border)
    return None


def shrink(decoded: Decoded, analysis_px: int) -> np.ndarray:
    """Return `(height, width, 3)` uint8 RGB, the shorter side `analysis_px` or less.

    Of a large image every second, third ... row is read, as many as leave two to average.
    """
    width, height = decoded.width_px, decoded.height_px
    scale = min(analysis_px / min(width, height), 1.0)
    size = round(height * scale), round(width * scale)
    step = max(1, int(min(width, height) / decoded.shrink / analysis_px / 2))
    pixels = decoded.pixels[step // 2 :: step]
    rows, columns = pixels.shape[:2]
    left, top, right, bottom = decoded.locate(0, 0, width, height)
    inside = max(left, 0.0), max(top / step, 0.0), min(right, columns), min(bottom / step, rows)
    return resize_box(pixels, inside, size, resample="bilinear")


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Return `(height, width)` float64, 0 to 255: ITU-R BT.601 luma.

    Summed in whole numbers, so that the result is the same on every machine.
    """
    red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
    return (299 * red + 587 * green + 114 * blue) / 1000


def mark_dark(pixels: np.ndarray, border: BorderParams) -> np.ndarray | None:
    """Mark what is dark beside the bright part of the image; `None` if too few corners are."""
    grey = to_grey(pixels)
    rank = int(BRIGHT_QUANTILE * (grey.size - 1))
    bright = np.partition(grey.ravel(), rank)[rank]
    if bright < DARKEST_FIELD:
        return None
    return _with_corners(grey < border.dark_share * bright)


def mark_white(pixels: np.ndarray, border: BorderParams) -> np.ndarray | None:
    """Mark what is white and colourless; `None` if too few corners are."""
    red, green, blue = (pixels[..., channel] for channel in range(3))
    least = np.minimum(np.minimum(red, green), blue)
    most = np.maximum(np.maximum(red, green), blue)
    return _with_corners((least >= border.white_level) & (most - least <= WHITE_SPREAD))


def _with_corners(surround: np.ndarray) -> np.ndarray | None:
    if _full_corners(surround, CORNER_LIKELY) < CORNERS:
        return None
    # Closing takes in bright lines, one or two pixels wide, along the edge of some images.
    closed = ~ndimage.binary_opening(~surround, np.ones((3, 3)))
    return closed if _full_corners(closed, CORNER_FULL) >= CORNERS else None


def _full_corners(surround: np.ndarray, share: float) -> int:
    side = max(4, round(CORNER_SHARE * min(surround.shape)))
    ends = slice(None, side), slice(-side, None)
    return sum(surround[rows, columns].mean() >= share for rows in ends for columns in ends)


def _hull_of_field(surround: np.ndarray) -> np.ndarray | None:
    """Fill the convex hull of the largest region that is not surround; `None` where there is none.

    A dark lesion that touches a dark surround is inside the hull, as its lit neighbours are.
    """
    labels, regions = ndimage.label(~surround)
    if not regions:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return fill_circle(fill_hull(labels == sizes.argmax()))


def _is_framed(field: np.ndarray, surround: np.ndarray, kind: str, border: BorderParams) -> bool:
    """Tell a surround from a few dark pixels, and a white one from overexposed skin."""
    if 1 - field.mean() < border.least_share:
        return False
    if kind != WHITE_SURROUND:
        return True
    return field.mean() >= WHITE_FIELD and (~surround)[field].mean() >= WHITE_SOLID


def _cut(
    decoded: Decoded, small: np.ndarray, field: np.ndarray, kind: str, border: BorderParams
) -> Field:
    # A pixel that the field's edge crosses is darker than the field, and counted as surround.
    outline = grow_box(bounding_box(field), 1, (0, 0, *field.shape))
    protected = find_protected(small, field, outline, border.margin_share)
    top, left, bottom, right = cut_lines(~field, outline, protected, border.left_share)
    height, width = field.shape
    # The shrunken image is rounded to whole pixels, so each axis has its own scale.
    across, down = decoded.width_px / width, decoded.height_px / height
    region = (
        float(np.floor(left * across)),
        float(np.floor(top * down)),
        float(min(np.ceil(right * across), decoded.width_px)),
        float(min(np.ceil(bottom * down), decoded.height_px)),
    )
    if (top, left, bottom, right) == (0, 0, height, width):
        return Field(region, SURROUND_KEPT)
    if kind == DARK_SURROUND and outline == (0, 0, height, width):
        return Field(region, DARK_CORNERS)
    return Field(region, kind)


def cut_lines(outside: np.ndarray, box: Box, protected: Box, left_share: float) -> Box:
    """Cut rows and columns off a box, the one with most surround first.

    Args:
        outside: Surround, `(height, width)` bool.
        box: Where to begin.
        protected: What must stay; inside `box`.
        left_share: Share of the box that may be surround when cutting stops.
    """
    sums = np.pad(outside.cumsum(axis=0, dtype=np.int64).cumsum(axis=1), ((1, 0), (1, 0)))
    inward = 1, 1, -1, -1
    sides = list(box)
    while (share := _share(sums, sides)) > left_share:
        free = [side for side in range(4) if inward[side] * (protected[side] - sides[side]) > 0]
        lines = {side: _share(sums, _outermost(sides, side)) for side in free}
        best = max(lines, key=lines.__getitem__, default=None)
        if best is None or lines[best] <= share:  # without it, a larger share would be left
            break
        sides[best] += inward[best]
    return tuple(sides)


def _outermost(sides: list[int], side: int) -> list[int]:
    """Return the box of a side's outermost line."""
    line = list(sides)
    if side < 2:
        line[side + 2] = sides[side] + 1
    else:
        line[side - 2] = sides[side] - 1
    return line


def _share(sums: np.ndarray, sides: list[int]) -> float:
    """Return the share of a box that is marked, from sums over rows and columns."""
    top, left, bottom, right = sides
    marked = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return int(marked) / ((bottom - top) * (right - left))
