"""Start stage `train`, kill it at an instant, look at its files, and run it to its end."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.storage import read_json, sha256_of
from tools.measure_kills.project import COMMAND, RESUME, TARGET

WEIGHTS = Path(TARGET) / "weights.weights.h5"
POINTER = RESUME / "latest.json"
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
POLL_S = 0.005
ROOT = Path(__file__).resolve().parents[2]


class KillError(ValueError):
    """The command failed though nobody killed it."""


@dataclass(frozen=True)
class Whole:
    """A run that nobody killed: the SHA-256 of its weights, and the processor time it took."""

    sha256: str
    cpu_s: float


@dataclass(frozen=True)
class Instant:
    """When to kill: after some processor time, and then some more by the clock."""

    cpu_s: float
    delay_s: float


@dataclass(frozen=True)
class Kill:
    """One kill and what came of it.

    Attributes:
        cpu_s: Processor time that it was given, in seconds.
        is_live: Whether the process was still running.
        place: What it had done so far, by its files.
        is_writing: Whether it left a half-written file under a temporary name.
        damaged: Files under a final name that are not whole.
        problem: Of the run that resumed; empty where it ended well.
        is_identical: Whether its weights are those of the whole run.
    """

    cpu_s: float
    is_live: bool
    place: str
    is_writing: bool
    damaged: tuple[str, ...]
    problem: str
    is_identical: bool

    @property
    def is_good(self) -> bool:
        return self.is_identical and not self.damaged and not self.problem


def train_command() -> list[str]:
    """Return the stage's command, to run in a project of `kill_project`."""
    return [sys.executable, "-m", *COMMAND]


def start(folder: Path, command: Sequence[str]) -> subprocess.Popen:
    """Start a command in a process group of its own, its output to `log.txt`."""
    with open(folder / "log.txt", "w", encoding="utf-8") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def run_whole(folders: Sequence[Path], command: Sequence[str]) -> Whole:
    """Run the command to its end in all folders side by side.

    Raises:
        KillError: It fails, or does not end in the same weights everywhere.
    """
    with ThreadPoolExecutor(len(folders)) as pool:
        runs = list(pool.map(lambda folder: _measure_whole(folder, command), folders))
    if len({run.sha256 for run in runs}) > 1:
        raise KillError(f"runs that nobody killed must agree. Got: {[r.sha256 for r in runs]}.")
    return Whole(runs[0].sha256, min(run.cpu_s for run in runs))


def _measure_whole(folder: Path, command: Sequence[str]) -> Whole:
    cpu_s, problem = run_to_end(folder, command)
    if problem:
        raise KillError(f"{' '.join(command)} must succeed. Got: {problem}.")
    return Whole(sha256_of(folder / WEIGHTS), cpu_s)


def run_to_end(folder: Path, command: Sequence[str]) -> tuple[float, str]:
    """Run the command; return its processor time, and what went wrong or was left over."""
    process = start(folder, command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_s = usage.ru_utime + usage.ru_stime
    lines = (folder / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    if process.returncode:
        return cpu_s, f"status {process.returncode}, {lines[-1] if lines else 'no output'}"
    left = [*(folder / TARGET).glob(".*"), *(folder / RESUME).parent.glob("*")]
    return cpu_s, f"left over: {[str(path.relative_to(folder)) for path in left]}" if left else ""


def kill_after(process: subprocess.Popen, cpu_s: float, delay_s: float) -> bool:
    """Kill a process group once it has had some processor time; say whether it was alive.

    Args:
        process: Leader of its group.
        cpu_s: Processor time: a busy machine moves the instant, not the place it hits.
        delay_s: By the clock, after that: what waits for the disk takes no processor time.
    """
    while process.poll() is None:
        try:
            used = psutil.Process(process.pid).cpu_times()
        except psutil.Error:  # it ended just now
            continue
        if used.user + used.system >= cpu_s:
            time.sleep(delay_s)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return process.wait() == -signal.SIGKILL
        time.sleep(POLL_S)
    return False


def kill_and_resume(
    folder: Path, command: Sequence[str], whole: Whole, instant: Instant, *, clears: bool
) -> Kill:
    """Start the command, kill it, look at its files, and run it to its end.

    Args:
        folder: The project.
        command: What is killed.
        whole: A run that nobody killed.
        instant: When.
        clears: Whether what the stage wrote is deleted in between.
    """
    shutil.rmtree(folder / TARGET, ignore_errors=True)
    is_live = kill_after(start(folder, command), instant.cpu_s, instant.delay_s)
    seen = place_of(folder), is_writing(folder), tuple(damaged_files(folder, whole))
    if clears:
        shutil.rmtree(folder / TARGET, ignore_errors=True)
    _, problem = run_to_end(folder, command)
    is_identical = not problem and sha256_of(folder / WEIGHTS) == whole.sha256
    return Kill(instant.cpu_s, is_live, *seen, problem, is_identical)


def place_of(folder: Path) -> str:
    """Say by its files how far a run has come."""
    if (folder / WEIGHTS).exists():
        return "results"
    if not (folder / POINTER).exists():
        return "before the first checkpoint"
    newest = read_json(folder / POINTER)["entries"][0]
    return f"epoch {newest['epoch'] + 1}"


def is_writing(folder: Path) -> bool:
    """Say whether a half-written file lies under a temporary name."""
    hidden = [*(folder / RESUME).glob(".*"), *(folder / TARGET).glob(".*")]
    return any(path.is_file() for path in hidden)


def damaged_files(folder: Path, whole: Whole) -> list[str]:
    """List files under a final name that are not whole: what the pointer names, and weights."""
    damaged = []
    if (folder / POINTER).exists():
        try:
            entries = read_json(folder / POINTER)["entries"]
        except ValueError:
            return [POINTER.name]
        damaged += [entry["file"] for entry in entries if not _is_whole(folder, entry)]
    if (folder / WEIGHTS).exists() and sha256_of(folder / WEIGHTS) != whole.sha256:
        damaged.append(WEIGHTS.name)
    return damaged


def _is_whole(folder: Path, entry: dict) -> bool:
    path = folder / RESUME / entry["file"]
    return path.exists() and sha256_of(path) == entry["sha256"]
