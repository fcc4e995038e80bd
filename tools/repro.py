"""Run the pipeline: apply a recipe, train the members side by side, print what came out.

Usage: python -m tools.repro [--recipe NAME] [--data FOLDER ...] [--force] [--gpus 0,2]
(`make repro`)

`dvc repro` alone does the same, one stage after another; see `tools.train_parallel` for the rest.
"""

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

from pipeline import params
from pipeline.command import run_stage
from tools.dvc import ReproError, run_or_raise
from tools.recipe import apply_recipe
from tools.side_by_side import say
from tools.summary import summarise
from tools.train_parallel import add_gpus, has_many_places, longest_first, train_stale


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    start = time.monotonic()
    if args.recipe:
        apply_recipe(Path(), args.recipe, args.data, force=args.force)
    elif args.data:
        raise ReproError("DATA must come with a recipe that takes it, such as RECIPE=real.")
    run_pipeline(Path(), args.gpus)
    print(summarise(Path()))
    say(f"done in {time.monotonic() - start:.0f} s")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.repro", description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", help="stem of a file in recipes/; else params.yaml as it is")
    parser.add_argument(
        "--data", nargs="+", default=[], help="folders with images, for recipe real"
    )
    parser.add_argument("--force", action="store_true", help="overwrite edits of params.yaml")
    add_gpus(parser)
    return parser.parse_args(argv)


def run_pipeline(root: Path, gpus: str | None) -> None:
    """Run every stage whose code, values or inputs changed.

    Args:
        root: The project's root.
        gpus: Those to train on, joined by commas; `None` takes all.

    Raises:
        ReproError: A stage failed.
    """
    values = params.read_all(root / params.PARAMS_FILE)
    for folder in remove_leftovers(root, values):
        say(f"removed {folder}, which params.yaml no longer names (kept in DVC's cache)")
    if has_many_places(root, gpus):
        train_stale(root, gpus)
    run_or_raise(root, "repro")


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
