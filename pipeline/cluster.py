"""Apply a function to many items on a Ray cluster, results in the order of the items.

Every machine of the cluster must see this project, its environment and the images at the same
paths, as on a shared file system: workers read the images there, and only results travel.
Work on a machine or process that dies is done again elsewhere, and said so in the log.
"""

import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pipeline.processes import ParallelError

CHUNK = 8  # items per task: a task costs a millisecond, an image from five
AHEAD = 2  # tasks that may wait per core, so that a slow reader does not fill the memory
RERUNS = 3  # of one task
CONNECT_SECONDS = 10
PROJECT = Path(__file__).resolve().parents[1]

logger = logging.getLogger(__name__)


def map_in_order(
    function: Callable[[Any], Any], items: Iterable[Any], workers: int, address: str
) -> Iterator[Any]:
    """Yield `function(item)` for each item.

    Args:
        function: At the top of a module.
        items: Taken only so far ahead as results are.
        workers: Cores used at once; 0 for all that the cluster has when this starts.
        address: `host:6379` or `auto`; empty starts a cluster on this machine, for this call.

    Raises:
        ParallelError: A task was lost too often, or the cluster cannot be reached.
    """
    items = iter(items)
    first = list(islice(items, 1))
    if not first:  # nothing to do is no reason to start a cluster
        return
    with joined(address, workers) as ray:
        yield from _Runs(ray, function, workers).results(chain(first, items))


@contextlib.contextmanager
def joined(address: str, workers: int) -> Iterator[Any]:
    """Join a cluster, or start one, unless this process has; give the module `ray`.

    Args:
        address: `host:6379` or `auto`; empty starts a cluster on this machine.
        workers: Cores of a cluster that is started; 0 for all.

    Raises:
        ParallelError: The cluster cannot be reached.
    """
    ray = _import_ray()
    started = not ray.is_initialized()
    if started:
        _join(ray, address, workers)
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()


def losses(ray: Any) -> tuple[type[Exception], ...]:
    """Give the errors of a task that was lost with its process or machine."""
    errors = ray.exceptions
    return (
        *(errors.WorkerCrashedError, errors.OutOfMemoryError),
        *(errors.NodeDiedError, errors.ObjectLostError),
    )


def _import_ray() -> Any:
    # Both are read when Ray is imported. Nothing about a run on patients' images leaves the house.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    return ray


def _join(ray: Any, address: str, workers: int) -> None:
    """Join a cluster, or start one."""
    _check_address(address)
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    options = {"include_dashboard": False, "num_cpus": workers or None} if not address else {}
    try:
        ray.init(
            address=address or "local",
            runtime_env={"env_vars": {"PYTHONPATH": path}},
            logging_level=logging.WARNING,
            **options,
        )
    except (ConnectionError, ValueError) as error:
        raise ParallelError(f"ray_address must be that of a cluster. Got: {error}.") from error


def _check_address(address: str) -> None:
    """Try the port first: Ray tries for minutes, then ends the process."""
    host, _, port = address.rpartition(":")
    if not host:  # "auto", or none
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ParallelError(
            f"ray_address must be that of a cluster. Got: {address}, {error}."
        ) from error


class _Runs:
    """The tasks under way, each with the items that it was given."""

    def __init__(self, ray: Any, function: Callable[[Any], Any], workers: int) -> None:
        self._ray = ray
        # Ray itself would run a lost task again too, but does not tell whoever waits for it.
        self._task = ray.remote(num_cpus=1, max_retries=0)(_apply)
        self._function = ray.put(function)
        self._limit = AHEAD * (workers or max(1, int(ray.cluster_resources().get("CPU", 1))))

    def results(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the results one by one."""
        items, waiting = iter(items), deque()
        try:
            while chunk := list(islice(items, CHUNK)):
                waiting.append((chunk, self._start(chunk)))
                if len(waiting) >= self._limit:
                    yield from self._wait_for(*waiting.popleft())
            while waiting:
                yield from self._wait_for(*waiting.popleft())
        finally:
            for _, run in waiting:
                self._ray.cancel(run, force=False)

    def _start(self, chunk: list[Any]) -> Any:
        return self._task.remote(str(Path.cwd()), self._function, chunk)

    def _wait_for(self, chunk: list[Any], run: Any) -> list[Any]:
        """Return the results of a task, run again while its process or machine is lost."""
        lost = losses(self._ray)
        for rerun in range(1, RERUNS + 1):
            try:
                return self._get(run)
            except lost as error:
                logger.warning(
                    "ray: a task of %d items was lost (%s), run again, %d of at most %d",
                    *(len(chunk), type(error).__name__, rerun, RERUNS),
                )
                run = self._start(chunk)
        try:
            return self._get(run)
        except lost as error:
            raise ParallelError(
                f"a task must end. Got: lost {RERUNS + 1} times, lastly by {type(error).__name__}."
            ) from error

    def _get(self, run: Any) -> list[Any]:
        try:
            return self._ray.get(run)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None  # what the function itself raised


def _apply(folder: str, function: Callable[[Any], Any], items: list[Any]) -> list[Any]:
    """Do one task, in the folder where the stage was started, as paths may be relative."""
    os.chdir(folder)
    return [function(item) for item in items]
