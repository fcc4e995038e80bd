"""Train and predict members and folds side by side, each in a place of its own.

A place is what one run has for itself: a GPU, a share of this machine, or of a cluster. It is taken
when a run starts and given back when it ends. DVC has no option for parallel stages, but several
`dvc --wait-for-lock repro --single-item` may run at once
(docs/decisions/0005-parallel-members-through-dvc.md).
"""

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tools.dvc import ReproError, dvc_command, dvc_environment

LOGS = Path(".resume/logs")
LINES_ON_FAILURE = 30
SECONDS_TO_END = 10  # for a run that is interrupted; killed after that, as it may be at any time


@dataclass(frozen=True)
class Place:
    """Where one run at a time may be.

    Attributes:
        label: Its name in a line of progress, such as `GPU 0`; empty for a share of this machine.
        environment: Variables that lead a run there.
    """

    label: str
    environment: Mapping[str, str]


def places_here(jobs: int, gpus: Sequence[str]) -> list[Place]:
    """List the places of this machine: one GPU each, or where there is none, all its cores.

    Cores are not dealt out, for that is no faster, and the bits of a result depend on their number.

    Args:
        jobs: Runs at once; 0 for one per GPU, or one where there is none. Never more than GPUs.
        gpus: Their names.
    """
    if not gpus:
        return [Place("", {})] * max(jobs, 1)
    # Numbers are those of nvidia-smi, unless the user goes by another order.
    order = os.environ.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    given = {} if "CUDA_VISIBLE_DEVICES" in os.environ else {"CUDA_DEVICE_ORDER": order}
    return [
        Place(f"GPU {gpu}", {"CUDA_VISIBLE_DEVICES": gpu, **given})
        for gpu in (gpus[:jobs] if jobs else gpus)
    ]


def stages_of(name: str) -> tuple[str, str]:
    """Name the stages that one member and fold needs, in their order."""
    return f"train@{name}", f"predict@{name}"


def train_side_by_side(
    root: Path, names: Sequence[str], places: Sequence[Place], *, beside: Sequence[str]
) -> None:
    """Train and predict members, one at a time in each place, logs in `.resume/logs`.

    Args:
        root: The project's root.
        names: Members and folds, such as `b7-0`, those that take longest first.
        places: At least one.
        beside: Other stages, that need no member: run where members leave a place free.

    Raises:
        ReproError: A member failed. Members not yet begun stay so; those under way end first.
        KeyboardInterrupt: Also at SIGTERM and SIGHUP, once every run has ended.
    """
    (root / LOGS).mkdir(parents=True, exist_ok=True)
    say(f"{len(names)} members to train, {min(len(places), len(names))} at once")
    runs = _Runs(root, places)
    jobs = [*((name, stages_of(name)) for name in names), *((stage, (stage,)) for stage in beside)]
    with any_signal_interrupts(), ThreadPoolExecutor(len(places)) as pool:
        futures = [pool.submit(runs.run, *job) for job in jobs]
        try:
            failed = [name for future in as_completed(futures) if (name := future.result())]
        except KeyboardInterrupt:
            say("interrupted, ending what runs; the same command goes on from there")
            runs.end()
            raise
    if failed:
        raise ReproError(f"stages must run. Got: failure of {sorted(failed)}, logs above.")


class _Runs:
    """The runs under way, and the places that are free."""

    def __init__(self, root: Path, places: Sequence[Place]) -> None:
        self._root = root
        self._free: queue.SimpleQueue[Place] = queue.SimpleQueue()
        for place in places:
            self._free.put(place)
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen] = set()
        self._stopped = False  # no run is to begin
        self._ended = False  # and those under way have been told to end

    def run(self, name: str, stages: Sequence[str]) -> str | None:
        """Run stages, one after the other; return the name if one failed."""
        place = self._free.get()
        try:
            return self._run_in(place, name, stages)
        finally:
            self._free.put(place)

    def _run_in(self, place: Place, name: str, stages: Sequence[str]) -> str | None:
        log, start = self._root / LOGS / f"{stages[0]}.log", time.monotonic()
        with self._lock:
            if self._stopped:
                return None
            process = self._start(place, stages, log)
        where = f" on {place.label}" if place.label else ""
        say(f"{stages[0]} starts{where}, log in {log}")
        code = process.wait()
        with self._lock:
            self._processes.remove(process)
            if code:
                self._stopped = True
        seconds = time.monotonic() - start
        if not code:
            say(f"{' and '.join(stages)} done in {seconds:.0f} s")
            return None
        if not self._ended:
            say(f"{name} failed after {seconds:.0f} s; the end of {log}:\n{end_of(log)}")
        return name

    def _start(self, place: Place, stages: Sequence[str], log: Path) -> subprocess.Popen:
        """Start DVC in a process group of its own, that can be ended whole."""
        with open(log, "wb") as file:
            process = subprocess.Popen(
                dvc_command("--wait-for-lock", "repro", "--single-item", *stages),
                cwd=self._root,
                env=dvc_environment(place.environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self._processes.add(process)
        return process

    def end(self) -> None:
        """Begin nothing more, and end what runs with all that it started."""
        with self._lock:
            self._stopped = self._ended = True
            groups = [process.pid for process in self._processes]
        signal_groups(groups, signal.SIGINT)
        end = time.monotonic() + SECONDS_TO_END
        while self._processes and time.monotonic() < end:
            time.sleep(0.1)
        # DVC itself may have ended before its stage.
        signal_groups(groups, signal.SIGKILL)


def signal_groups(groups: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to process groups, of which some may be gone."""
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the latter on macOS
            os.killpg(group, number)


@contextlib.contextmanager
def any_signal_interrupts() -> Iterator[None]:
    """Take SIGTERM and SIGHUP as Ctrl-C, unless they are ignored, as below `nohup`."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    taken = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def end_of(log: Path) -> str:
    """Read the last lines of a log, indented."""
    with open(log, encoding="utf-8", errors="replace") as file:
        return "".join(f"  {line}" for line in deque(file, LINES_ON_FAILURE)).rstrip("\n")


def say(text: str) -> None:
    """Print a line at once, so that it stands before what DVC prints next."""
    print(f"repro: {text}", flush=True)
