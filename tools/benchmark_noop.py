"""Part `noop` of `make benchmark-data`: what `dvc repro` with nothing to do costs.

Usage: python -m tools.benchmark_noop [--images 33126] [--rounds 5]

Scratch repositories are timed in turns, each with what the one before lacks:

    start_up   one stage without dependencies: DVC's own start-up
    raw        one stage that depends on a raw folder of so many images
    outputs    the same stage with all outputs of this project, as many files as a run writes
    wiring     this project's own dvc.yaml, every stage, at few images
    project    this project's own dvc.yaml at so many images

Files hold a few bytes: with nothing to do, DVC looks at the names, sizes and times of files that it
has hashed before, never at their bytes.
"""

import argparse
import importlib.util
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from ruamel.yaml import YAML
from tqdm import tqdm

from pipeline import params
from pipeline.command import run_stage
from pipeline.shards.plan import plan_shards
from tools.benchmark_part import goal, goals_table, rows_table
from tools.dvc import dvc
from tools.recipe import apply_recipe, read_recipe, round_trip
from tools.scratch import copy_sources

SOURCE = "isic_2020"
RAW = Path("data/raw/isic-2020")
# Other stages write a handful of files each, whatever the number of images.
OTHER_FILES = 12
IMAGES = 33_126  # of ISIC 2020
FEW_IMAGES = 100
ROUNDS = 5
TIMES_GOAL = 3.0
OUTPUTS_GOAL = 0.2
REPOSITORIES = ("start_up", "raw", "outputs", "wiring", "project")


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    figures = time_repositories(args.images, args.rounds)
    print(f"{rows_table(rows_of(figures))}\n\n{goals_table(goals_of(figures))}")
    print(
        f"benchmark_noop: {figures['images']} images, {figures['output_files']} files of outputs, "
        f"medians of {figures['rounds']} rounds, YAML parsed in "
        f"{'C' if figures['yaml_in_c'] else 'Python'}"
    )


def measure(_data: Path) -> dict[str, Any]:
    """Time the repositories at as many images as ISIC 2020 has; no original is needed."""
    figures = time_repositories(IMAGES, ROUNDS)
    seconds = figures["seconds"]
    return {
        "rows": rows_of(figures),
        "goals": goals_of(figures),
        "charts": [
            {
                "title": f"dvc repro with nothing to do, {IMAGES:,} images",
                "unit": "s",
                "bars": {name: seconds[name] for name in (*REPOSITORIES[:0:-1], "start_up")},
            }
        ],
        "figures": figures,
    }


def rows_of(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """List the repositories."""
    return [
        {"repository": name, "s": seconds, "times start-up": figures["times_start_up"][name]}
        for name, seconds in figures["seconds"].items()
    ]


def goals_of(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """List the goals: with one stage between raw folder and outputs, and with all of them."""
    times = figures["times_start_up"]
    return [
        goal("dvc repro, nothing to do, times start-up", times["outputs"], at_most=TIMES_GOAL),
        goal("of which outputs add", figures["outputs_add"], at_most=OUTPUTS_GOAL),
        goal("the same with all stages of this project", times["project"], at_most=TIMES_GOAL),
    ]


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.benchmark_noop",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=int, default=IMAGES, help="files of the raw folder")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="timed runs of each repository")
    return parser.parse_args(argv)


def time_repositories(images: int, rounds: int) -> dict[str, Any]:
    """Time `dvc repro` with nothing to do in each repository, in turns.

    Args:
        images: Files of the raw folder.
        rounds: Timed runs of each repository.

    Returns:
        By repository, `seconds` (median over the rounds) and `times_start_up`, the same as
        multiples of the first; `outputs_add`, what outputs add to the raw folder, in the same unit;
        `output_files`; `images`; `rounds`; `yaml_in_c`, whether DVC has a parser in C.

    Raises:
        ValueError: A run was not one with nothing to do.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-noop-") as folder:
        roots = make_repositories(Path(folder), images)
        for root in roots.values():
            repro(root, check=False)
        seconds: dict[str, list[float]] = {name: [] for name in roots}
        for _ in tqdm(range(rounds), desc="dvc repro", unit="round"):
            for name, root in roots.items():
                seconds[name].append(repro(root))
        files = [path for out in outputs_of(roots["project"]) for path in out.rglob("*")]
        return summarise(seconds) | {
            "output_files": sum(path.is_file() for path in files),
            "images": images,
            "rounds": rounds,
            "yaml_in_c": importlib.util.find_spec("_ruamel_yaml") is not None,
        }


def summarise(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Turn the seconds of each repository into medians and multiples of the first."""
    median = {name: statistics.median(times) for name, times in seconds.items()}
    times = {name: round(value / median["start_up"], 3) for name, value in median.items()}
    return {
        "seconds": {name: round(value, 3) for name, value in median.items()},
        "times_start_up": times,
        "outputs_add": round((median["outputs"] - median["raw"]) / median["start_up"], 3),
    }


def make_repositories(folder: Path, images: int) -> dict[str, Path]:
    """Make all repositories, with the outputs of the project's stages in place."""
    roots = {name: folder / name for name in REPOSITORIES}
    make_project(roots["project"], images)
    make_project(roots["wiring"], FEW_IMAGES)
    outputs = [str(out.relative_to(roots["project"])) for out in outputs_of(roots["project"])]
    make_repository(roots["start_up"], outs=["done"])
    make_repository(roots["raw"], deps=[str(RAW)], outs=["done"])
    make_repository(roots["outputs"], deps=[str(RAW)], outs=["done", *outputs])
    for name in ("raw", "outputs"):
        shutil.copytree(roots["project"] / RAW, roots[name] / RAW)
    for output in outputs:
        shutil.copytree(roots["project"] / output, roots["outputs"] / output)
    commit(roots["outputs"])
    return roots


def make_repository(root: Path, **stage: list[str]) -> None:
    """Make a git and DVC repository of one stage, with this project's DVC settings."""
    root.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    shutil.copytree(".dvc", root / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache"))
    shutil.copy(".dvcignore", root)
    (root / "done").write_text("done")
    YAML().dump({"stages": {"stage": {"cmd": "echo done > done", **stage}}}, root / "dvc.yaml")


def make_project(root: Path, images: int) -> None:
    """Make a copy of this project, at the paper's sizes, in which every stage seems to have run."""
    copy_sources(Path(), root)
    recipe = read_recipe(root, "isic")
    recipe["sources"] = {"isic_2019": None, SOURCE: {"form": SOURCE, "path": str(RAW)}}
    recipe["sources"]["isic_cli"] = None
    round_trip().dump(recipe, root / "recipes" / "benchmark-noop.yaml")
    apply_recipe(root, "benchmark-noop", [], force=False)
    image_ids = [f"ISIC_{number:07d}" for number in range(images)]
    (root / RAW).mkdir(parents=True)
    for image_id in image_ids:
        (root / RAW / f"{image_id}.jpg").write_text(image_id)
    for output in outputs_of(root):
        write_output(output, output.relative_to(root).parts[1], image_ids, root)
    commit(root)


def commit(root: Path) -> None:
    """Let DVC take what is there for what the stages wrote."""
    done = dvc(root, "commit", "--force", "--quiet", capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"dvc commit must work. Got: {done.stderr.strip()}")


def outputs_of(root: Path) -> list[Path]:
    """List the outputs of all stages, as DVC reads dvc.yaml."""
    return [Path(out.fs_path) for out in Repo(str(root)).index.outs]


def write_output(folder: Path, stage: str, image_ids: list[str], root: Path) -> None:
    """Write as many small files as a stage would, under the names that it would give them."""
    for name in names_of(stage, image_ids, root / params.PARAMS_FILE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{folder.name}/{name}")


def names_of(stage: str, image_ids: list[str], values: Path) -> list[str]:
    """List the files of one output."""
    if stage == "split":
        return ["manifest.csv", "proof.json"]
    if stage not in ("crop", "resize"):
        return [f"{number}.json" for number in range(OTHER_FILES)]
    shard_images = params.read_section(f"{stage}.shard_images", values)
    stems = [shard.stem for shard in plan_shards(image_ids, shard_images)]
    names = [*(f"{stem}.shard" for stem in stems), "index.csv", "shards.csv"]
    if stage == "resize":
        return names
    sizes = params.read_section("crop.sizes_px", values)
    return ["boxes.csv", *(f"{size_px}/{name}" for size_px in sizes for name in names)]


def repro(root: Path, *, check: bool = True) -> float:
    """Run `dvc repro`; return its seconds.

    Raises:
        ValueError: It failed, or it had something to do.
    """
    start = time.perf_counter()
    done = dvc(root, "repro", capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode or (check and "up to date" not in done.stdout):
        raise ValueError(
            f"dvc repro in {root.name} must have nothing to do. "
            f"Got: {(done.stdout + done.stderr)[-500:].strip()}"
        )
    return seconds


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
