"""Find the round lit field that a dark surround frames.

Source: the rule of the ISIC 2019 winner, "crop_black" in
https://github.com/ngessert/isic2019/blob/master/Matlab/adjust_2019.m
It differs in three points: the image is analysed at `analysis_px`; the darkness of the surround is
the mean of all its pixels, not of four strips' means; and a region must hold most of the lit
pixels, so that a bright label in a dark corner is never taken for the field.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pipeline.images.decode import Decoded
from pipeline.images.resize import Region, resize_box

REGIONS_TRIED = 2  # the first may be a rim around the field
FIELD_SHARE = 0.5  # of all lit pixels, that the field must hold


@dataclass(frozen=True)
class BorderParams:
    """Key `border` of section `crop`: how a dark surround is found."""

    sigma_px: float
    otsu_share: float
    radius_share: float
    darkness_ratio: float
    analysis_px: int

    def __post_init__(self) -> None:
        for name in ("otsu_share", "radius_share", "darkness_ratio"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(
                    f"{name} must be above 0 and at most 1. Got: {getattr(self, name)}."
                )
        if self.sigma_px < 0:
            raise ValueError(f"sigma_px must be at least 0. Got: {self.sigma_px}.")
        if self.analysis_px < 32:
            raise ValueError(f"analysis_px must be at least 32. Got: {self.analysis_px}.")


def find_field(decoded: Decoded, border: BorderParams) -> Region | None:
    """Find the lit field inside a dark surround.

    Returns:
        A box inside the image around the field, less the margin that `radius_share` cuts off, in
        pixels of the original; `None` where there is no dark surround or the field leaves the
        image.
    """
    grey = shrink_to_grey(decoded, border.analysis_px)
    height, width = grey.shape
    lit = find_lit(grey, border)
    for x, y, radius, pixels in _lit_regions(lit):
        half = border.radius_share * radius
        left, top, right, bottom = x - half, y - half, x + half, y + half
        if left < 0 or top < 0 or right > width or bottom > height:
            continue
        if pixels < FIELD_SHARE * lit.sum():
            continue
        if _darkness_ratio(grey, (left, top, right, bottom)) > border.darkness_ratio:
            return None
        # The shrunken image is rounded to whole pixels, so each axis has its own scale.
        across, down = decoded.width_px / width, decoded.height_px / height
        return left * across, top * down, right * across, bottom * down
    return None


def shrink_to_grey(decoded: Decoded, analysis_px: int) -> np.ndarray:
    """Return `(height, width)` float64, 0 to 255, the shorter side `analysis_px` or less."""
    width, height = decoded.width_px, decoded.height_px
    scale = min(analysis_px / min(width, height), 1.0)
    size = round(height * scale), round(width * scale)
    whole = decoded.locate(0, 0, width, height)
    small = resize_box(decoded.pixels, whole, size, resample="bilinear")
    # ITU-R BT.601 luma, in whole numbers: the same on every machine.
    return small.astype(np.int64) @ np.array([299, 587, 114]) / 1000


def find_lit(grey: np.ndarray, border: BorderParams) -> np.ndarray:
    """Mark what is not surround, in the shape of `grey`."""
    blurred = ndimage.gaussian_filter(grey, border.sigma_px, mode="nearest")
    return blurred > border.otsu_share * otsu_threshold(grey)


def otsu_threshold(grey: np.ndarray) -> int:
    """Return the level that best parts dark from bright pixels; those above it are bright.

    Args:
        grey: Values 0 to 255 of any shape.

    Source: N. Otsu, IEEE Trans. SMC 9(1), 1979: the largest variance between the two parts.
    """
    counts = np.bincount(np.round(grey).astype(np.uint8).ravel(), minlength=256)
    dark = np.cumsum(counts)
    dark_sum = np.cumsum(counts * np.arange(256))
    bright = dark[-1] - dark
    between = (dark_sum[-1] * dark / dark[-1] - dark_sum) ** 2 / np.maximum(dark * bright, 1)
    return int(np.argmax(between))


def _lit_regions(lit: np.ndarray) -> Iterator[tuple[float, float, float, int]]:
    """Yield centre x, centre y, radius and pixels of the regions of largest mean axis.

    The axes are those of the ellipse with the region's second moments, as MATLAB's `regionprops`.
    """
    labels, regions = ndimage.label(lit, structure=np.ones((3, 3)))  # diagonal neighbours count
    y, x = np.nonzero(labels)
    label = labels[y, x] - 1
    pixels = np.bincount(label, minlength=regions)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(label, values, minlength=regions) / pixels

    centre_x, centre_y = mean(x), mean(y)
    # 1/12 is the second moment of a pixel of side one.
    xx = mean((x - centre_x[label]) ** 2) + 1 / 12
    yy = mean((y - centre_y[label]) ** 2) + 1 / 12
    xy = mean((x - centre_x[label]) * (y - centre_y[label]))
    spread = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
    major = 2 * np.sqrt(2 * (xx + yy + spread))
    minor = 2 * np.sqrt(2 * np.maximum(xx + yy - spread, 0))
    radius = (major + minor) / 4
    for region in np.argsort(-radius, kind="stable")[:REGIONS_TRIED]:
        # Pixel centres lie half a pixel from the edges that boxes are measured from.
        yield (
            float(centre_x[region]) + 0.5,
            float(centre_y[region]) + 0.5,
            float(radius[region]),
            int(pixels[region]),
        )


def _darkness_ratio(grey: np.ndarray, region: Region) -> float:
    """Return mean outside / mean inside a box; infinite where either part has no pixel or light."""
    left, top, right, bottom = (round(side) for side in region)
    inside = np.zeros(grey.shape, bool)
    inside[top:bottom, left:right] = True
    if inside.all() or not inside.any() or not grey[inside].any():
        return float("inf")
    return float(grey[~inside].mean() / grey[inside].mean())
