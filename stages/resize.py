"""Stage `resize`: write every crop at the input size of one member, ready for training.

Usage: python -m stages.resize --member b4 data/crop data/resize/b4
"""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipeline import params
from pipeline.archives import EncodedShards
from pipeline.command import run_stage
from pipeline.images.png import decode_png
from pipeline.images.resize import ResizeParams, resize_to_square
from pipeline.parallel import map_in_order
from pipeline.storage import atomic_folder, write_array_shards

SIZE_KEYS = ("crop_px", "input_px")


@dataclass(frozen=True)
class Job:
    """One crop as PNG bytes, and what to make of it."""

    png: bytes
    input_px: int
    resample: str


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("resize", ResizeParams)
    crop_px, input_px = read_sizes(args.member)
    crops = open_crops(args.source, crop_px, args.member)
    jobs = (Job(crops.read(image_id), input_px, settings.resample) for image_id in crops.image_ids)
    with atomic_folder(args.target) as folder:
        arrays = map_in_order(resize_crop, jobs, args.workers)
        bar = tqdm(arrays, desc=f"resize {args.member}", total=len(crops), unit="image")
        images = zip(crops.image_ids, bar, strict=True)
        written = write_array_shards(folder, images, settings.shard_images)
    print(f"resize: {written} images at {input_px} px from {crop_px} px in {args.target}")


def resize_crop(job: Job) -> np.ndarray:
    """Resize one crop; runs in a process of its own."""
    return resize_to_square(decode_png(job.png), job.input_px, resample=job.resample)


def read_sizes(member: str) -> tuple[int, int]:
    """Read `crop_px` and `input_px` of a member; its other keys belong to stage `train`."""
    crop_px, input_px = (params.read_section(f"member.{member}.{key}") for key in SIZE_KEYS)
    if type(crop_px) is not int or type(input_px) is not int or not 1 <= input_px <= crop_px:
        raise params.ParamsError(
            f"{params.PARAMS_FILE}: section 'member.{member}': input_px and crop_px must be whole "
            f"numbers, input_px from 1 to crop_px. Got: {input_px!r} and {crop_px!r}."
        )
    return crop_px, input_px


def open_crops(source: Path, crop_px: int, member: str) -> EncodedShards:
    """Open the crops of one size."""
    sizes = sorted(int(folder.name) for folder in source.glob("*") if folder.name.isdigit())
    if crop_px not in sizes:
        raise params.ParamsError(
            f"{params.PARAMS_FILE}: section 'member.{member}': crop_px must be a size that stage "
            f"crop wrote, {sizes} in {source}. Got: {crop_px}."
        )
    return EncodedShards(source / str(crop_px))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.resize", description=__doc__)
    parser.add_argument("--member", required=True, help="key of section `member` of params.yaml")
    parser.add_argument("source", type=Path, help="folder written by stage crop")
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
