"""Encoded images in uncompressed tar archives: few files, and each image readable on its own.

A hundred thousand files in one folder cost minutes at every command of DVC. The archives are plain
tar files that any tool opens; an `index.csv` says where each image's bytes lie in them.
"""

import tarfile
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.storage import StorageError, atomic_write, locate, read_index, write_index

COLUMNS = ("image_id", "shard", "offset", "bytes")


class EncodedWriter:
    """Writes encoded images one by one; the folder is whole when the `with` block ends well.

    The index is written last and refuses an `image_id` that came twice, or no image at all.
    """

    def __init__(self, folder: Path, *, shard_images: int, suffix: str) -> None:
        """Write into `folder`, `shard_images` to an archive, named `image_id` + `suffix` there."""
        self._folder = folder
        self._shard_images = shard_images
        self._suffix = suffix
        self._rows: list[tuple[Any, ...]] = []
        self._shard = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._shard.__exit__(kind, error, traceback)  # an unfinished archive vanishes on an error
        if kind is None:
            write_index(self._folder, COLUMNS, self._rows)

    def add(self, image_id: str, data: bytes) -> None:
        """Append the bytes of one image."""
        if len(self._rows) % self._shard_images == 0:
            self._start_shard(f"{len(self._rows) // self._shard_images:05d}.tar")
        entry = tarfile.TarInfo(image_id + self._suffix)  # time and owner 0: the same every run
        entry.size = len(data)
        self._archive.addfile(entry, BytesIO(data))
        padded = -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        self._rows.append((image_id, self._name, self._archive.offset - padded, len(data)))

    def _start_shard(self, name: str) -> None:
        self._shard.close()
        self._name = name
        file = self._shard.enter_context(atomic_write(self._folder / name))
        self._archive = self._shard.enter_context(
            tarfile.TarFile(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT)
        )


class EncodedShards:
    """Encoded images that an `EncodedWriter` wrote.

    Attributes:
        image_ids: In the order in which they were written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index = read_index(folder, COLUMNS)
        self.image_ids = tuple(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def read(self, image_id: str) -> bytes:
        """Read the bytes of one image."""
        name, offset, size = locate(self._index, image_id, self._folder)
        with open(self._folder / name, "rb") as file:
            file.seek(int(offset))
            data = file.read(int(size))
        if len(data) != int(size):
            raise StorageError(f"{self._folder / name} must be whole. Got: it ends in {image_id}.")
        return data
