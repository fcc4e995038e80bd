"""The folder that a killed run resumes from: one process at a time, and how it goes away."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.storage import remove_partial_files

LOCK = "lock"


class ResumeFolderError(ValueError):
    """Another process trains in the folder."""


@contextlib.contextmanager
def hold_resume_folder(folder: Path) -> Iterator[None]:
    """Keep every other process out of a resume folder, which is made if absent.

    The kernel lets go of the lock when the process ends, however it ends: a kill leaves none. What
    a killed process had half written is removed.

    Args:
        folder: Resume folder of one run.

    Raises:
        ResumeFolderError: Another process holds it.
    """
    handle = _lock(folder)
    try:
        remove_partial_files(folder)
        shutil.rmtree(_discarded(folder), ignore_errors=True)
        yield
    finally:
        os.close(handle)


def discard_resume_folder(folder: Path) -> None:
    """Delete a resume folder; a kill meanwhile leaves it whole or gone, never in parts."""
    os.replace(folder, _discarded(folder))
    shutil.rmtree(_discarded(folder))


def _discarded(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.done")


def _lock(folder: Path) -> int:
    path = folder / LOCK
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise ResumeFolderError(
                f"{folder} must be of one process at a time. Got: another one that trains there; "
                "wait for it, or end it and run this command again."
            ) from None
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            return handle
        os.close(handle)  # of a folder that the process before has just discarded
