"""Show on one sheet what each operation of augmentation does to images.

Usage: python -m tools.preview_augmentation [--images a.jpg b.jpg] [--size 160] --out sheet.png

Strengths are those of section `train.augment` in `params.yaml`. A row shows one operation on every
image, the original first, then some draws in which it is sure to happen; the last row shows all of
it, with the probabilities of `params.yaml`. Without images it draws two of the synthetic generator.
"""

import argparse
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipeline import params
from pipeline.command import run_stage
from pipeline.images.contact_sheet import Tile, draw_sheet, encode_sheet
from pipeline.images.crop import CropParams, square_region
from pipeline.images.decode import DecodeParams, decode
from pipeline.images.resize import resize_box
from pipeline.images.synthetic import render
from pipeline.network.augmentation.apply import apply_augmentation
from pipeline.network.augmentation.draw import draw_augmentation
from pipeline.network.augmentation.params import AugmentParams
from pipeline.storage import atomic_write

# Of a group, of which an image undergoes one: what each kind is without.
KINDS = {
    "distortion": {"optical": 0.0, "grid": 0.0, "elastic": 0.0},
    "softening": {"motion_px": 0.0, "gaussian_px": 0.0, "median": False, "noise": 0.0},
}
SYNTHETIC = {"MEL": 2, "BKL": 4}  # diagnosis -> Fitzpatrick's skin type
DRAWS = 4


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    augment = params.load("train.augment", AugmentParams)
    images = read_images(args.images, args.size) if args.images else render_images(args.size)
    rows = []
    for name, settings in tqdm(list(operations(augment)), desc="preview"):
        rows.append(draw_row(name, images, settings, args.seed))
    with atomic_write(args.out, "wb") as file:
        file.write(encode_sheet(draw_sheet(rows, cell_px=(args.size, args.size))))
    print(f"preview: {len(rows)} rows of {len(images)} images in {args.out}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.preview_augmentation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=Path, nargs="*", help="JPEG or PNG files")
    parser.add_argument(
        "--size", type=int, default=160, help="side in pixels; blur and noise are per pixel"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    return parser.parse_args(argv)


def operations(augment: AugmentParams) -> Iterator[tuple[str, AugmentParams]]:
    """Name each operation, with params in which it alone happens, always; then all as they are."""
    names = [field.name for field in fields(augment) if field.name != "dihedral"]
    off = {name: replace(getattr(augment, name), probability=0.0) for name in names}
    nothing = replace(augment, dihedral=False, **off)
    yield "dihedral", replace(nothing, dihedral=True)
    for name in names:
        operation = replace(getattr(augment, name), probability=1.0)
        without = KINDS.get(name)
        if without is None:
            yield name, replace(nothing, **{name: operation})
            continue
        for kind in without:
            alone = replace(operation, **(without | {kind: getattr(operation, kind)}))
            yield f"{name} {kind}", replace(nothing, **{name: alone})
    yield "all, as in params.yaml", augment


def draw_row(name: str, images: list[np.ndarray], augment: AugmentParams, seed: int) -> list[Tile]:
    """Apply one set of params to every image, several times."""
    tiles = []
    for number, image in enumerate(images):
        batch = np.stack([image] * DRAWS)
        drawn = draw_augmentation(
            augment,
            seed=seed,
            epoch=number,
            count=DRAWS,
            size_px=image.shape[0],
            repetition=0,
        )
        results = np.asarray(apply_augmentation(batch, drawn, augment))
        tiles += [Tile(image, name), *(Tile(result) for result in results)]
    return tiles


def read_images(paths: list[Path], size_px: int) -> list[np.ndarray]:
    """Decode files and bring them to squares, as stages `crop` and `resize` do without a border."""
    limits = params.load("ingest", DecodeParams)
    squaring = params.load("crop", CropParams).squaring
    resample = params.read_section("resize.resample")
    images = []
    for path in paths:
        pixels = decode(path, params=limits, least_side_px=size_px).pixels
        box = square_region((0, 0, pixels.shape[1], pixels.shape[0]), squaring)
        images.append(resize_box(pixels, box, (size_px, size_px), resample=resample))
    return images


def render_images(size_px: int) -> list[np.ndarray]:
    """Render synthetic lesions."""
    return [
        render(label, seed, size_px, size_px, view=0, skin_type=skin_type)
        for seed, (label, skin_type) in enumerate(SYNTHETIC.items())
    ]


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
