"""Measure on real images what stage `crop` keeps of lesions and leaves of surrounds.

Usage: python -m tools.measure_crop ../shared/data [--painted] [--sheet crops.png]

Reads the images of `ham10000` with a mask in `lesion_masks`, and all of `uda1`; the values are
those of `params.yaml`. A surround is told by four dark corners, independently of the rule that is
measured; its pixels are the dark ones that hang together with a corner. Prints, goals first:

- lesions: least share of a mask's pixels that is kept before squaring.
- surrounds: share of surround left before squaring, and in the plain centred square, as medians.
- no border: images of those with a mask whose corners are all as bright as their field, and that
  lost a pixel.
- squaring: what the centred square, padding and stretching cost in lesion pixels and in shape.
- painted, on request: lesions kept where a dark surround is painted over the images that have none,
  so that wide lesions meet a rim too: a circle over 0.8, 0.95 or 1.25 of the height. No goal.
"""

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipeline import params
from pipeline.images.contact_sheet import Tile, draw_sheet, encode_sheet, fold
from pipeline.images.crop import SQUARINGS, CropParams, square_region
from pipeline.images.decode import DecodeParams, decode
from pipeline.storage import atomic_write
from tools.crop_figures import Measured, Settings, image_of, measure, measure_painted

PAINTED_SHARES = (0.8, 0.95, 1.25)
LESION_GOAL = 0.999
LEFT_GOAL = 0.05
RATIO_GOAL = 1 / 3
SHEET_LESIONS = 12
SHEET_COLUMNS = 6
CELL_PX = (150, 210)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = Settings(params.load("ingest", DecodeParams), params.load("crop", CropParams))
    masks = sorted((args.data / "ham10000/lesion_masks").glob("*_segmentation.png"))
    if not masks:
        raise SystemExit(f"error: {args.data} must hold ham10000/lesion_masks. Got: no mask.")
    masked = [measure(image_of(mask), mask, settings) for mask in tqdm(masks, desc="masks")]
    others = sorted((args.data / "uda1/images").glob("*.jpg"))
    framed = [m for m in masked if m.left]
    uda = [m for path in tqdm(others, desc="uda1") if (m := measure(path, None, settings)).left]
    print_lesions(masked)
    for name, rows in (("ham10000 and uda1", framed + uda), ("ham10000", framed), ("uda1", uda)):
        print_surrounds(name, rows, is_goal=name != "ham10000" and name != "uda1")
    print_plain([m for m in masked if m.plain])
    print_squaring(masked)
    plain_masks = [mask for mask, m in zip(masks, masked, strict=True) if not m.left]
    for share in PAINTED_SHARES if args.painted else ():
        print_painted(share, measure_painted(plain_masks, share, settings))
    if args.sheet:
        worst = sorted(masked, key=lambda m: (min(m.lesion.values()), m.path.name))[:SHEET_LESIONS]
        write_sheet(args.sheet, [*framed, *uda, *worst], settings)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.measure_crop",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, help="folder with ham10000/ and uda1/")
    parser.add_argument(
        "--painted", action="store_true", help="paint surrounds as well; takes a minute"
    )
    parser.add_argument(
        "--sheet",
        type=Path,
        help="PNG to write: before, region and square, after; images with a surround, then the "
        f"{SHEET_LESIONS} lesions that lose most by squaring",
    )
    return parser.parse_args(argv)


def print_lesions(masked: list[Measured]) -> None:
    """Print the first goal."""
    kept = np.array([m.lesion["before"] for m in masked])
    below = [m for m in masked if m.lesion["before"] < LESION_GOAL]
    print(
        f"lesions: {len(masked)} images, least share kept before squaring {kept.min():.4f}, "
        f"{len(below)} below {LESION_GOAL} ({verdict(not below)})"
    )
    for m in below[:5]:
        print(f"  {m.path.stem}: {m.lesion['before']:.4f}, {m.reason}")


def print_surrounds(name: str, rows: list[Measured], *, is_goal: bool) -> None:
    """Print the second goal, or the same figures of a part of the images."""
    if not rows:
        print(f"surrounds, {name}: none")
        return
    centred, kept = np.median([m.left for m in rows], axis=0)
    met = kept <= LEFT_GOAL and kept <= RATIO_GOAL * centred
    print(
        f"surrounds, {name}: {len(rows)} images, median share left {kept:.5f}, in the centred "
        f"square {centred:.5f}" + (f" ({verdict(met)})" if is_goal else "")
    )
    print(f"  reasons: {count(m.reason for m in rows)}")


def print_plain(rows: list[Measured]) -> None:
    """Print the third goal."""
    cut = [m for m in rows if m.region != m.whole]
    print(f"no border: {len(rows)} images, {len(cut)} cut ({verdict(not cut)})")


def print_squaring(masked: list[Measured]) -> None:
    """Print what squaring costs."""
    for squaring in SQUARINGS:
        kept = np.array([m.lesion[squaring] for m in masked])
        below = {limit: int((kept < limit).sum()) for limit in (0.999, 0.99, 0.95, 0.8)}
        print(
            f"squaring {squaring}: lesion kept mean {kept.mean():.4f}, least {kept.min():.4f}, "
            f"images below {below}"
        )
    shapes = [(m.region[2] - m.region[0]) / (m.region[3] - m.region[1]) for m in masked]
    print(f"  width / height before squaring: median {np.median(shapes):.3f}")


def print_painted(share: float, kept: list[float]) -> None:
    """Print how lesions fare under painted surrounds."""
    if not kept:
        print(f"painted, field {share} of the height: no lesion in the light")
        return
    values = np.array(kept)
    below = {limit: int((values < limit).sum()) for limit in (0.999, 0.99, 0.9)}
    print(
        f"painted, field {share} of the height: {len(values)} images, mean {values.mean():.4f}, "
        f"images below {below}"
    )


def verdict(met: bool) -> str:
    """Word whether a goal is met."""
    return "goal met" if met else "goal NOT met"


def count(reasons: Iterable[str]) -> dict[str, int]:
    """Count by reason, the commonest first."""
    return dict(Counter(sorted(reasons)).most_common())


def write_sheet(path: Path, rows: list[Measured], settings: Settings) -> None:
    """Write before, region and square, after; a row holds three images."""
    tiles: list[Tile] = []
    for m in tqdm(rows, desc="sheet"):
        decoded = decode(m.path, params=settings.decode, least_side_px=None)
        left, top, right, bottom = (int(side) for side in m.region)
        square = square_region(m.region, settings.crop.squaring)
        name = f"{m.path.stem} {m.reason}"
        after = decoded.pixels[top:bottom, left:right]
        inner = tuple(side - corner for side, corner in zip(square, (left, top) * 2, strict=True))
        tiles += [Tile(decoded.pixels, name, m.region), Tile(after, caption(m), inner)]
    with atomic_write(path, "wb") as file:
        file.write(encode_sheet(draw_sheet(fold(tiles, SHEET_COLUMNS), cell_px=CELL_PX)))
    print(f"sheet: {len(rows)} images in {path}")


def caption(m: Measured) -> str:
    """Say what was lost or left."""
    lesion = f"lesion {m.lesion['before']:.4f} " if m.lesion else ""
    return lesion + (f"left {m.left[1]:.4f} of {m.left[0]:.4f}" if m.left else "")


if __name__ == "__main__":
    main()
