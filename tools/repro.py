"""Run the pipeline: apply a recipe, train the members side by side, print what came out.

Usage: python -m tools.repro [--recipe NAME] [--data FOLDER ...] [--force]   (`make repro`)

`dvc repro` alone does the same, one stage after another. DVC has no option for parallel stages, but
several `dvc --wait-for-lock repro --single-item` may run at once: `repro.jobs` of them.
"""

import argparse
import shutil
import subprocess
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import params
from pipeline.command import run_stage
from tools.dvc import dvc, stale_stages
from tools.recipe import apply_recipe
from tools.summary import summarise

LOGS = Path(".resume/logs")
LINES_ON_FAILURE = 30

# Multiply-adds for one pixel of the input, relative: what decides which member starts first.
RELATIVE_COST = {"b4": 1.0, "b5": 1.7, "b7": 3.6}


@dataclass(frozen=True)
class ReproParams:
    """Section `repro` of `params.yaml`."""

    jobs: int

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ValueError(f"jobs must be at least 1. Got: {self.jobs}.")


class ReproError(ValueError):
    """A stage failed; its own message has been printed."""


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    start = time.monotonic()
    if args.recipe:
        apply_recipe(Path(), args.recipe, args.data, force=args.force)
    elif args.data:
        raise ReproError("DATA must come with a recipe that takes it, such as RECIPE=real.")
    run_pipeline(Path())
    print(summarise(Path()))
    say(f"done in {time.monotonic() - start:.0f} s")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.repro", description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", help="stem of a file in recipes/; else params.yaml as it is")
    parser.add_argument(
        "--data", nargs="+", default=[], help="folders with images, for recipe real"
    )
    parser.add_argument("--force", action="store_true", help="overwrite edits of params.yaml")
    return parser.parse_args(argv)


def run_pipeline(root: Path) -> None:
    """Run every stage whose code, values or inputs changed.

    Raises:
        ReproError: A stage failed.
    """
    jobs = params.load("repro", ReproParams, root / params.PARAMS_FILE).jobs
    values = params.read_all(root / params.PARAMS_FILE)
    for folder in remove_leftovers(root, values):
        say(f"removed {folder}, which params.yaml no longer names (kept in DVC's cache)")
    if jobs > 1:
        # Up to what the members read; from there on, what is stale can run side by side.
        run_or_raise(root, "repro", "resize")
        stale = stale_stages(root, "train", "predict")
        waiting = [name for name in longest_first(values) if stale & set(stages_of(name))]
        if len(waiting) > 1:
            train_side_by_side(root, waiting, jobs)
    run_or_raise(root, "repro")


def run_or_raise(root: Path, *command: str) -> None:
    """Run DVC in the foreground."""
    if dvc(root, *command).returncode:
        raise ReproError("a stage failed, see above; `make repro` goes on from there.")


def longest_first(values: dict[str, Any]) -> list[str]:
    """Name every member and fold (`b7-0`), those that train longest first."""

    def cost(member: str) -> float:
        own = values["member"][member]
        return RELATIVE_COST.get(own["backbone"], 1.0) * own["input_px"] ** 2 * own["epochs"]

    members = sorted(values["ensemble"]["members"], key=cost, reverse=True)
    return [f"{member}-{fold}" for member in members for fold in values["split"]["train_folds"]]


def stages_of(name: str) -> tuple[str, str]:
    """Name the stages that one member and fold needs, in their order."""
    return f"train@{name}", f"predict@{name}"


def train_side_by_side(root: Path, names: list[str], jobs: int) -> None:
    """Train and predict members, at most `jobs` at once, each with its log in `.resume/logs`.

    Raises:
        ReproError: A member failed. Members not yet begun stay so; those under way end first.
    """
    (root / LOGS).mkdir(parents=True, exist_ok=True)
    say(f"{len(names)} members to train, {min(jobs, len(names))} at once")
    stop = threading.Event()
    with ThreadPoolExecutor(jobs) as pool:
        runs = [pool.submit(train_member, root, name, stop) for name in names]
        try:
            failed = [name for run in as_completed(runs) if (name := run.result())]
        except KeyboardInterrupt:
            stop.set()
            raise
    if failed:
        raise ReproError(f"members must train. Got: failure of {sorted(failed)}, logs above.")


def train_member(root: Path, name: str, stop: threading.Event) -> str | None:
    """Train and predict one member; return its name if it failed."""
    if stop.is_set():
        return None
    log, start = root / LOGS / f"train@{name}.log", time.monotonic()
    say(f"train@{name} starts, log in {log}")
    with open(log, "wb") as file:
        command = ("--wait-for-lock", "repro", "--single-item", *stages_of(name))
        result = dvc(root, *command, stdout=file, stderr=subprocess.STDOUT)
    seconds = time.monotonic() - start
    if not result.returncode:
        say(f"train@{name} and predict@{name} done in {seconds:.0f} s")
        return None
    stop.set()
    say(f"{name} failed after {seconds:.0f} s; the end of {log}:")
    with open(log, encoding="utf-8", errors="replace") as file:
        print("".join(f"  {line}" for line in deque(file, LINES_ON_FAILURE)), flush=True)
    return name


def say(text: str) -> None:
    """Print a line at once, so that it stands before what DVC prints next."""
    print(f"repro: {text}", flush=True)


def remove_leftovers(root: Path, values: dict[str, Any]) -> list[Path]:
    """Remove what stages of another recipe wrote, which stages that read a whole folder would see.

    DVC leaves the outputs of a stage that is gone where they are; its cache has them still.
    """
    members = values["ensemble"]["members"]
    trained = longest_first(values)
    wanted = {
        "data/sample": values["sample"],
        "data/ingest": values["sources"],
        "data/resize": members,
        "data/predict": trained,
        "models/train": trained,
    }
    leftovers = [
        path
        for folder, names in wanted.items()
        for path in sorted((root / folder).glob("*"))
        if path.is_dir() and not path.is_symlink() and path.name not in names
    ]
    for path in leftovers:
        shutil.rmtree(path)
    return leftovers


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
