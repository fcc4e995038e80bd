"""Stage `sample`: write one source of the embedded sample, images and tables, in its own form.

Usage: python -m stages.sample --source isic_2019 data/sample/isic_2019
"""

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tqdm import tqdm

from pipeline import params
from pipeline.cases.sample import SampleImage, SampleParams, plan_images
from pipeline.cases.sample_lesions import SOURCES
from pipeline.cases.sample_tables import make_tables
from pipeline.command import run_stage
from pipeline.images.copies import copy_jpeg, encode_jpeg
from pipeline.images.synthetic import render
from pipeline.storage import atomic_write, write_csv

# As the published archives unpack, and as the archive's command line tool is told to.
IMAGE_FOLDERS = {
    "isic_2019": "ISIC_2019_Training_Input",
    "isic_2020": "train",
    "isic_cli": "images",
}


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load(f"sample.{args.source}", SampleParams)
    images = plan_images(args.source, settings)
    write_images(images, args.target / IMAGE_FOLDERS[args.source], workers=os.cpu_count() or 1)
    for name, table in make_tables(args.source, images).items():
        write_csv(args.target / name, table)
    copies = sum(bool(image.copy) for image in images)
    print(f"sample: {len(images)} images, {copies} of them planted duplicates, in {args.target}")


def write_images(images: list[SampleImage], folder: Path, *, workers: int) -> None:
    """Render and write all images; the bytes do not depend on the number of workers."""
    write = partial(write_image, folder=folder)
    # A forked child could inherit locks of threads; a fresh one starts the same everywhere.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        done = pool.map(write, images, chunksize=8)
        for _ in tqdm(done, total=len(images), desc="sample", unit="image"):
            pass


def write_image(image: SampleImage, folder: Path) -> None:
    """Render one image and write it as JPEG."""
    taken, lesion = image.taken, image.taken.lesion
    size_px = (taken.height_px, taken.width_px)
    pixels = render(
        lesion.label, lesion.seed, *size_px, view=taken.view, skin_type=lesion.skin_type
    )
    data = encode_jpeg(pixels, taken.jpeg_quality)
    with atomic_write(folder / f"{image.image_id}.jpg") as file:
        file.write(copy_jpeg(data, image.copy) if image.copy else data)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.sample", description=__doc__)
    parser.add_argument("--source", required=True, choices=SOURCES, help="which archive")
    parser.add_argument("target", type=Path, help="folder to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
