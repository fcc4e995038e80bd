"""Measure what stage `crop` keeps of one real image's lesion, and leaves of its surround.

A surround is told by four dark corners, independently of the rule that is measured; its pixels are
the dark ones that hang together with a corner.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from pipeline.images.crop import NO_BORDER, SQUARINGS, CropParams, square_region
from pipeline.images.decode import Decoded, DecodeParams, decode
from pipeline.images.field import find_field, shrink, to_grey
from pipeline.images.resize import Region

ANALYSIS_PX = 256  # shorter side; finer than the rule's own, so that its rounding is measured too
CORNER_SHARE = 1 / 16  # of the shorter side
DARK_LEVEL = 40  # grey value below which a corner, or a pixel, is dark
BRIGHT_SHARE = 0.6  # of the image's median: corners above it have no border
PAINTED_LEVEL = 4
PAINTED_RIM = 0.05  # of the radius, over which the light goes out
LEAST_LIT = 0.97  # of the radius: beyond, a painted lesion is in the dark


@dataclass(frozen=True)
class Settings:
    """The sections of `params.yaml` that matter here."""

    decode: DecodeParams
    crop: CropParams


@dataclass(frozen=True, eq=False)
class Measured:
    """One image: what the rule keeps before squaring, and what is known of the image.

    Attributes:
        region: In pixels of the original.
        lesion: Share of the lesion's pixels kept, before squaring and by squaring; empty without a
            mask.
        left: Share of surround in the plain centred square and in `region`; `None` where the image
            has no dark surround.
        plain: Whether its corners are as bright as its field.
    """

    path: Path
    region: Region
    whole: Region
    reason: str
    lesion: dict[str, float]
    left: tuple[float, float] | None
    plain: bool


def image_of(mask: Path) -> Path:
    """Name the image of a mask."""
    image_id = mask.name.removesuffix("_segmentation.png")
    return mask.parent.parent / "images" / f"{image_id}.jpg"


def measure(path: Path, mask_path: Path | None, settings: Settings) -> Measured:
    """Measure one image, decoded as stage `crop` decodes it."""
    decoded = decode(path, params=settings.decode, least_side_px=settings.crop.least_side_px)
    region, reason = keep(decoded, settings.crop)
    whole = (0.0, 0.0, float(decoded.width_px), float(decoded.height_px))
    lesion = {}
    if mask_path is not None:
        mask = read_mask(mask_path, settings)
        lesion["before"] = share_inside(mask, region)
        lesion |= {s: share_inside(mask, square_region(region, s)) for s in SQUARINGS}
    grey = to_grey(shrink(decoded, ANALYSIS_PX))
    corners = corner_levels(grey)
    left = None
    if (corners < DARK_LEVEL).all():
        scale = grey.shape[1] / decoded.width_px
        surround = mark_surround(grey)
        squares = square_region(whole, "centre"), region
        left = tuple(share_marked(surround, square, scale) for square in squares)
    plain = bool((corners > BRIGHT_SHARE * np.median(grey)).all())
    return Measured(path, region, whole, reason, lesion, left, plain)


def keep(decoded: Decoded, crop: CropParams) -> tuple[Region, str]:
    """Return what the rule keeps before squaring, and why."""
    field = find_field(decoded, crop.border)
    if field is None:
        return (0.0, 0.0, float(decoded.width_px), float(decoded.height_px)), NO_BORDER
    return field.region, field.reason


def read_mask(path: Path, settings: Settings) -> np.ndarray:
    """Read a mask as `(height, width)` bool."""
    return decode(path, params=settings.decode, least_side_px=None).pixels[..., 0] > 127


def share_inside(mask: np.ndarray, region: Region) -> float:
    """Return the share of a mask's pixels inside a region; nan where the mask is empty."""
    left, top, right, bottom = (round(side) for side in region)
    total = mask.sum()
    return float(mask[top:bottom, left:right].sum() / total) if total else float("nan")


def share_marked(marked: np.ndarray, region: Region, scale: float) -> float:
    """Return the share of a region that is marked."""
    left, top, right, bottom = (round(side * scale) for side in region)
    return float(marked[top:bottom, left:right].mean())


def corner_levels(grey: np.ndarray) -> np.ndarray:
    """Return the mean level of each corner."""
    return np.array([grey[corner].mean() for corner in _corners(grey.shape)])


def mark_surround(grey: np.ndarray) -> np.ndarray:
    """Mark the dark pixels that hang together with those of a corner."""
    labels, _ = ndimage.label(grey < DARK_LEVEL, np.ones((3, 3)))
    reached = np.unique(np.concatenate([labels[c].ravel() for c in _corners(grey.shape)]))
    return np.isin(labels, reached[reached > 0])


def _corners(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    side = max(4, round(CORNER_SHARE * min(shape)))
    ends = slice(None, side), slice(-side, None)
    return [(rows, columns) for rows in ends for columns in ends]


def measure_painted(masks: list[Path], share: float, settings: Settings) -> list[float]:
    """Paint a surround over images that have none; return the shares of lit lesion kept."""
    kept = []
    for path in tqdm(masks, desc=f"painted {share}"):
        decoded = decode(image_of(path), params=settings.decode, least_side_px=None)
        height, width = decoded.pixels.shape[:2]
        y, x = np.mgrid[:height, :width] + 0.5
        radius = np.hypot(y - height / 2, x - width / 2) / (share * height / 2)
        gain = np.clip((1 - radius) / PAINTED_RIM, 0, 1)[..., None]
        painted = np.maximum(decoded.pixels * gain, PAINTED_LEVEL).astype(np.uint8)
        region, _ = keep(dataclasses.replace(decoded, pixels=painted), settings.crop)
        mask = read_mask(path, settings)
        if not mask[[0, 0, -1, -1], [0, -1, 0, -1]].any():  # some masks mark skin, not lesion
            kept.append(share_inside(mask & (radius < LEAST_LIT), region))
    return [value for value in kept if not np.isnan(value)]
