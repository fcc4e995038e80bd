"""Part `decode` of `make benchmark-data`: from a file's bytes to its crops, against two peers.

One process on one core, libraries held to one thread, files in memory, rounds interleaved over the
methods; times are those of the processor, over all threads, the median of the rounds. Methods:

- this project: `cut_crops`, the search for a surround included;
- Pillow: one full decode, the centred square, Lanczos to each size;
- pyvips: `thumbnail_buffer` with a centred crop to the largest size, `thumbnail_image` from there;
- decode at 1/8: simplejpeg alone, no crop: what no method that reads all of a JPEG can beat.

PSNR compares the crops of each with Lanczos of the same box after a full decode.
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from PIL import Image
from tqdm import tqdm

from pipeline import params
from pipeline.images.crop import CropParams
from pipeline.images.decode import DecodeParams
from pipeline.images.jpeg import decode_jpeg
from pipeline.images.preprocess import cut_crops
from tools.benchmark_part import goal, in_fresh_process

FOLDERS = ("isic_acral", "uda1")
LARGE = (6000, 4000)
ROUNDS = {"6000x4000": 5, "all originals": 3}
TIMES_GOAL = {"6000x4000": 8.0, "all originals": 5.0}
PSNR_GOAL_DB = 50.0
OURS, PILLOW, PYVIPS, FLOOR = "this project", "Pillow", "pyvips", "decode at 1/8 alone"

Crops = dict[int, np.ndarray]


@dataclass(frozen=True)
class Original:
    """A file's bytes, and its size as stored."""

    data: bytes
    width: int
    height: int

    @property
    def square(self) -> tuple[int, int, int, int]:
        """The centred square, `(left, top, right, bottom)`."""
        side = min(self.width, self.height)
        left, top = (self.width - side) // 2, (self.height - side) // 2
        return left, top, left + side, top + side


def measure(data: Path) -> dict[str, Any]:
    """Measure all methods on the originals below a folder.

    Args:
        data: Folder with `isic_acral/images` and `uda1/images`.

    Returns:
        `rows`, one for each group and method, `goals` and `charts`.
    """
    return in_fresh_process(1, _measure, data)


def _measure(data: Path) -> dict[str, Any]:
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pyvips.cache_set_max(0)  # else its second round would find the first one's results
    originals = read_originals(data)
    large = [one for one in originals if (one.width, one.height) == LARGE]
    if not large:
        raise ValueError(f"{data / FOLDERS[0]} must hold images of 6000 x 4000 px. Got: none.")
    groups = {"6000x4000": large, "all originals": originals}
    rows = [row for name, group in groups.items() for row in measure_group(name, group)]
    return {"rows": rows, "goals": list_goals(rows), "charts": list_charts(rows)}


def read_originals(data: Path) -> list[Original]:
    """Read the files of all folders into memory."""
    paths = [path for name in FOLDERS for path in sorted((data / name / "images").glob("*.jpg"))]
    originals = []
    for path in paths:
        with Image.open(path) as image:
            originals.append(Original(path.read_bytes(), *image.size))
    if not originals:
        raise ValueError(f"{data} must hold {' and '.join(FOLDERS)}. Got: no image.")
    return originals


def measure_group(name: str, originals: list[Original]) -> list[dict[str, Any]]:
    """Time every method on some originals, and compare their crops."""
    crop_params = params.load("crop", CropParams)
    decode_params = params.load("ingest", DecodeParams)
    ours = partial(cut_crops, decode_params=decode_params, crop_params=crop_params)
    sizes_px = crop_params.sizes_px
    methods: dict[str, Callable[[Original], Any]] = {
        OURS: lambda one: ours(one.data),
        PILLOW: lambda one: crop_with_pillow(one, one.square, sizes_px),
        PYVIPS: lambda one: crop_with_pyvips(one, sizes_px),
        FLOOR: lambda one: decode_jpeg(one.data, one.width, one.height, 8),
    }
    seconds = time_methods(methods, originals, ROUNDS[name], name)
    psnr: dict[str, list[float]] = {OURS: [], PYVIPS: []}
    for one in tqdm(originals, desc=f"decode: {name}, PSNR", unit="image"):
        cropped = ours(one.data)
        reference = crop_with_pillow(one, cropped.box.region, sizes_px)
        psnr[OURS] += compare(cropped.crops, reference)
        reference = crop_with_pillow(one, one.square, sizes_px)
        psnr[PYVIPS] += compare(crop_with_pyvips(one, sizes_px), reference)
    return [
        {
            "group": name,
            "method": method,
            "images": len(originals),
            "ms_per_image": 1000 * seconds[method] / len(originals),
            "images_per_s": len(originals) / seconds[method],
            "times_pillow": seconds[PILLOW] / seconds[method],
            "psnr_least_db": min(psnr[method], default=None) if method in psnr else None,
            "psnr_median_db": statistics.median(psnr[method]) if method in psnr else None,
        }
        for method in methods
    ]


def time_methods(
    methods: dict[str, Callable[[Original], Any]],
    originals: list[Original],
    rounds: int,
    name: str,
) -> dict[str, float]:
    """Return each method's processor seconds for all originals, the median of the rounds."""
    for method in methods.values():
        method(originals[0])  # what libraries do once
    seconds: dict[str, list[float]] = {method: [] for method in methods}
    bar = tqdm(total=rounds * len(methods), desc=f"decode: {name}", unit="pass")
    for _ in range(rounds):
        for method, function in methods.items():
            start = time.process_time()
            for one in originals:
                function(one)
            seconds[method].append(time.process_time() - start)
            bar.update()
    bar.close()
    return {method: statistics.median(values) for method, values in seconds.items()}


def crop_with_pillow(
    one: Original, box: tuple[float, float, float, float], sizes_px: tuple[int, ...]
) -> Crops:
    """Decode in full, cut the box out, and resize it to every size with Lanczos."""
    with Image.open(BytesIO(one.data)) as image:
        square = image.convert("RGB").crop(tuple(round(side) for side in box))
    return {
        size_px: np.asarray(square.resize((size_px, size_px), Image.Resampling.LANCZOS))
        for size_px in sizes_px
    }


def crop_with_pyvips(one: Original, sizes_px: tuple[int, ...]) -> Crops:
    """Let libvips shrink while it decodes, to the centred square."""
    largest, *others = sorted(sizes_px, reverse=True)
    image = pyvips.Image.thumbnail_buffer(
        one.data, largest, height=largest, crop="centre", size="both", no_rotate=True
    ).copy_memory()  # else the file would be decoded again for each size
    crops = {largest: image.numpy()}
    for size_px in others:
        crops[size_px] = image.thumbnail_image(size_px, height=size_px).numpy()
    return crops


def compare(found: Crops, wanted: Crops) -> list[float]:
    """Return the peak signal to noise ratio in dB at every size; 99 where crops are equal."""
    ratios = []
    for size_px, pixels in wanted.items():
        error = np.mean((found[size_px].astype(np.float64) - pixels) ** 2)
        ratios.append(float(10 * np.log10(255**2 / error)) if error else 99.0)
    return ratios


def list_goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Hold this project's rows against the goals."""
    goals = []
    for row in rows:
        if row["method"] != OURS:
            continue
        group = row["group"]
        what = f"{group}: images/s per core, times Pillow"
        goals.append(goal(what, row["times_pillow"], at_least=TIMES_GOAL[group]))
        if group == "6000x4000":
            what = f"{group}: least PSNR of a crop, dB"
            goals.append(goal(what, row["psnr_least_db"], at_least=PSNR_GOAL_DB))
    return goals


def list_charts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one chart of speed per group."""
    return [
        {
            "title": f"Bytes to crops, {group}",
            "unit": "images/s per core",
            "bars": {row["method"]: row["images_per_s"] for row in rows if row["group"] == group},
        }
        for group in dict.fromkeys(row["group"] for row in rows)
    ]
