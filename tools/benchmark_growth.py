"""What adding 100 images to 10,000 costs, against making all of them.

Usage: python -m tools.benchmark_growth [--images 10000] [--added 100]

Writes small JPEG files and a table in today's isic-cli form to a scratch folder, and runs stages
`ingest`, `crop` and `resize` over them: once from nothing, once with nothing changed, once with
images added to the same folder under names anywhere among the others, and once with as many in a
folder of their own. At the end all is made from nothing again, and every byte must be the same.
Prints, for each run and stage, the images that it worked on, the files of shards that differ from
those before, seconds, and the largest process in MiB.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from ruamel.yaml import YAML
from tqdm import tqdm

from pipeline import manifest, params
from pipeline.command import run_stage
from pipeline.storage import sha256_of

PROJECT = Path(__file__).resolve().parents[1]
# Small, so that time goes to what depends on the number of images; all else is as in params.yaml.
SMALL = {"sizes_px": [64, 96]}
MEMBER = {"b4": {"crop_px": 96, "input_px": 64}}
SIZE_PX = (160, 120)
NEVUS = {
    "diagnosis_1": "Benign",
    "diagnosis_2": "Benign melanocytic proliferations",
    "diagnosis_3": "Nevus",
    "sex": "male",
    "age_approx": 45,
    "anatom_site_1": "Trunk",
    "image_type": "dermoscopic",
}
# What each stage says of the images that it did not know.
WORKED_ON = {
    "ingest": r"(\d+) images decoded",
    "crop": r"(\d+) cut now",
    "resize": r"(\d+) of them new",
}


@dataclass(frozen=True)
class Cost:
    """What one stage of one run did and cost."""

    run: str
    stage: str
    images: int
    worked_on: int
    shards: int
    changed_shards: int
    seconds: float
    peak_mib: float


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    costs = measure(args.images, args.added)
    print(pd.DataFrame(costs).to_string(index=False))
    runs = dict.fromkeys(cost.run for cost in costs)
    totals = {run: round(sum(cost.seconds for cost in costs if cost.run == run), 1) for run in runs}
    print(f"benchmark_growth: bytes as made from nothing; seconds of all stages {totals}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.benchmark_growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=int, default=10_000, help="images of the first run")
    parser.add_argument("--added", type=int, default=100, help="images that each addition brings")
    return parser.parse_args(argv)


def measure(images: int, added: int) -> list[Cost]:
    """Run the stages over a folder that grows.

    Args:
        images: Of the first run.
        added: By each of two additions.

    Returns:
        A row for each run and stage.

    Raises:
        RuntimeError: The folders that grew are not, byte for byte, those made from nothing.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-growth-") as folder:
        root = Path(folder)
        values = params.read_all(PROJECT / params.PARAMS_FILE)
        values |= {"crop": values["crop"] | SMALL, "member": MEMBER}
        YAML(typ="safe").dump(values, root / params.PARAMS_FILE)
        rng = np.random.default_rng(0)
        names = [f"ISIC_{number:07d}" for number in rng.choice(10**7, images + 2 * added, False)]
        write_images(root / "raw/first", names[:images])
        costs = run_all(root, "from nothing", ["first"])
        costs += run_all(root, "nothing changed", ["first"])
        write_images(root / "raw/first", names[: images + added])
        costs += run_all(root, f"{added} added", ["first"])
        write_images(root / "raw/second", names[images + added :])
        costs += run_all(root, f"{added} added in a folder of their own", ["first", "second"])
        grown = digests(root / "data")
        shutil.rmtree(root / "data")
        shutil.rmtree(root / ".resume")
        costs += run_all(root, "all from nothing", ["first", "second"])
        if digests(root / "data") != grown:
            raise RuntimeError("folders that grew must be those made from nothing. Got: others.")
        return costs


def write_images(folder: Path, names: list[str]) -> None:
    """Write the images that are not there yet, and the table of all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in tqdm(names, desc="images", unit="image"):
        path = folder / f"{name}.jpg"
        if not path.exists():
            rng = np.random.default_rng(int(name.removeprefix("ISIC_")))
            coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
            coarse.resize(SIZE_PX, Image.Resampling.BICUBIC).save(path, quality=90)
    table = pd.DataFrame({"isic_id": names, **NEVUS})
    table.to_csv(folder / "metadata.csv", index=False)


def run_all(root: Path, run: str, sources: list[str]) -> list[Cost]:
    """Run the three stages; sources are ingested one by one, and joined without split."""
    before = shard_digests(root)
    tables = [f"data/ingest/{name}/manifest.csv" for name in sources]
    ingests = [
        run_one(root, "ingest", "--source", name, "--form", "isic_cli", f"raw/{name}", table[:-13])
        for name, table in zip(sources, tables, strict=True)
    ]
    cases = pd.concat([manifest.read(root / table) for table in tables])
    manifest.write(cases, root / "data/manifest.csv")
    crop = run_one(root, "crop", "data/manifest.csv", "data/crop")
    resize = run_one(root, "resize", "--member", "b4", "data/crop", "data/resize/b4")
    after = shard_digests(root)
    return [
        Cost(
            run=run,
            stage=stage,
            images=len(cases),
            worked_on=sum(worked_on for worked_on, _, _ in processes),
            shards=len(after[stage]),
            changed_shards=len(after[stage].items() - before[stage].items()),
            seconds=round(sum(seconds for _, seconds, _ in processes), 2),
            peak_mib=round(max(peak_mib for _, _, peak_mib in processes)),
        )
        for stage, processes in zip(WORKED_ON, (ingests, [crop], [resize]), strict=True)
    ]


def run_one(root: Path, stage: str, *arguments: str) -> tuple[int, float, float]:
    """Run one stage; return images worked on, seconds, and the largest process in MiB."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", f"stages.{stage}", *arguments],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"stage {stage} must end well. Got: status {process.returncode}.")
    worked_on = int(re.search(WORKED_ON[stage], said).group(1))
    return worked_on, time.perf_counter() - start, usage.ru_maxrss / 1024


def digests(folder: Path) -> dict[str, str]:
    """Hash every file of a folder, by its path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256_of(path) for path in files}


def shard_digests(root: Path) -> dict[str, dict[str, str]]:
    """Hash the shards that each stage wrote, by path."""
    files = {stage: digests(root / "data" / stage) for stage in WORKED_ON}
    return {
        stage: {path: digest for path, digest in own.items() if path.endswith((".tar", ".npy"))}
        for stage, own in files.items()
    }


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
