"""Stage `crop`: bring every image of the manifest to squares without its surround.

Usage: python -m stages.crop data/split/manifest.csv data/crop

Writes a folder of PNG archives per size, in the manifest's order, and `boxes.csv`: what was kept of
each image, in pixels of the original after EXIF orientation, and why.
"""

import argparse
import csv
import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline import manifest, params
from pipeline.archives import EncodedWriter
from pipeline.command import run_stage
from pipeline.images.crop import NO_BORDER, CropParams
from pipeline.images.decode import DecodeParams, ImageError
from pipeline.images.png import encode_png
from pipeline.images.preprocess import cut_crops
from pipeline.parallel import map_in_order
from pipeline.storage import atomic_folder, atomic_write, sha256_of

BOX_COLUMNS = (
    *("image_id", "left_px", "top_px", "right_px", "bottom_px"),
    *("reason", "width_px", "height_px"),
)


@dataclass(frozen=True)
class Job:
    """One image, with all that a process needs to crop it."""

    image_id: str
    path: Path
    sha256: str
    decode_params: DecodeParams
    crop_params: CropParams


@dataclass(frozen=True)
class Result:
    """The crops of one image as PNG bytes by size, and its row of `boxes.csv`; or what is wrong."""

    image_id: str
    crops: dict[int, bytes]
    box: tuple[Any, ...]
    problem: str = ""


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    crop_params = params.load("crop", CropParams)
    decode_params = params.load("ingest", DecodeParams)
    cases = manifest.read(args.manifest)
    jobs = [
        Job(case.image_id, Path(case.path), case.sha256, decode_params, crop_params)
        for case in cases.itertuples()
    ]
    with atomic_folder(args.target) as folder:
        results = map_in_order(crop_image, jobs, args.workers)
        bar = tqdm(results, desc="crop", total=len(jobs), unit="image")
        boxes = write_crops(folder, bar, crop_params)
    framed = sum(box[BOX_COLUMNS.index("reason")] != NO_BORDER for box in boxes)
    print(f"crop: {len(boxes)} images, {framed} with a border, in {args.target}")


def crop_image(job: Job) -> Result:
    """Crop one image; runs in a process of its own."""
    try:
        cropped = cut_crops(job.path, decode_params=job.decode_params, crop_params=job.crop_params)
        if sha256_of(job.path) != job.sha256:
            raise ImageError(f"{job.path} must be the file that was ingested. Got: another one.")
    except ImageError as error:
        return Result(job.image_id, {}, (), str(error))
    crops = {size_px: encode_png(pixels) for size_px, pixels in cropped.crops.items()}
    box = cropped.box
    row = (job.image_id, *box.region, box.reason, cropped.width_px, cropped.height_px)
    return Result(job.image_id, crops, row)


def write_crops(
    folder: Path, results: Iterable[Result], crop_params: CropParams
) -> list[tuple[Any, ...]]:
    """Write the archives and the table of boxes; return its rows.

    Raises:
        ImageError: Some images cannot be used; all of them have been tried.
    """
    boxes: list[tuple[Any, ...]] = []
    problems: list[str] = []
    with ExitStack() as stack:
        writers = {
            size_px: stack.enter_context(
                EncodedWriter(
                    folder / str(size_px), shard_images=crop_params.shard_images, suffix=".png"
                )
            )
            for size_px in crop_params.sizes_px
        }
        for result in results:
            if result.problem:
                problems.append(result.problem)
                continue
            for size_px, data in result.crops.items():
                writers[size_px].add(result.image_id, data)
            boxes.append(result.box)
        if problems:
            raise ImageError(describe(problems))
    with atomic_write(folder / "boxes.csv", "w") as file:
        csv.writer(file, lineterminator="\n").writerows([BOX_COLUMNS, *boxes])
    return boxes


def describe(problems: list[str]) -> str:
    """List the first five problems and say how many there are."""
    listed = "".join(f"\n  {problem}" for problem in problems[:5])
    return f"every image of the manifest must be usable. Got {len(problems)} that are not:{listed}"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="stages.crop",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("manifest", type=Path, help="table of cases written by stage split")
    parser.add_argument("target", type=Path, help="folder to write; absent or empty")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count(),
        help="processes; the result does not depend on it (default: one per core)",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
