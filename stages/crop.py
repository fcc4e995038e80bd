"""Stage `crop`: bring every image of the manifest to squares without its surround.

Usage: python -m stages.crop data/split/manifest.csv data/crop

Writes a folder of PNG archives per size, ordered by source and image, and `boxes.csv`: what was
kept of each image, in pixels of the original after EXIF orientation, and why; and what decoded it:
`simplejpeg`, `pillow`, or `pillow_fallback` where a JPEG has a flaw that the fast decoder refuses.
Crops of an earlier run are taken where original, settings and code are the same.
"""

import argparse
import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline import manifest, params
from pipeline.command import run_stage
from pipeline.images.crop import NO_BORDER, CropParams
from pipeline.images.decode import FALLBACK, DecodeParams, ImageError
from pipeline.images.png import encode_png
from pipeline.images.preprocess import cut_crops
from pipeline.parallel import ParallelParams, add_workers_option, map_in_order
from pipeline.reuse import digest_of_making, is_made_by, remember
from pipeline.shards.archives import COLUMNS, SUFFIX, EncodedShards, EncodedWriter
from pipeline.shards.plan import Previous, Step, plan_steps, select_missing
from pipeline.shards.tables import read_table
from pipeline.storage import atomic_folder, atomic_write, sha256_of

BOXES = "boxes.csv"
BOX_COLUMNS = (
    *("image_id", "left_px", "top_px", "right_px", "bottom_px"),
    *("reason", "width_px", "height_px", "decoder"),
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


@dataclass(frozen=True)
class Earlier:
    """What an earlier run left, by size and by image; empty where nothing of it can be taken."""

    folders: dict[int, Previous]
    crops: dict[int, EncodedShards]
    boxes: dict[str, tuple[Any, ...]]

    def take(self, image_id: str) -> Result:
        """Read the crops of one image."""
        crops = {size_px: shards.read(image_id) for size_px, shards in self.crops.items()}
        return Result(image_id, crops, self.boxes[image_id])


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    crop_params = params.load("crop", CropParams)
    decode_params = params.load("ingest", DecodeParams)
    parallel = params.load("parallel", ParallelParams).with_workers(args.workers)
    originals = read_originals(args.manifest)
    made_by = digest_settings(decode_params, crop_params)
    earlier = read_earlier(args.target, made_by, crop_params)
    images = [(image_id, sha256) for image_id, _, sha256 in originals]
    steps = plan_steps(images, crop_params.shard_images, [*earlier.folders.values()], SUFFIX)
    todo = select_missing(originals, steps)
    jobs = (Job(*original, decode_params, crop_params) for original in todo)
    with atomic_folder(args.target, replaces=BOXES) as folder:
        results = map_in_order(crop_image, jobs, parallel.processes, parallel.cluster)
        bar = tqdm(results, desc="crop", total=len(todo), unit="image")
        with open_writers(folder, crop_params) as writers:
            boxes = write_crops(writers, images, steps, bar, earlier)
        with atomic_write(folder / BOXES, "w") as file:
            csv.writer(file, lineterminator="\n").writerows([BOX_COLUMNS, *boxes])
    remember(args.target, made_by)
    framed = sum(box[BOX_COLUMNS.index("reason")] != NO_BORDER for box in boxes)
    fallbacks = sum(box[BOX_COLUMNS.index("decoder")] == FALLBACK for box in boxes)
    print(
        f"crop: {len(boxes)} images, {framed} with a border, "
        f"{fallbacks} that only Pillow could decode, {len(todo)} cut now, in {args.target}"
    )


def read_originals(table: Path) -> list[tuple[str, Path, str]]:
    """List name, path and hash by source and name, so that a new source joins at one place."""
    cases = manifest.read(table).sort_values(["source", "image_id"])
    columns = (cases.image_id, map(Path, cases.path), cases.sha256)
    return list(zip(*columns, strict=True))


def digest_settings(decode_params: DecodeParams, crop_params: CropParams) -> str:
    """Digest code and settings, all but how many images share a file."""
    crop = {key: value for key, value in asdict(crop_params).items() if key != "shard_images"}
    settings = {"ingest": asdict(decode_params), "crop": crop}
    return digest_of_making(crop_image, [cut_crops, encode_png], settings)


def read_earlier(target: Path, made_by: str, crop_params: CropParams) -> Earlier:
    """Open what lies at the target, if the same code and settings made it."""
    if not is_made_by(target, made_by):
        return Earlier({}, {}, {})
    sizes_px = crop_params.sizes_px
    previous = {size_px: Previous(target / str(size_px), COLUMNS) for size_px in sizes_px}
    return Earlier(
        previous,
        {size_px: EncodedShards(own.folder, own.index) for size_px, own in previous.items()},
        {row[0]: tuple(row) for row in read_table(target / BOXES, BOX_COLUMNS)},
    )


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
    size = cropped.width_px, cropped.height_px
    row = (job.image_id, *box.region, box.reason, *size, cropped.decoder)
    return Result(job.image_id, crops, row)


@contextmanager
def open_writers(folder: Path, crop_params: CropParams) -> Iterator[dict[int, EncodedWriter]]:
    """Open a folder of archives for each size."""
    with ExitStack() as stack:
        yield {
            size_px: stack.enter_context(EncodedWriter(folder / str(size_px), suffix=".png"))
            for size_px in crop_params.sizes_px
        }


def write_crops(
    writers: dict[int, EncodedWriter],
    images: Sequence[tuple[str, str]],
    steps: Sequence[Step],
    results: Iterable[Result],
    earlier: Earlier,
) -> list[tuple[Any, ...]]:
    """Write the archives from an earlier run's and from the results; return the rows of boxes.

    Raises:
        ImageError: Some images cannot be used; all of them have been tried.
    """
    boxes: list[tuple[Any, ...]] = []
    problems: list[str] = []
    made = iter(results)
    for step in steps:
        own = images[step.start : step.stop]
        if step.is_whole:
            for size_px, writer in writers.items():
                writer.take_shard(step.stem, earlier.folders[size_px])
            boxes += [earlier.boxes[image_id] for image_id, _ in own]
            continue
        for writer in writers.values():
            writer.start_shard(step.stem)
        for (image_id, sha256), is_old in zip(own, step.is_old, strict=True):
            result = earlier.take(image_id) if is_old else next(made)
            problems += filter(None, [result.problem])
            boxes += filter(None, [result.box])
            for size_px, data in result.crops.items():
                writers[size_px].add(image_id, data, sha256)
    next(made, None)  # what comes after the last result: workers and progress bar end
    if problems:
        raise ImageError(describe(problems))
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
    parser.add_argument("target", type=Path, help="folder to write, or an earlier result")
    add_workers_option(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
