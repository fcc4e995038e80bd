"""Files and folders that are either whole or absent.

Every file is written under a temporary name in its own folder, flushed to disk, and renamed: a full
disk or a kill leaves no partial file under the final name. A folder is filled beside its final
place and swapped in; an earlier one stays until then.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd  # the CAD, which reads no table, starts without it

COPY_BYTES = 1 << 20

# Temporary names of `atomic_write` and of `atomic_path`.
PARTIAL_NAME = re.compile(r"\..+\.tmp|\.[0-9]+\..+")


class StorageError(ValueError):
    """A folder or file is absent, damaged, in the way, or lacks what is asked of it."""


@contextlib.contextmanager
def atomic_write(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file that takes its name only after it is whole and on disk.

    Args:
        path: Final name; its folder is made if absent.
        mode: `"wb"` or `"w"` (UTF-8, lines ending in a bare newline).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with os.fdopen(handle, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp gives 0600
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path, for libraries that write files by name, and rename it when whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays: Keras and Matplotlib choose the format by it.
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def remove_partial_files(folder: Path) -> None:
    """Remove what a killed process had half written into a folder under temporary names.

    Only while no other process writes there.
    """
    for path in folder.glob(".*"):
        if path.is_file() and PARTIAL_NAME.fullmatch(path.name):
            path.unlink()


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys; refuses NaN and infinity, which JSON does not have."""
    with atomic_write(path, "w") as file:
        json.dump(value, file, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
        file.write("\n")


def write_csv(path: Path, table: "pd.DataFrame", *, digits: int | None = None) -> None:
    """Write a table as CSV without its index; what is missing stays empty.

    Args:
        path: Final name.
        table: Anything with the `to_csv` of a data frame.
        digits: Significant digits of floats, 9 bring a float32 back exactly; `None` is as many as
            bring a float64 back.
    """
    with atomic_write(path, "w") as file:
        table.to_csv(
            file,
            index=False,
            lineterminator="\n",
            float_format=None if digits is None else f"%.{digits}g",
        )


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_folder(path: Path, *, replaces: str | None = None) -> Iterator[Path]:
    """Give a temporary folder beside `path` that takes its name only after all is written.

    Two renames swap an earlier folder out and the new one in. A kill between them leaves the
    earlier one under a hidden name, from which `recover_folder` brings it back.

    Args:
        path: Final place.
        replaces: Name of a file by which an earlier result is known, and may be replaced.

    Raises:
        StorageError: `path` exists, is not empty, and is no earlier result.
    """
    recover_folder(path)
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()
    if path.exists() and not (replaces and (path / replaces).is_file()):
        raise StorageError(f"{path} must be absent or empty; remove it to write it again.")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    partial.mkdir()
    try:
        yield partial
        _swap_in(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_folder(path.parent)
    shutil.rmtree(_before(path), ignore_errors=True)


def recover_folder(path: Path) -> None:
    """Mend what a kill in the middle of `atomic_folder`'s swap left."""
    if not _before(path).exists():
        return
    if path.exists():
        shutil.rmtree(_before(path))
    else:
        os.replace(_before(path), path)


def _before(path: Path) -> Path:
    return path.with_name(f".{path.name}.before")


def _swap_in(partial: Path, path: Path) -> None:
    if path.exists():
        os.replace(path, _before(path))
    try:
        os.replace(partial, path)
    except BaseException:
        recover_folder(path)
        raise


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that is never written again a second name; copy it where that cannot be.

    A hard link costs no disk, and keeps the inode and time by which DVC knows the file's hash.
    """
    source = source.resolve()  # DVC may have put a symbolic link to its cache
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without hard links
        with open(source, "rb") as file, atomic_write(target) as copy:
            shutil.copyfileobj(file, copy, COPY_BYTES)


def check_free_disk(folder: Path, needed_bytes: int) -> None:
    """Refuse a write that cannot fit, before the work for it is done.

    Raises:
        StorageError: The disk of `folder` has less room than `needed_bytes`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise StorageError(
            f"{folder} must have {needed_bytes / 1e9:.1f} GB of free disk. "
            f"Got: {free / 1e9:.1f} GB."
        )
