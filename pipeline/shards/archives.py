"""Encoded images in uncompressed tar archives: few files, and each image readable on its own.

A hundred thousand files in one folder cost minutes at every command of DVC. The archives are plain
tar files that any tool opens; an `index.csv` says where each image's bytes lie in them.
"""

import hashlib
import tarfile
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.shards.plan import IndexWriter, Previous
from pipeline.shards.tables import Index
from pipeline.storage import StorageError, atomic_write

COLUMNS = ("image_id", "shard", "offset", "bytes", "source_sha256", "sha256")
SUFFIX = ".tar"


@dataclass(frozen=True)
class Place:
    """Where the bytes of one image lie."""

    image_id: str
    path: Path
    offset: int
    size: int
    sha256: str

    def read(self) -> bytes:
        """Read the bytes."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) != self.size:
            raise StorageError(f"{self.path} must be whole. Got: it ends in {self.image_id}.")
        return data


class EncodedWriter:
    """Writes encoded images one by one; the folder is whole when the `with` block ends well.

    The index is written last and refuses an `image_id` that came twice, or no image at all.
    """

    def __init__(self, folder: Path, *, suffix: str) -> None:
        """Write into `folder`; images are named `image_id` + `suffix` in the archives."""
        self._folder = folder
        self._suffix = suffix
        self._index = IndexWriter(folder, COLUMNS)
        self._name = ""
        self._images = 0
        self._shard = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._end_shard()
            self._index.close()
        else:
            self._index.drop(kind, error, traceback)
            self._shard.__exit__(kind, error, traceback)  # an unfinished archive vanishes

    def start_shard(self, stem: str) -> None:
        """End the archive before, and begin one that the next images go to."""
        self._end_shard()
        self._name = stem + SUFFIX
        file = self._shard.enter_context(atomic_write(self._folder / self._name))
        self._archive = self._shard.enter_context(
            tarfile.TarFile(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT)
        )

    def add(self, image_id: str, data: bytes, source_sha256: str) -> None:
        """Append one image, made of the file that has the hash `source_sha256`."""
        entry = tarfile.TarInfo(image_id + self._suffix)  # time and owner 0: the same every run
        entry.size = len(data)
        self._archive.addfile(entry, BytesIO(data))
        # Else each archive keeps every header that it wrote, for a list that nobody asks for.
        self._archive.members.clear()
        padded = -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        start = self._archive.offset - padded
        digest = hashlib.sha256(data).hexdigest()
        self._index.add_image((image_id, self._name, start, len(data), source_sha256, digest))
        self._images += 1

    def take_shard(self, stem: str, previous: Previous) -> None:
        """Take a whole archive of an earlier run."""
        self._end_shard()
        self._index.take_shard(stem + SUFFIX, previous)

    def _end_shard(self) -> None:
        if self._name:
            self._shard.close()
            self._index.add_shard(self._name, self._images)
        self._name, self._images = "", 0


class EncodedShards:
    """Encoded images that an `EncodedWriter` wrote.

    Attributes:
        image_ids: In the order in which they were written.
    """

    def __init__(self, folder: Path, index: Index | None = None) -> None:
        """Open a folder; its index, where it has been read already, need not be read again."""
        self._folder = folder
        self._index = index or Index(folder, COLUMNS)
        self.image_ids = self._index.image_ids

    def __len__(self) -> int:
        return len(self._index)

    def place(self, image_id: str) -> Place:
        """Say where an image lies, for another process to read it."""
        _, name, offset, size, _, sha256 = self._index.row(image_id)
        return Place(image_id, self._folder / name, int(offset), int(size), sha256)

    def read(self, image_id: str) -> bytes:
        """Read the bytes of one image."""
        return self.place(image_id).read()
