"""What an archive of any size costs, from unit costs measured here.

Usage: python -m tools.benchmark_scale ../shared/data/isic_acral [--limit 60] [--least-megapixels 0]

Does the work of stages `ingest`, `crop` and `resize` on originals of some folders on one core, at
the paper's sizes; writes and reads a manifest and an index of generated rows; and searches near
duplicates among generated hashes at two sizes. Prints each cost for one image, and what it comes to
for 33,126, 400,000 and 10 million. All grow with the number of images, but for the search: what it
takes at two sizes tells a part for each image and a part for each pair of them.
"""

import argparse
import math
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from pipeline import manifest, params
from pipeline.cases.duplicates import find_duplicates
from pipeline.cases.files import find_images
from pipeline.command import run_stage
from pipeline.images.crop import CropParams
from pipeline.images.decode import DecodeParams
from pipeline.images.resize import ResizeParams
from pipeline.shards.archives import COLUMNS, EncodedShards, EncodedWriter
from pipeline.shards.plan import Previous, plan_shards
from stages import crop, ingest, resize

SIZES = (33_126, 400_000, 10_000_000)
MEMBERS = {"b4": (768, 380), "b5": (512, 448), "b7": (768, 380)}  # crop_px, input_px of the paper
ROWS = 20_000
SEARCH_ROWS = (20_000, 100_000)
HOUR_S = 3600.0


@dataclass(frozen=True)
class Unit:
    """One cost: `value` for `images`, and `square` times the square of any number of them."""

    name: str
    unit: str
    value: float
    images: int
    square: float = 0.0

    def at(self, images: int) -> float:
        """Extrapolate to another number of images."""
        return self.value * images / self.images + self.square * images**2


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    paths = pick(args.folders, args.limit, args.least_megapixels)
    with tempfile.TemporaryDirectory(prefix="benchmark-scale-") as scratch:
        units = [
            *measure_images(paths, Path(scratch)),
            *measure_tables(Path(scratch)),
            *measure_search(),
        ]
    table = pd.DataFrame(
        [
            {"cost": unit.name, "one image": unit.value / unit.images, "and n² times": unit.square}
            | {f"{size:,}": show(unit, size) for size in SIZES}
            for unit in units
        ]
    )
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    print(
        f"benchmark_scale: seconds are those of one core of {os.cpu_count()}, bytes those of disk"
    )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.benchmark_scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="+", type=Path, help="folders of originals")
    parser.add_argument("--limit", type=int, default=60, help="originals, taken evenly from all")
    parser.add_argument("--least-megapixels", type=float, default=0.0, help="of each original")
    return parser.parse_args(argv)


def show(unit: Unit, images: int) -> str:
    """Write an extrapolated cost in the unit that people use."""
    value = unit.at(images)
    if unit.unit == "s":
        return f"{_digits(value / HOUR_S)} h"
    return f"{_digits(value / 1e9)} GB" if unit.unit == "bytes" else _digits(value)


def _digits(value: float) -> str:
    """Write three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def pick(folders: Sequence[Path], limit: int, least_megapixels: float) -> list[Path]:
    """Take originals that are large enough, evenly from all that the folders hold."""
    found = []
    for folder in folders:
        for path in (folder / path for paths in find_images(folder).values() for path in paths):
            with Image.open(path) as image:
                if math.prod(image.size) >= least_megapixels * 1e6:
                    found.append(path)
    if not found:
        raise ValueError(f"{[str(folder) for folder in folders]} must hold images. Got: none.")
    count = min(limit, len(found))
    return [found[number] for number in np.linspace(0, len(found) - 1, count).astype(int)]


def measure_images(paths: list[Path], scratch: Path) -> list[Unit]:
    """Do the work of the three stages on every original."""
    decode_params = params.load("ingest", DecodeParams)
    crop_params = params.load("crop", CropParams)
    resample = params.load("resize", ResizeParams).resample
    count = len(paths)
    ingest_jobs = [ingest.Job(path, decode_params, None) for path in paths]
    ingest_s, facts = timed(ingest.read_image, ingest_jobs, "ingest")
    known = [ingest.Job(path, decode_params, fact) for path, fact in zip(paths, facts, strict=True)]
    hash_s, _ = timed(ingest.read_image, known, "hash alone")
    crop_jobs = [
        crop.Job(f"{number:05d}", path, fact.sha256, decode_params, crop_params)
        for number, (path, fact) in enumerate(zip(paths, facts, strict=True))
    ]
    crop_s, crops = timed(crop.crop_image, crop_jobs, "crop")
    units = [
        Unit(
            "originals: megapixels", "", sum(f.width_px * f.height_px for f in facts) / 1e6, count
        ),
        Unit("originals: disk", "bytes", sum(path.stat().st_size for path in paths), count),
        Unit("ingest", "s", ingest_s, count),
        Unit("ingest, of known bytes", "s", hash_s, count),
        Unit("crop", "s", crop_s, count),
    ]
    for size_px in crop_params.sizes_px:
        size = sum(len(result.crops[size_px]) for result in crops)
        units.append(Unit(f"crop {size_px}: disk", "bytes", size, count))
        write_crops(scratch / str(size_px), crops, size_px)
    for member, (crop_px, input_px) in MEMBERS.items():
        units += measure_member(member, scratch / str(crop_px), input_px, resample)
    return units


def write_crops(folder: Path, crops: list[Any], size_px: int) -> None:
    """Write the archives from which stage `resize` reads."""
    with EncodedWriter(folder, suffix=".png") as writer:
        writer.start_shard("crops")
        for result in crops:
            writer.add(result.image_id, result.crops[size_px], "")


def measure_member(member: str, folder: Path, input_px: int, resample: str) -> list[Unit]:
    """Resize every crop to the input of one member."""
    shards = EncodedShards(folder)
    jobs = [resize.Job(shards.place(name), input_px, resample) for name in shards.image_ids]
    seconds, arrays = timed(resize.resize_crop, jobs, f"resize {member}")
    return [
        Unit(f"resize {member}", "s", seconds, len(jobs)),
        Unit(f"resize {member}: disk", "bytes", sum(array.nbytes for array in arrays), len(jobs)),
    ]


def timed(function: Callable[[Any], Any], jobs: list[Any], name: str) -> tuple[float, list[Any]]:
    """Apply a stage's function to every job; return the core's seconds, and the results."""
    start = time.process_time()
    results = [function(job) for job in tqdm(jobs, desc=name, unit="image")]
    return time.process_time() - start, results


def measure_tables(scratch: Path) -> list[Unit]:
    """Write and read a manifest of generated rows, and the index of its crops."""
    cases = make_cases(ROWS)
    start = time.process_time()
    manifest.write(cases, scratch / "manifest.csv")
    written_s = time.process_time() - start
    read = manifest.read(scratch / "manifest.csv")
    read_s = time.process_time() - start - written_s
    shard_images = params.read_section("crop.shard_images")
    shards = plan_shards(cases.image_id.tolist(), shard_images)
    rows = [(name, "shard", 0, 0, "0" * 64, "0" * 64) for name in cases.image_id]
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(scratch / "index.csv", index=False)
    (scratch / "shards.csv").write_text("shard,images,bytes,sha256\n")
    start = time.process_time()
    Previous(scratch, COLUMNS)
    index_s = time.process_time() - start
    return [
        Unit("manifest: write", "s", written_s, ROWS),
        Unit("manifest: read", "s", read_s, ROWS),
        Unit("manifest: disk", "bytes", (scratch / "manifest.csv").stat().st_size, ROWS),
        Unit("manifest: memory", "bytes", int(read.memory_usage(deep=True).sum()), ROWS),
        Unit("index of one size: read", "s", index_s, ROWS),
        Unit("shards of one size of crops", "files", len(shards), ROWS),
    ]


def make_cases(count: int) -> pd.DataFrame:
    """Make rows as large as those of an archive, with hashes that are far from each other."""
    rng = np.random.default_rng(0)
    records = [
        dict.fromkeys(manifest.COLUMNS, "")
        | {
            "width_px": 6000,
            "height_px": 4000,
            "image_id": f"ISIC_{number:07d}",
            "source": "isic_2020",
            "path": f"data/raw/isic-2020/train/ISIC_{number:07d}.jpg",
            "patient_id": f"IP_{number // 16:07d}",
            "lesion_id": f"IL_{number:07d}",
            "sex": "female",
            "age_years": 45.0,
            "diagnosis_raw": "nevus",
            "diagnosis": "NV",
            "sha256": rng.bytes(32).hex(),
            "perceptual_hash": "-".join(rng.bytes(32).hex() for _ in range(8)),
        }
        for number in range(count)
    ]
    return pd.DataFrame(records, columns=list(manifest.COLUMNS))


def measure_search() -> list[Unit]:
    """Search near duplicates at two sizes, and take the costs apart."""
    bits = params.read_section("split.near_duplicate_bits")
    cases = make_cases(max(SEARCH_ROWS))
    seconds = []
    for rows in SEARCH_ROWS:
        start = time.process_time()
        find_duplicates(cases.iloc[:rows].reset_index(drop=True), bits)
        seconds.append(time.process_time() - start)
    linear, square = part_costs(SEARCH_ROWS, seconds)
    few = cases.iloc[: SEARCH_ROWS[0]].reset_index(drop=True)
    tracemalloc.start()
    find_duplicates(few, bits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return [
        Unit("split: near duplicates", "s", linear, 1, square),
        Unit("split: near duplicates, memory", "bytes", peak, len(few)),
    ]


def part_costs(images: Sequence[int], costs: Sequence[float]) -> tuple[float, float]:
    """Part the costs of two sizes into one for each image and one for each image squared."""
    each = [cost / count for cost, count in zip(costs, images, strict=True)]
    square = max(0.0, (each[1] - each[0]) / (images[1] - images[0]))
    return each[0] - square * images[0], square


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
