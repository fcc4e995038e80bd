"""Measure on real images what stage `crop` keeps of lesions and leaves of dark surrounds.

Usage: python -m tools.measure_crop ../shared/data

Prints three tables:

- lesions: share of the pixels of each mask in `ham10000/lesion_masks` that the kept part holds,
  before squaring (the found field, or the whole image) and after (the square).
- painted: the same where a dark surround is painted around the middle of those images, so that the
  lit field is known: a circle over 0.7 or 0.95 of the height. Lesion outside it does not count.
- dark surrounds: share of surround left, in images of `ham10000` and `uda1` whose four corners are
  dark, in the whole image, the centred square and the kept square; and how many fields were found.
"""

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipeline import params
from pipeline.images.crop import FIELD, Box, CropParams, find_box
from pipeline.images.decode import Decoded, DecodeParams, decode
from pipeline.images.field import find_field, find_lit, shrink_to_grey
from pipeline.images.resize import Region

CORNER_SHARE = 1 / 16  # of the shorter side
CORNER_LEVEL = 40  # grey value below which a corner is dark
PAINTED_LEVEL = 5
PAINTED_SHARES = (0.7, 0.95)


@dataclass(frozen=True)
class Settings:
    """The sections of `params.yaml` that matter here."""

    decode: DecodeParams
    crop: CropParams


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="tools.measure_crop",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, help="folder with ham10000/ and uda1/")
    data = parser.parse_args(argv).data
    settings = Settings(params.load("ingest", DecodeParams), params.load("crop", CropParams))
    masked = sorted((data / "ham10000/lesion_masks").glob("*_segmentation.png"))
    if not masked:
        raise SystemExit(f"error: {data} must hold ham10000/lesion_masks. Got: no mask.")
    print_lesions("lesions", [measure_lesion(path, settings, None) for path in tqdm(masked)])
    for share in PAINTED_SHARES:
        rows = [measure_lesion(path, settings, share) for path in tqdm(masked)]
        print_lesions(f"painted, field {share} of the height", rows)
    for folder in ("ham10000", "uda1"):
        measure_surrounds(data / folder / "images", settings)


def measure_lesion(
    mask_path: Path, settings: Settings, field_share: float | None
) -> tuple[float, float, str]:
    """Return the shares of lesion pixels kept before and after squaring, and the box's reason."""
    image_id = mask_path.name.removesuffix("_segmentation.png")
    image = mask_path.parent.parent / "images" / f"{image_id}.jpg"
    decoded = decode(image, params=settings.decode, least_side_px=None)
    mask = decode(mask_path, params=settings.decode, least_side_px=None).pixels[..., 0] > 127
    if field_share is not None:
        field = _circle(mask.shape, field_share)
        painted = np.where(field[..., None], decoded.pixels, np.uint8(PAINTED_LEVEL))
        decoded = dataclasses.replace(decoded, pixels=painted)
        mask &= field
    region = find_field(decoded, settings.crop.border)
    box = find_box(decoded, settings.crop.border)
    whole = (0, 0, decoded.width_px, decoded.height_px)
    return _share_inside(mask, region or whole), _share_inside(mask, box.region), box.reason


def print_lesions(title: str, rows: list[tuple[float, float, str]]) -> None:
    """Print how much of the lesions is kept; images whose field holds no lesion are left out."""
    rows = [row for row in rows if not np.isnan(row[0])]
    framed = sum(reason == FIELD for _, _, reason in rows)
    print(f"{title}: {len(rows)} images, {framed} fields found")
    if not rows:
        return
    for name, values in (
        ("before squaring", np.array([row[0] for row in rows])),
        ("after squaring", np.array([row[1] for row in rows])),
    ):
        below = {limit: int((values < limit).sum()) for limit in (1.0, 0.99, 0.95, 0.8)}
        print(f"  {name}: mean {values.mean():.4f}, least {values.min():.4f}, images below {below}")


def measure_surrounds(folder: Path, settings: Settings) -> None:
    """Print how much of the dark surround is left in the images that have one."""
    shares, found, images = [], 0, sorted(folder.glob("*.jpg"))
    for path in tqdm(images):
        decoded = decode(path, params=settings.decode, least_side_px=settings.crop.least_side_px)
        grey = shrink_to_grey(decoded, settings.crop.border.analysis_px)
        if not _has_dark_corners(grey):
            continue
        box = find_box(decoded, settings.crop.border)
        found += box.reason == FIELD
        dark = ~find_lit(grey, settings.crop.border)
        scale = grey.shape[1] / decoded.width_px
        shares.append([dark.mean(), *_dark_left(dark, decoded, box, scale)])
    print(
        f"dark surrounds: {len(shares)} of {len(images)} images in {folder}, {found} fields found"
    )
    if not shares:
        return
    whole, centred, kept = np.mean(shares, axis=0)
    print(
        f"  surround, mean share of the whole image {whole:.4f}, of the centred square "
        f"{centred:.4f}, of the kept square {kept:.4f}"
    )


def _dark_left(dark: np.ndarray, decoded: Decoded, box: Box, scale: float) -> tuple[float, float]:
    side = min(decoded.width_px, decoded.height_px)
    left, top = (decoded.width_px - side) / 2, (decoded.height_px - side) / 2
    centred = (left, top, left + side, top + side)
    return _mean_inside(dark, centred, scale), _mean_inside(dark, box.region, scale)


def _mean_inside(dark: np.ndarray, region: Region, scale: float) -> float:
    left, top, right, bottom = (round(side * scale) for side in region)
    return float(dark[top:bottom, left:right].mean())


def _share_inside(mask: np.ndarray, region: Region) -> float:
    left, top, right, bottom = (round(side) for side in region)
    total = mask.sum()
    return float(mask[top:bottom, left:right].sum() / total) if total else float("nan")


def _has_dark_corners(grey: np.ndarray) -> bool:
    side = max(4, round(CORNER_SHARE * min(grey.shape)))
    corners = (grey[rows, columns] for rows in _ends(side) for columns in _ends(side))
    return all(corner.mean() < CORNER_LEVEL for corner in corners)


def _ends(side: int) -> tuple[slice, slice]:
    return slice(None, side), slice(-side, None)


def _circle(shape: tuple[int, ...], share: float) -> np.ndarray:
    """Mark a circle in the middle, its diameter a share of the height."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y + 0.5 - height / 2, x + 0.5 - width / 2)
    return distance < share * height / 2


if __name__ == "__main__":
    main()
