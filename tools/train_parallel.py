"""Train and predict every stale member and fold, side by side over GPUs or a cluster.

Usage: python -m tools.train_parallel [--gpus 0,2]   (`make train-parallel`)

What the members read is brought up to date first. On this machine each run has a GPU of its own, or
shares the cores with the others where there is no GPU; `repro.jobs` limits how many run at once.
With `parallel.engine: ray` they run on a cluster, see `tools.cluster_places`.
"""

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import params
from pipeline.cluster_command import Need
from pipeline.command import run_stage
from pipeline.parallel import ParallelParams
from tools.cluster_places import cluster_places
from tools.dvc import run_or_raise, stale_stages
from tools.gpus import find_gpus
from tools.side_by_side import Place, places_here, say, stages_of, train_side_by_side

# Multiply-adds for one pixel of the input, relative: what decides which member starts first.
RELATIVE_COST = {"b4": 1.0, "b5": 1.7, "b7": 3.6}
# Stages that read what members read, and no member.
BESIDE = ("data_report", "gate", "skin_tone")


@dataclass(frozen=True)
class ReproParams:
    """Section `repro` of `params.yaml`.

    Attributes:
        jobs: Members trained at once on this machine, at most one per GPU; 0 for one per GPU.
        cluster_gpus_per_member: What each takes of a cluster with GPUs.
        cluster_cpus_per_member: What each takes of a cluster without.
    """

    jobs: int
    cluster_gpus_per_member: int
    cluster_cpus_per_member: int

    def __post_init__(self) -> None:
        least = {"jobs": 0, "cluster_gpus_per_member": 0, "cluster_cpus_per_member": 1}
        for name, number in least.items():
            if (value := getattr(self, name)) < number:
                raise ValueError(f"{name} must be at least {number}. Got: {value}.")


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if not train_stale(Path(), args.gpus):
        say("every member and fold is up to date")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.train_parallel", description=__doc__.split("\n")[0]
    )
    add_gpus(parser)
    return parser.parse_args(argv)


def add_gpus(parser: argparse.ArgumentParser) -> None:
    """Let the user choose among GPUs."""
    parser.add_argument("--gpus", help="of this machine, such as 0,2; else all that are visible")


def train_stale(root: Path, gpus: str | None) -> list[str]:
    """Bring every member and fold up to date, and what they read; return those that were stale.

    Args:
        root: The project's root.
        gpus: Names of GPUs, joined by commas; `None` takes all.

    Raises:
        ReproError: A stage failed.
    """
    values = params.read_all(root / params.PARAMS_FILE)
    run_or_raise(root, "repro", "resize")
    known = params.read_all(root / "dvc.yaml")["stages"]
    stale = stale_stages(root, "train", "predict", *(stage for stage in BESIDE if stage in known))
    names = [name for name in longest_first(values) if stale & set(stages_of(name))]
    if names:
        with find_places(root, gpus) as places:
            beside = [stage for stage in BESIDE if stage in stale]
            train_side_by_side(root, names, places, beside=beside)
    return names


def has_many_places(root: Path, gpus: str | None) -> bool:
    """Tell whether members may train elsewhere than one after another where `dvc repro` runs."""
    settings, parallel = read_settings(root)
    if gpus is not None or parallel.cluster is not None:
        return True
    return len(places_here(settings.jobs, find_gpus(None))) > 1


@contextlib.contextmanager
def find_places(root: Path, gpus: str | None) -> Iterator[Sequence[Place]]:
    """Find where members may train, as sections `repro` and `parallel` say."""
    settings, parallel = read_settings(root)
    if parallel.cluster is None:
        yield places_here(settings.jobs, find_gpus(gpus))
        return
    need = Need(settings.cluster_gpus_per_member, settings.cluster_cpus_per_member)
    with cluster_places(parallel.cluster, parallel.workers, need) as places:
        yield places


def read_settings(root: Path) -> tuple[ReproParams, ParallelParams]:
    """Read sections `repro` and `parallel`."""
    path = root / params.PARAMS_FILE
    return params.load("repro", ReproParams, path), params.load("parallel", ParallelParams, path)


def longest_first(values: dict[str, Any]) -> list[str]:
    """Name every member and fold (`b7-0`), those that train longest first."""

    def cost(member: str) -> float:
        own = values["member"][member]
        return RELATIVE_COST.get(own["backbone"], 1.0) * own["input_px"] ** 2 * own["epochs"]

    members = sorted(values["ensemble"]["members"], key=cost, reverse=True)
    return [f"{member}-{fold}" for member in members for fold in values["split"]["train_folds"]]


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
