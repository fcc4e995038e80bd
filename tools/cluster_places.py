"""Places on a Ray cluster for `tools.side_by_side`: DVC stays here, its stages run there.

A place leads DVC to a shell of ours, which hands the command of a stage to the cluster and waits
(docs/decisions/0014-dvc-stays-on-one-machine.md).
"""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pipeline.cluster import PROJECT, joined
from pipeline.cluster_command import Need
from pipeline.processes import ParallelError
from tools.side_by_side import Place

SHELL = Path(__file__).with_name("cluster_shell.sh")
ORDER = "DERMENSEMBLE_CLUSTER"  # what the shell reads: where the cluster is, what a stage takes


@contextlib.contextmanager
def cluster_places(address: str, workers: int, need: Need) -> Iterator[list[Place]]:
    """Join a cluster and list the places that it has now.

    Args:
        address: `host:6379` or `auto`; empty starts a cluster on this machine.
        workers: Cores of a cluster that is started; 0 for all.
        need: What one run takes; its cores count only where the cluster has no GPU.

    Raises:
        ParallelError: The cluster cannot be reached, or no machine of it has so much.
    """
    with joined(address, workers) as ray:
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        need = fitting(machines, need)
        place = place_on(address or ray.get_runtime_context().gcs_address, need)
        yield [place] * count_places(machines, need)


def fitting(machines: Sequence[dict[str, float]], need: Need) -> Need:
    """Ask for no GPU where there is none.

    Raises:
        ParallelError: No machine alone has what is asked for.
    """
    if not any(machine.get("GPU", 0) for machine in machines):
        need = replace(need, gpus=0)
    if not count_places(machines, need):
        what, kind = ("gpus", "GPU") if need.gpus else ("cpus", "CPU")
        most = max((int(machine.get(kind, 0)) for machine in machines), default=0)
        raise ParallelError(
            f"cluster_{what}_per_member must be at most what one machine of the cluster has, "
            f"{most}. Got: {getattr(need, what)}."
        )
    return need


def count_places(machines: Sequence[dict[str, float]], need: Need) -> int:
    """Count how many runs fit on the machines at once."""
    kind, each = ("GPU", need.gpus) if need.gpus else ("CPU", need.cpus)
    return sum(int(machine.get(kind, 0) // each) for machine in machines)


def place_on(address: str, need: Need) -> Place:
    """Make the place that leads to a cluster."""
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    order = json.dumps({"address": address, "need": asdict(need)})
    return Place("the cluster", {"SHELL": str(SHELL), "PYTHONPATH": path, ORDER: order})
