"""Files that are either whole or absent, and sharded storage of many images.

Every file is written under a temporary name in its own folder, flushed to disk, and renamed: a full
disk or a kill leaves no partial file under the final name. Arrays are stored as uint8 `.npy`
shards that training maps into memory, with an `index.csv`, written last.
"""

import contextlib
import csv
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

INDEX = "index.csv"
ARRAY_COLUMNS = ("image_id", "shard", "row")

Image = TypeVar("Image")


class StorageError(ValueError):
    """A folder of shards is absent, damaged, or asked for an image that it does not hold."""


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


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path` that takes its name only after all is written.

    Raises:
        StorageError: `path` exists and is not empty.
    """
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()
    if path.exists():
        raise StorageError(f"{path} must be absent or empty; remove it to write it again.")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    partial.mkdir()
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_folder(path.parent)


def write_array_shards(
    folder: Path, images: Iterable[tuple[str, np.ndarray]], shard_images: int
) -> int:
    """Write images of one size as `.npy` files of at most `shard_images` images, and the index.

    Args:
        folder: Made if absent.
        images: `image_id` and RGB pixels, `(height, width, 3)` uint8, all of one shape; taken one
            by one, so memory holds a single image.
        shard_images: Images per file.

    Returns:
        How many images were written.

    Raises:
        StorageError: Shapes or types differ, an `image_id` comes twice, or there is no image.
    """
    rows: list[tuple[Any, ...]] = []
    for number, shard in enumerate(_in_shards(images, shard_images)):
        name = f"{number:05d}.npy"
        with atomic_write(folder / name) as file:
            ids = _write_npy(file, shard, shard_images)
        rows += [(image_id, name, row) for row, image_id in enumerate(ids)]
    return write_index(folder, ARRAY_COLUMNS, rows)


class ArrayShards:
    """Images that `write_array_shards` wrote, mapped into memory, not read.

    Attributes:
        image_ids: In the order in which they were written.
        shape: `(height, width, 3)` of every image.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index = read_index(folder, ARRAY_COLUMNS)
        self.image_ids = tuple(self._index)
        names = {name for name, _ in self._index.values()}
        self._shards = {name: _map_npy(folder / name) for name in sorted(names)}
        self.shape = next(iter(self._shards.values())).shape[1:]

    def __len__(self) -> int:
        return len(self._index)

    def read(self, image_ids: Sequence[str]) -> np.ndarray:
        """Copy images into one `(images, height, width, 3)` uint8 array, in the order asked for."""
        images = np.empty((len(image_ids), *self.shape), np.uint8)
        for number, image_id in enumerate(image_ids):
            name, row = locate(self._index, image_id, self._folder)
            images[number] = self._shards[name][int(row)]
        return images


def _map_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise StorageError(f"{path} must be a whole .npy file. Got: {error}.") from error


def _in_shards(images: Iterable[Image], shard_images: int) -> Iterator[Iterator[Image]]:
    """Part a stream into streams of `shard_images`; each must be used up before the next."""
    images = iter(images)
    for first in images:
        yield itertools.chain([first], itertools.islice(images, shard_images - 1))


def _write_npy(
    file: IO[bytes], images: Iterable[tuple[str, np.ndarray]], shard_images: int
) -> list[str]:
    """Write a `.npy` file whose length is known only at its end; return the image ids."""
    ids: list[str] = []
    shape: tuple[int, ...] = ()
    for image_id, pixels in images:
        if not ids:
            shape = pixels.shape
            _write_npy_header(file, (shard_images, *shape))
        if pixels.shape != shape or pixels.dtype != np.uint8:
            found = f"Got: {image_id}, {pixels.shape} {pixels.dtype}."
            raise StorageError(f"images must be {shape} uint8. {found}")
        file.write(np.ascontiguousarray(pixels).data)
        ids.append(image_id)
    # NumPy leaves room for a first axis of any length, so the header keeps its size.
    file.seek(0)
    _write_npy_header(file, (len(ids), *shape))
    return ids


def _write_npy_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def write_index(folder: Path, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> int:
    """Write where each image lies, `image_id` first; return how many there are."""
    if not rows:
        raise StorageError(f"{folder} must get at least one image. Got: none.")
    counts = Counter(row[0] for row in rows)
    repeated = [image_id for image_id, count in counts.items() if count > 1]
    if repeated:
        found = f"Got several of: {repeated[:5]}, {len(repeated)} in all."
        raise StorageError(f"{folder} must get each image_id once. {found}")
    with atomic_write(folder / INDEX, "w") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])
    return len(rows)


def read_index(folder: Path, columns: tuple[str, ...]) -> dict[str, list[str]]:
    """Read the other columns of an index by `image_id`."""
    try:
        with open(folder / INDEX, encoding="utf-8", newline="") as file:
            header, *rows = [*csv.reader(file)] or [[]]
    except FileNotFoundError:
        raise StorageError(f"{folder / INDEX} must exist: the folder is not whole.") from None
    if tuple(header) != columns:
        wanted = list(columns)
        raise StorageError(f"{folder / INDEX} must have the columns {wanted}. Got: {header}.")
    return {image_id: place for image_id, *place in rows}


def locate(index: dict[str, list[str]], image_id: str, folder: Path) -> list[str]:
    """Look an image up in an index."""
    if image_id not in index:
        raise StorageError(f"{folder} must hold the image asked for. Got: no {image_id!r}.")
    return index[image_id]
