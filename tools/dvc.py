"""Call DVC with the Python that runs this, whether or not its environment is activated."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# glibc returns the pages of a large tensor when it is freed, and the next step pays for them again.
# Huge pages, and keeping what is free, make an epoch a seventh shorter on two cores, to the same
# bits (docs/decisions/0005-parallel-members-through-dvc.md). Other C libraries ignore it.
GLIBC_TUNABLES = ":".join(
    [
        "glibc.malloc.hugetlb=1",
        "glibc.malloc.mmap_threshold=4294967296",
        "glibc.malloc.trim_threshold=4294967296",
    ]
)


class ReproError(ValueError):
    """A stage failed; its own message has been printed."""


def dvc(root: Path, *command: str, **options: Any) -> subprocess.CompletedProcess:
    """Run a DVC command in the project's root.

    Args:
        root: The project's root.
        command: DVC's arguments.
        options: Passed on to `subprocess.run`.
    """
    return subprocess.run(dvc_command(*command), cwd=root, env=dvc_environment({}), **options)


def dvc_command(*command: str) -> list[str]:
    """Give the words of a DVC command."""
    return [sys.executable, "-m", "dvc", *command]


def dvc_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of a DVC command, with variables of its own in `more`."""
    # Stages run `python -m stages.…`: that must be this Python, whatever the shell's PATH says.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {"GLIBC_TUNABLES": GLIBC_TUNABLES, **os.environ, "PATH": path, **more}


def run_or_raise(root: Path, *command: str) -> None:
    """Run DVC in the foreground.

    Raises:
        ReproError: It failed.
    """
    if dvc(root, *command).returncode:
        raise ReproError("a stage failed, see above; the same command goes on from there.")


def stale_stages(root: Path, *targets: str) -> set[str]:
    """Name the stages among `targets` whose own code, values or inputs changed.

    Raises:
        ValueError: DVC cannot tell; its message is part of the error.
    """
    result = dvc(root, "status", "--json", *targets, capture_output=True, text=True)
    if result.returncode:
        raise ValueError(f"dvc status must work. Got: {result.stderr.strip()}")
    return set(json.loads(result.stdout))
