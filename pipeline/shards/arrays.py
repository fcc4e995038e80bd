"""Images of one size in uint8 `.npy` shards, for training to read in any order.

Each file is a plain NumPy array `(images, height, width, 3)` that `np.load(…, mmap_mode="r")` maps
into memory. Here rows are read straight into the array that is asked for: as fast as copying from a
map, and memory and open files stay few however many images there are.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.shards.tables import INDEX, read_table
from pipeline.storage import StorageError

COLUMNS = ("image_id", "shard", "row", "source_sha256")
SUFFIX = ".npy"
OPEN_FILES = 128  # at most, of one folder; a process may usually have 1,024


class ArrayShards:
    """Images that `pipeline.shards.array_writer` wrote.

    Attributes:
        image_ids: In the order in which they were written.
        shape: `(height, width, 3)` of every image.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: list[str] = []
        image_ids, shards, rows = [], [], []
        for image_id, name, row, _ in read_table(folder / INDEX, COLUMNS):
            if not self._names or self._names[-1] != name:
                self._names.append(name)
            image_ids.append(image_id)
            shards.append(len(self._names) - 1)
            rows.append(int(row))
        self.image_ids = tuple(image_ids)
        self._position = {image_id: number for number, image_id in enumerate(image_ids)}
        self._shards, self._rows = np.array(shards, np.int32), np.array(rows, np.int32)
        self._offsets, self.shape = _check_shards(folder, self._names, np.bincount(self._shards))
        self._open: OrderedDict[int, _OpenFile] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.image_ids)

    def read(self, image_ids: Sequence[str]) -> np.ndarray:
        """Copy images into one `(images, height, width, 3)` uint8 array, in the order asked for."""
        positions = self._locate(image_ids)
        shards, rows = self._shards[positions], self._rows[positions]
        images = np.empty((len(positions), *self.shape), np.uint8)
        image_bytes = int(np.prod(self.shape))
        # In the order in which they lie, so that a disk reads forwards.
        for number in np.lexsort((rows, shards)).tolist():
            shard = int(shards[number])
            offset = self._offsets[shard] + int(rows[number]) * image_bytes
            self._file(shard).read_into(images[number], offset)
        return images

    def _locate(self, image_ids: Sequence[str]) -> np.ndarray:
        try:
            return np.array([self._position[image_id] for image_id in image_ids], np.int64)
        except KeyError as error:
            message = f"must hold the image asked for. Got: no {error.args[0]!r}."
            raise StorageError(f"{self._folder} {message}") from None

    def _file(self, shard: int) -> "_OpenFile":
        with self._lock:
            if shard not in self._open:
                self._open[shard] = _OpenFile(self._folder / self._names[shard])
                if len(self._open) > OPEN_FILES:
                    self._open.popitem(last=False)
            self._open.move_to_end(shard)
            return self._open[shard]


class _OpenFile:
    """A file that closes when the last reader lets go of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            os.close(self._handle)

    def read_into(self, pixels: np.ndarray, offset: int) -> None:
        """Fill a contiguous array from the bytes at `offset`."""
        buffer = memoryview(pixels).cast("B")
        while buffer:
            count = os.preadv(self._handle, [buffer], offset)
            if not count:
                raise StorageError(f"{self._path} must be whole. Got: it ends at byte {offset}.")
            buffer, offset = buffer[count:], offset + count


def _check_shards(
    folder: Path, names: list[str], counts: np.ndarray
) -> tuple[list[int], tuple[int, int, int]]:
    """Read every header; return where the pixels of each shard start, and one image's shape."""
    offsets: list[int] = []
    shapes: set[tuple[int, ...]] = set()
    for name, count in zip(names, counts.tolist(), strict=True):
        shape, offset, size = _read_header(folder / name)
        if size != offset + int(np.prod(shape)) or shape[0] != count:
            found = f"Got: {shape} in {size} bytes."
            raise StorageError(f"{folder / name} must be a whole .npy file of {count}. {found}")
        offsets.append(offset)
        shapes.add(shape[1:])
    if len(shapes) != 1:
        raise StorageError(f"{folder} must hold images of one shape. Got: {sorted(shapes)}.")
    return offsets, shapes.pop()


def _read_header(path: Path) -> tuple[tuple[int, ...], int, int]:
    """Return the shape of a uint8 array in a file, where its data start, and the file's bytes."""
    try:
        with open(path, "rb") as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            offset = file.tell()
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} must be a whole .npy file. Got: {error}.") from error
    if dtype != np.uint8 or len(shape) != 4:
        raise StorageError(f"{path} must hold uint8 images. Got: {shape} {dtype}.")
    return shape, offset, path.stat().st_size
