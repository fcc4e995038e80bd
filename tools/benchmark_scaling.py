"""Part `scaling` of `make benchmark-data`: one worker against two, and memory against images.

Stage `crop`'s own function goes through `map_in_order` over the originals, repeated; every run is a
process of its own. The rate is that after the first results, when all workers have started. The
machine's own ceiling, two processes that share nothing and only count, stands beside it. For memory
the stage's own writer takes the results, and the largest process counts.
"""

import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline import params
from pipeline.images.crop import CropParams
from pipeline.images.decode import DecodeParams
from pipeline.parallel import map_in_order
from pipeline.shards.archives import SUFFIX
from pipeline.shards.plan import plan_steps
from pipeline.storage import sha256_of
from stages.crop import Earlier, Job, crop_image, open_writers, write_crops
from tools.benchmark_decode import FOLDERS
from tools.benchmark_part import goal, in_fresh_process

NOTHING = Earlier({}, {}, {})  # no earlier run to take crops from
ROUNDS = 3
WARM_IMAGES = 100  # until all workers have started and called what initialises itself once
TIMED_IMAGES = 600
MEMORY_IMAGES = 100
MORE = 4  # times as many images
COUNTED = 20_000_000
SCALING_GOAL = 1.9
MEMORY_GOAL = 1.1  # a flat line, with room for what an allocator leaves


def measure(data: Path) -> dict[str, Any]:
    """Measure rates and memory on the originals below a folder."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    ceilings = []
    for _ in tqdm(range(ROUNDS), desc="scaling", unit="round"):
        for workers in rates:
            rates[workers].append(
                in_fresh_process(1, measure_rate, data, WARM_IMAGES, TIMED_IMAGES, workers)
            )
        ceilings.append(measure_ceiling())
    peaks = {
        images: in_fresh_process(1, measure_memory, data, images, 2)
        for images in tqdm((MEMORY_IMAGES, MORE * MEMORY_IMAGES), desc="memory", unit="run")
    }
    one, two = (statistics.median(rates[workers]) for workers in (1, 2))
    rows = [
        {"what": "1 worker, images/s", "value": one},
        {"what": "2 workers, images/s", "value": two},
        {"what": "2 processes that only count, times 1", "value": statistics.median(ceilings)},
        *(
            {"what": f"{images} images, peak MiB of the {role}", "value": peak}
            for images, both in peaks.items()
            for role, peak in both.items()
        ),
    ]
    few, many = (max(both.values()) for both in peaks.values())
    goals = [
        goal("2 workers, times 1", two / one, at_least=SCALING_GOAL),
        goal(f"peak memory, {MORE} times the images", many / few, at_most=MEMORY_GOAL),
    ]
    bars = {"2 workers": two, "1 worker": one}
    charts = [{"title": "Stage crop's function", "unit": "images/s", "bars": bars}]
    return {"rows": rows, "goals": goals, "charts": charts}


def measure_rate(data: Path, warm: int, images: int, workers: int) -> float:
    """Return images a second, by the clock, after so many that are not timed."""
    results = map_in_order(crop_image, make_jobs(data, warm + images), workers)
    for _ in range(warm):
        next(results)
    start = time.perf_counter()
    count = sum(1 for _ in results)
    return count / (time.perf_counter() - start)


def measure_ceiling() -> float:
    """Return how many times as much two processes count as one, on this machine as it is."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        list(pool.map(count_up, [1000, 1000]))  # both have started
        start = time.perf_counter()
        pool.submit(count_up, COUNTED).result()
        alone = time.perf_counter() - start
        start = time.perf_counter()
        list(pool.map(count_up, [COUNTED, COUNTED]))
        together = time.perf_counter() - start
    return 2 * alone / together


def count_up(limit: int) -> int:
    """Keep one core busy without touching memory."""
    return sum(range(limit))


def measure_memory(data: Path, images: int, workers: int) -> dict[str, float]:
    """Return the peak resident MiB of the process that writes and of the largest worker."""
    with tempfile.TemporaryDirectory(prefix="benchmark-data-") as folder:
        jobs, settings = list(make_jobs(data, images)), params.load("crop", CropParams)
        named = [(job.image_id, job.sha256) for job in jobs]
        steps = plan_steps(named, settings.shard_images, [], SUFFIX)
        results = map_in_order(crop_image, jobs, workers)
        with open_writers(Path(folder), settings) as writers:
            write_crops(writers, named, steps, results, NOTHING)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return {
        "writer": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit,
        "largest worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit,
    }


def make_jobs(data: Path, images: int) -> Iterator[Job]:
    """Repeat the originals until there are so many jobs, each with a name of its own."""
    paths = [path for name in FOLDERS for path in sorted((data / name / "images").glob("*.jpg"))]
    if not paths:
        raise ValueError(f"{data} must hold {' and '.join(FOLDERS)}. Got: no image.")
    sums = {path: sha256_of(path) for path in paths}
    settings = params.load("ingest", DecodeParams), params.load("crop", CropParams)
    # Both folders begin with small images; strides spread the sizes over the run.
    mixed = [path for start in range(7) for path in paths[start::7]]
    for number, path in enumerate(islice(cycle(mixed), images)):
        yield Job(f"{number:06d}-{os.path.basename(path)}", path, sums[path], *settings)
