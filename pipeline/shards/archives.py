"""Encoded images in uncompressed tar archives: few files, and each image readable on its own.

A hundred thousand files in one folder cost minutes at every command of DVC. The archives are plain
tar files that any tool opens; an `index.csv` says where each image's bytes lie in them.
"""

import hashlib
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pipeline.shards.tables import Index
from pipeline.shards.writer import ShardWriter
from pipeline.storage import StorageError

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


class EncodedWriter(ShardWriter):
    """Writes encoded images one by one; see `ShardWriter`."""

    def __init__(self, folder: Path, *, suffix: str) -> None:
        """Write into `folder`; images are named `image_id` + `suffix` in the archives."""
        super().__init__(folder, COLUMNS, SUFFIX)
        self._suffix = suffix

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
        self._add_row(image_id, start, len(data), source_sha256, digest)

    def _begin(self) -> None:
        self._archive = self._shard.enter_context(
            tarfile.TarFile(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT)
        )


def crop_sizes(folder: Path) -> list[int]:
    """List the sizes, in pixels, that stage `crop` wrote into a folder, the smallest first."""
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())


def open_smallest(folder: Path) -> "EncodedShards":
    """Open the smallest crops that stage `crop` wrote into a folder.

    Raises:
        StorageError: There is none.
    """
    sizes = crop_sizes(folder)
    if not sizes:
        raise StorageError(f"{folder} must hold crops. Run the stage `crop` that writes them.")
    return EncodedShards(folder / str(sizes[0]))


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
