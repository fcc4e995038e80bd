"""Choose the square that is kept of an image, and cut it out at the sizes that members need.

Where a dark surround frames a lit field, the square follows the field; elsewhere it is the largest
centred square. Boxes are in pixels of the original after EXIF orientation, so they do not depend on
the scale at which the image was decoded.
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

FIELD = "dark_surround"
CENTRE = "centre"


@dataclass(frozen=True)
class CropParams:
    """Section `crop` of `params.yaml`."""

    sizes_px: tuple[int, ...]
    shard_images: int
    border: BorderParams

    def __post_init__(self) -> None:
        sizes = self.sizes_px
        if not sizes or min(sizes) < 1 or len(set(sizes)) < len(sizes):
            raise ValueError(f"sizes_px must be different sizes of at least 1. Got: {list(sizes)}.")
        if self.shard_images < 1:
            raise ValueError(f"shard_images must be at least 1. Got: {self.shard_images}.")

    @property
    def least_side_px(self) -> int:
        """Decoded pixels that the side of the square should have."""
        return round(DECODE_MARGIN * max(self.sizes_px))


@dataclass(frozen=True)
class Box:
    """The square kept of an image, in pixels of the original, and why.

    `reason` is `dark_surround` where it follows the lit field, `centre` elsewhere.
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
        """Width and height."""
        return self.right_px - self.left_px


def find_box(decoded: Decoded, border: BorderParams) -> Box:
    """Choose the square to keep: that of the lit field, else the largest centred one."""
    region = find_field(decoded, border)
    width, height = decoded.width_px, decoded.height_px
    if region is None:
        return _centred_square((0, 0, width, height), CENTRE)
    return _centred_square(region, FIELD)


def crop_to_square(decoded: Decoded, box: Box, size_px: int) -> np.ndarray:
    """Cut the box out of an image at one size.

    Returns:
        RGB, `(size_px, size_px, 3)` uint8. The same pixels where the box has that size already and
        lies on whole pixels; averaged where it is larger, smoothly enlarged where it is smaller.
    """
    height, width = decoded.pixels.shape[:2]
    left, top, right, bottom = decoded.locate(*box.region)
    # Rounding of fractions may leave the array by some 1e-13.
    inside = max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height)
    return resize_box(decoded.pixels, inside, (size_px, size_px), resample=CROP_RESAMPLE)


def _centred_square(region: Region, reason: str) -> Box:
    """Take the largest centred square of whole pixels.

    Whole pixels are not blurred where the crop has the box's size, and rounding keeps the last bits
    of the field's measurement, which may differ between machines, out of the crops.
    """
    left, top, right, bottom = region
    side = math.floor(min(right - left, bottom - top))
    left = math.floor((left + right - side) / 2 + 0.5)
    top = math.floor((top + bottom - side) / 2 + 0.5)
    return Box(float(left), float(top), float(left + side), float(top + side), reason)
