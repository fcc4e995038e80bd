"""Stage `resize`: write every crop at the input size of one member, ready for training.

Arrays of an earlier run are taken where crop, settings and code are the same.

Usage: python -m stages.resize --member b4 data/crop data/resize/b4
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pipeline import params
from pipeline.command import run_stage
from pipeline.images.png import decode_png
from pipeline.images.resize import ResizeParams, resize_to_square
from pipeline.parallel import ParallelParams, add_workers_option, map_in_order
from pipeline.reuse import digest_of_making, is_made_by, remember
from pipeline.shards.archives import EncodedShards, Place, crop_sizes
from pipeline.shards.array_writer import ArrayWriter
from pipeline.shards.arrays import COLUMNS, SUFFIX, ArrayShards
from pipeline.shards.plan import Previous, Step, plan_steps, select_missing
from pipeline.shards.tables import INDEX
from pipeline.storage import atomic_folder, check_free_disk

SIZE_KEYS = ("crop_px", "input_px")


@dataclass(frozen=True)
class Job:
    """Where one crop lies, and what to make of it."""

    crop: Place
    input_px: int
    resample: str


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("resize", ResizeParams)
    parallel = params.load("parallel", ParallelParams).with_workers(args.workers)
    crop_px, input_px = read_sizes(args.member)
    crops = open_crops(args.source, crop_px, args.member)
    images = [(image_id, crops.place(image_id).sha256) for image_id in crops.image_ids]
    made_by = digest_of_making(
        resize_crop, [decode_png, resize_to_square], {**settings_of(settings), "input_px": input_px}
    )
    previous = Previous(args.target, COLUMNS) if is_made_by(args.target, made_by) else None
    steps = plan_steps(images, settings.shard_images, [previous] if previous else [], SUFFIX)
    todo = select_missing(crops.image_ids, steps)
    jobs = (Job(crops.place(image_id), input_px, settings.resample) for image_id in todo)
    check_free_disk(args.target.parent, len(todo) * 3 * input_px**2)
    with atomic_folder(args.target, replaces=INDEX) as folder:
        arrays = map_in_order(resize_crop, jobs, parallel.processes, parallel.cluster)
        bar = tqdm(arrays, desc=f"resize {args.member}", total=len(todo), unit="image")
        with ArrayWriter(folder) as writer:
            write_arrays(writer, images, steps, bar, previous)
    remember(args.target, made_by)
    print(
        f"resize: {len(images)} images at {input_px} px from {crop_px} px, "
        f"{len(todo)} of them new, in {args.target}"
    )


def settings_of(settings: ResizeParams) -> dict[str, Any]:
    """Take the settings that decide about pixels: all but how many images share a file."""
    return {key: value for key, value in asdict(settings).items() if key != "shard_images"}


def resize_crop(job: Job) -> np.ndarray:
    """Resize one crop; runs in a process of its own."""
    return resize_to_square(decode_png(job.crop.read()), job.input_px, resample=job.resample)


def write_arrays(
    writer: ArrayWriter,
    images: Sequence[tuple[str, str]],
    steps: Sequence[Step],
    arrays: Iterable[np.ndarray],
    previous: Previous | None,
) -> None:
    """Write the shards: whole ones of the earlier run, single arrays of it, and those just made."""
    made = iter(arrays)
    old = ArrayShards(previous.folder) if previous else None
    for step in steps:
        if step.is_whole:
            writer.take_shard(step.stem, previous)
            continue
        writer.start_shard(step.stem)
        own = images[step.start : step.stop]
        for (image_id, sha256), is_old in zip(own, step.is_old, strict=True):
            pixels = old.read([image_id])[0] if is_old else next(made)
            writer.add(image_id, pixels, sha256)
    next(made, None)  # what comes after the last result: workers and progress bar end


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
    sizes = crop_sizes(source)
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
    parser.add_argument("target", type=Path, help="folder to write, or an earlier result")
    add_workers_option(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
