"""The parent's end of an engine process: start it, ask it, end it.

The child's end, and the lines that both speak, are in `pipeline.deploy.engines`.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.classes import CLASSES
from pipeline.deploy import engines
from pipeline.deploy.engines import EngineJob

# A request takes seconds; a process that is silent for longer hangs.
SILENCE_LIMIT_S = 1800.0
QUIT_LIMIT_S = 30.0
QUOTED_LINES = 8


class EngineError(ValueError):
    """An engine process did not answer, or answered nonsense."""


class EngineProcess:
    """A running engine that has given its first answer.

    Attributes:
        job: What it serves.
        cold_start_s: From the start of the process to its first answer, imports and loading
            included.
    """

    def __init__(self, job: EngineJob, process: subprocess.Popen[str], errors: Path) -> None:
        self.job = job
        self.cold_start_s = 0.0
        self._process = process
        self._errors = errors

    def time_calls(self, batch: int, repeats: int) -> list[float]:
        """Return the wall time of each of `repeats` calls, in milliseconds."""
        return self._ask(f"time {batch} {repeats}")["ms"]

    def answer(self, batch: int) -> np.ndarray:
        """Return the probabilities of the first `batch` images, `(batch, 9)` float64.

        Raises:
            EngineError: Their shape is another, or one of them is not finite.
        """
        found = np.array(self._ask(f"answer {batch}")["probabilities"], np.float64)
        if found.shape != (batch, len(CLASSES)) or not np.isfinite(found).all():
            raise EngineError(
                f"engine {self.job.engine} of member {self.job.member} must answer finite "
                f"probabilities {(batch, len(CLASSES))}. Got: {found.shape}, {found.ravel()[:5]} …"
            )
        return found

    def peak_mib(self) -> float:
        """Return the process' peak resident memory so far."""
        return self._ask("peak")["peak_mib"]

    def await_reply(self) -> dict[str, Any]:
        """Read one reply.

        Raises:
            EngineError: The process ended, or is silent for `SILENCE_LIMIT_S`.
        """
        # One reply per request, so nothing waits in the reader's own buffer.
        if not select.select([self._process.stdout], [], [], SILENCE_LIMIT_S)[0]:
            self._process.kill()
            raise self._failure(f"It was silent for {SILENCE_LIMIT_S:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait(QUIT_LIMIT_S)
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            raise self._failure(f"It {how}")
        return json.loads(line)

    def _ask(self, request: str) -> dict[str, Any]:
        # A process that has ended is reported by the read.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{request}\n")
            self._process.stdin.flush()
        return self.await_reply()

    def _failure(self, what: str) -> EngineError:
        lines = self._errors.read_text(encoding="utf-8", errors="replace").splitlines()
        said = "\n  ".join([line for line in lines if line.strip()][-QUOTED_LINES:])
        return EngineError(
            f"engine {self.job.engine} of member {self.job.member} must answer. {what}. "
            f"Its last lines:\n  {said or '(none)'}"
        )


@contextlib.contextmanager
def running(job: EngineJob, work: Path) -> Iterator[EngineProcess]:
    """Start an engine, wait for its first answer, and end it when the block ends.

    Args:
        job: What it serves.
        work: Folder for the job's file and the process' stderr.

    Raises:
        EngineError: The process ended before it answered.
    """
    stem = work / f"{job.member}.{job.engine}"
    job_file, errors = Path(f"{stem}.json"), Path(f"{stem}.stderr")
    job_file.write_text(json.dumps(asdict(job)), encoding="utf-8")
    started = time.perf_counter()
    with (
        open(errors, "wb") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", engines.__name__, str(job_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
            env=environment(len(job.cpus)),
        ) as process,
    ):
        engine = EngineProcess(job, process, errors)
        try:
            engine.await_reply()
            engine.cold_start_s = time.perf_counter() - started
            yield engine
        finally:
            _end(process)


def rehearse(names: list[str], threads: int) -> None:
    """Import what engines import once, unmeasured: cold starts then compare like with like.

    Without it the first engine of a run alone would pay for reading TensorFlow from disk and for
    compiling its Python.
    """
    command = [sys.executable, "-m", engines.__name__, "--rehearse", *names]
    done = subprocess.run(command, env=environment(threads), capture_output=True, text=True)
    if done.returncode:
        said = "\n  ".join(done.stderr.splitlines()[-QUOTED_LINES:])
        raise EngineError(f"engines {names} must be importable. Got:\n  {said}")


def environment(threads: int) -> dict[str, str]:
    """Return the environment of an engine process: threads pinned, CPU only, quiet."""
    root = str(Path(engines.__file__).parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environ = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": "1",
        # Every engine is measured on the CPU, whatever else the machine has.
        "CUDA_VISIBLE_DEVICES": "-1",
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    # An installed program has its bytecode; compiling TensorFlow's at every start takes 6 s.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Every engine has the allocator's own settings, also below `make repro`, which sets others.
    environ.pop("GLIBC_TUNABLES", None)
    return environ


def _end(process: subprocess.Popen[str]) -> None:
    """End a process, kindly first."""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()  # the child's loop ends with its input
    try:
        process.wait(QUIT_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
