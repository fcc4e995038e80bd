"""Choose the part that is kept of an image, and cut it out at the sizes that members need.

Where a surround frames a lit field, the part follows the field; elsewhere it is the whole image.
`squaring` says how it becomes square: by its largest centred square, by black bars (`pad`), or by
stretching. Boxes are in pixels of the original after EXIF orientation, so they do not depend on the
scale at which the image was decoded; they lie inside the image whatever the squaring.
"""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.images.decode import Decoded
from pipeline.images.field import BorderParams, find_field
from pipeline.images.resize import Region, resize_box

# Lanczos takes a third longer, for crops that differ by 54 dB.
CROP_RESAMPLE = "bicubic"
# A JPEG is decoded at a fraction of its size only while this many decoded pixels are left for each
# pixel of the largest crop. `make benchmark-data` says how close crops are to those of a full
# decode; at 1.0 they are 2 dB further away, at 1.5 2 dB closer, at half the speed.
DECODE_MARGIN = 1.25

CENTRED, PADDED, STRETCHED = "centre", "pad", "stretch"
SQUARINGS = (CENTRED, PADDED, STRETCHED)
NO_BORDER = "no_border"


@dataclass(frozen=True)
class CropParams:
    """Section `crop` of `params.yaml`."""

    sizes_px: tuple[int, ...]
    shard_images: int
    squaring: str
    border: BorderParams

    def __post_init__(self) -> None:
        sizes = self.sizes_px
        if not sizes or min(sizes) < 1 or len(set(sizes)) < len(sizes):
            raise ValueError(f"sizes_px must be different sizes of at least 1. Got: {list(sizes)}.")
        if self.squaring not in SQUARINGS:
            raise ValueError(
                f"squaring must be one of {sorted(SQUARINGS)}. Got: {self.squaring!r}."
            )
        if self.shard_images < 1:
            raise ValueError(f"shard_images must be at least 1. Got: {self.shard_images}.")

    @property
    def least_side_px(self) -> int:
        """Decoded pixels that the side of the square should have."""
        return round(DECODE_MARGIN * max(self.sizes_px))


@dataclass(frozen=True)
class Box:
    """The part kept of an image, in pixels of the original, and why.

    A square with `squaring: centre`; with `pad` and `stretch` the rectangle that is brought to a
    square, whole: no pixel inside it is lost. `reason` is one of those of `field.Field`, or
    `no_border`.
    """

    left_px: float
    top_px: float
    right_px: float
    bottom_px: float
    reason: str

    @property
    def region(self) -> Region:
        """The four sides alone."""
        return self.left_px, self.top_px, self.right_px, self.bottom_px

    @property
    def side_px(self) -> float:
        """The shorter of width and height."""
        return min(self.right_px - self.left_px, self.bottom_px - self.top_px)


def find_box(decoded: Decoded, border: BorderParams, squaring: str) -> Box:
    """Choose the part to keep: of the field inside a surround, else of the whole image."""
    field = find_field(decoded, border)
    whole = (0.0, 0.0, float(decoded.width_px), float(decoded.height_px))
    region, reason = (whole, NO_BORDER) if field is None else (field.region, field.reason)
    return Box(*square_region(region, squaring), reason)


def square_region(region: Region, squaring: str) -> Region:
    """Return what a squaring keeps of a region: its largest centred square, or all of it.

    The square has whole pixels: they are not blurred where the crop has the box's size.
    """
    if squaring != CENTRED:
        return region
    left, top, right, bottom = region
    side = math.floor(min(right - left, bottom - top))
    left = math.floor((left + right - side) / 2 + 0.5)
    top = math.floor((top + bottom - side) / 2 + 0.5)
    return float(left), float(top), float(left + side), float(top + side)


def crop_to_square(decoded: Decoded, box: Box, size_px: int, squaring: str) -> np.ndarray:
    """Cut the box out of an image at one size.

    Returns:
        RGB, `(size_px, size_px, 3)` uint8. The same pixels where the box has that size already and
        lies on whole pixels; averaged where it is larger, smoothly enlarged where it is smaller.
        With `pad` the box's longer side fills the crop, the rest is black.
    """
    height, width = decoded.pixels.shape[:2]
    left, top, right, bottom = decoded.locate(*box.region)
    # Rounding of fractions may leave the array by some 1e-13.
    inside = max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height)
    size = (size_px, size_px)
    if squaring != PADDED:
        return resize_box(decoded.pixels, inside, size, resample=CROP_RESAMPLE)
    across, down = box.right_px - box.left_px, box.bottom_px - box.top_px
    scale = size_px / max(across, down)
    rows, columns = max(1, round(down * scale)), max(1, round(across * scale))
    crop = np.zeros((*size, 3), np.uint8)
    above, before = (size_px - rows) // 2, (size_px - columns) // 2
    crop[above : above + rows, before : before + columns] = resize_box(
        decoded.pixels, inside, (rows, columns), resample=CROP_RESAMPLE
    )
    return crop
