"""Apply a function to many items in several processes, results in the order of the items.

The processes are this machine's, or those of a Ray cluster; what comes out is the same, for the
same function is applied to the same items. See `pipeline.cluster` for what a cluster must have.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from pipeline.processes import Item, Result, map_in_processes

LOCAL = "local"
RAY = "ray"


@dataclass(frozen=True)
class ParallelParams:
    """Section `parallel` of `params.yaml`: where work is done; no byte of a result depends on it.

    Attributes:
        engine: `local` or `ray`.
        workers: Processes at once; 0 for one per core (of the cluster, with `ray`).
        ray_address: Of a running cluster, `host:6379` or `auto`; empty starts one on this machine.
    """

    engine: str
    workers: int
    ray_address: str

    def __post_init__(self) -> None:
        if self.engine not in (LOCAL, RAY):
            raise ValueError(f"engine must be {LOCAL} or {RAY}. Got: {self.engine!r}.")
        if self.workers < 0:
            raise ValueError(f"workers must be at least 0. Got: {self.workers}.")

    def with_workers(self, workers: int | None) -> "ParallelParams":
        """Take another number of workers, where one is given."""
        return self if workers is None else replace(self, workers=workers)

    @property
    def processes(self) -> int:
        """Processes to start here; with `ray`, 0 leaves it to the cluster."""
        return self.workers or (0 if self.engine == RAY else os.cpu_count() or 1)

    @property
    def cluster(self) -> str | None:
        """Address of the cluster; `None` with `local`."""
        return self.ray_address if self.engine == RAY else None


def add_workers_option(parser: argparse.ArgumentParser) -> None:
    """Add `--workers`, for `with_workers`."""
    parser.add_argument(
        "--workers",
        type=int,
        help="processes, instead of params.yaml's parallel.workers; no byte depends on it",
    )


def map_in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    cluster: str | None = None,
) -> Iterator[Result]:
    """Yield `function(item)` for each item; what comes out does not depend on the rest.

    Args:
        function: At the top of a module, as it is sent to other processes by name.
        items: Each is sent to a process; taken only so far ahead as results are.
        workers: Processes; 1 runs in this one. With a cluster, 0 takes all its cores.
        cluster: Address of a Ray cluster, empty to start one here; `None` uses this machine alone.

    Raises:
        ParallelError: A process died, several times over on a cluster.
    """
    if cluster is not None:
        from pipeline import cluster as ray_engine  # Ray takes a second to import

        return ray_engine.map_in_order(function, items, workers, cluster)
    if workers == 1:
        return map(function, items)
    return map_in_processes(function, items, workers)
