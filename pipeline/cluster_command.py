"""Run a shell command on a machine of a Ray cluster, in this folder, as if it had run here.

Every machine of the cluster must see this project, its environment and the folder at the same
paths, as on a shared file system. What the command prints is printed here. On a machine or process
that dies it is run again elsewhere, so it must be one that can go on from where it was.
"""

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pipeline.cluster import RERUNS, joined, losses
from pipeline.processes import ParallelError

PERMITS = Path(".resume/cluster")
POLL_SECONDS = 0.5
# After these, what ran on a lost machine has ended for want of its permit.
GRACE_SECONDS = 5
# NFS may show a folder as it was for a minute.
SECONDS_TO_BE_SEEN = 120
# What shapes the speed or the bits of a network is the same there as here.
SENT = ("DVC_", "GLIBC_", "KERAS_", "OMP_", "TF_", "XLA_")


@dataclass(frozen=True)
class Need:
    """What a command takes of a cluster: GPUs, or where that is 0, cores."""

    gpus: int
    cpus: int


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit status.
        host: The machine.
        sizes: Bytes of each file below the folders that the command names, by relative path.
    """

    code: int
    host: str
    sizes: dict[str, int]


def run_on_cluster(command: str, need: Need, address: str, *, name: str, out: IO[bytes]) -> int:
    """Run a command on a machine of the cluster; return its exit status.

    Args:
        command: For `/bin/sh`, run in this process's folder.
        need: What it takes of the cluster; it waits until that is free.
        address: Of the cluster.
        name: As Ray shows it.
        out: Where to write what the command prints.

    Raises:
        ParallelError: The cluster cannot be reached, does not share this folder, or lost the
            command too often.
    """
    sent = sent_environment(need)
    with joined(address, 0) as ray:
        # A machine with GPUs is full when they are taken, whatever its cores.
        options = {"num_gpus": need.gpus, "num_cpus": 0 if need.gpus else need.cpus}
        task = ray.remote(max_retries=0, **options)(make_task()).options(name=name)
        # DVC has removed what the command is to make, and so is what a lost one has made of it.
        to_make = [Path(path) for path in named_paths(command) if not Path(path).exists()]
        for lost in range(RERUNS + 1):
            try:
                return _run_once(ray, task, command, sent=sent, out=out).code
            except losses(ray) as error:
                text = f"cluster: {name} was lost ({type(error).__name__}), {lost} times before\n"
                out.write(text.encode())
                time.sleep(GRACE_SECONDS)
                for path in to_make:
                    remove(path)
    raise ParallelError(f"{name} must end. Got: lost {RERUNS + 1} times on the cluster.")


def make_task() -> Callable[..., Ended | str]:
    """Make what a task does; it gives the name of a machine that does not see this folder."""

    # Being no function of a module, it is sent whole: it must also run where the project is not.
    def run(folder: str, permit: str, python: str, command: str, sent: dict[str, str]) -> Any:
        import os
        import socket

        if not (os.path.exists(permit) and os.path.exists(python)):
            return socket.gethostname()
        from pipeline.cluster_command import run_here

        return run_here(folder, permit, python, command, sent)

    return run


def sent_environment(need: Need) -> dict[str, str]:
    """Gather the variables that a command has on every machine."""
    sent = {key: value for key, value in os.environ.items() if key.startswith(SENT)}
    # Ray sets it where a GPU was asked for; where none was, it leaves all GPUs to be seen.
    return sent if need.gpus else sent | {"CUDA_VISIBLE_DEVICES": "-1"}


def _run_once(ray: Any, task: Any, command: str, *, sent: dict[str, str], out: IO[bytes]) -> Ended:
    """Run a command until it ends or is lost."""
    with _permit() as permit:
        run = task.remote(str(Path.cwd()), str(permit), sys.executable, command, sent)
        try:
            ended = _follow(ray, run, permit.with_name("log"), out)
        except BaseException:
            ray.cancel(run)
            raise
    if isinstance(ended, str):
        raise ParallelError(
            f"every machine of the cluster must see {Path.cwd()} and {sys.executable}, as on a "
            f"shared file system. Got: {ended} does not."
        )
    if not ended.code:
        wait_until_seen(ended)
    return ended


@contextlib.contextmanager
def _permit() -> Iterator[Path]:
    """Give a file that is there for as long as a command may run."""
    folder = Path.cwd() / PERMITS / uuid.uuid4().hex
    folder.mkdir(parents=True)
    permit = folder / "permit"
    permit.touch()
    permit.with_name("log").touch()  # NFS would not see at once that another machine made it
    try:
        yield permit
    finally:
        permit.unlink()
        shutil.rmtree(folder, ignore_errors=True)


def _follow(ray: Any, run: Any, log: Path, out: IO[bytes]) -> Any:
    """Print what a command prints until it ends."""
    shown, parent = 0, os.getppid()
    while True:
        ended, _ = ray.wait([run], timeout=POLL_SECONDS)
        with open(log, "rb") as file:
            file.seek(shown)
            out.write(text := file.read())
            out.flush()
            shown += len(text)
        if ended:
            return ray.get(run)
        if os.getppid() != parent:
            raise ParallelError("whoever started a command must wait for it. Got: it is gone.")


def run_here(folder: str, permit: str, python: str, command: str, sent: dict[str, str]) -> Ended:
    """Run a command on this machine, for the task that this process does."""
    path = os.pathsep.join([str(Path(python).parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path}
    # Ray sets it to the cores that were asked for; a run without a cluster takes all there are.
    environment.pop("OMP_NUM_THREADS", None)
    environment |= sent
    host, supervise = socket.gethostname(), [python, "-m", "pipeline.supervise"]
    with open(Path(permit).with_name("log"), "ab", buffering=0) as log:
        gpus = environment.get("CUDA_VISIBLE_DEVICES", "")
        log.write(f"cluster: on {host}, CUDA_VISIBLE_DEVICES={gpus}\n".encode())
        code = subprocess.call(
            [*supervise, permit, str(os.getpid()), "/bin/sh", "-c", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    return Ended(code, host, sizes_below(Path(folder), command))


def sizes_below(folder: Path, command: str) -> dict[str, int]:
    """Size every file below the folders that a command names, by path relative to `folder`."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for name in named_paths(command)
        for path in sorted((folder / name).rglob("*"))
        if path.is_file()
    }


def named_paths(command: str) -> list[str]:
    """List the paths below this folder that a command names, as `models/train/b4-0`."""
    return [
        word
        for word in shlex.split(command)
        if "/" in word and not word.startswith(("-", "/")) and ".." not in word
    ]


def remove(path: Path) -> None:
    """Remove a file or folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def wait_until_seen(ended: Ended, seconds: float = SECONDS_TO_BE_SEEN) -> None:
    """Wait until this machine sees the files of another one as they are there.

    Raises:
        ParallelError: It does not.
    """
    end = time.monotonic() + seconds
    while unseen := [path for path, size in ended.sizes.items() if size_of(path) != size]:
        if time.monotonic() > end:
            raise ParallelError(
                f"files that {ended.host} wrote must be seen here within {seconds:.0f} s. "
                f"Got: no {unseen[:5]}, {len(unseen)} in all."
            )
        time.sleep(POLL_SECONDS)


def size_of(path: str) -> int | None:
    """Give the bytes of a file, by opening it, as NFS answers that afresh; `None` without one."""
    try:
        with open(path, "rb") as file:
            return os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return None
