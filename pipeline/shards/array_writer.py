"""Write images of one size to uint8 `.npy` shards, which `pipeline.shards.arrays` reads."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline.shards.arrays import COLUMNS, SUFFIX
from pipeline.shards.plan import ends_shard, stem_of
from pipeline.shards.writer import ShardWriter
from pipeline.storage import StorageError


class ArrayWriter(ShardWriter):
    """Writes images of one shape one by one; see `ShardWriter`."""

    def __init__(self, folder: Path) -> None:
        """Write into `folder`, which is made if absent."""
        super().__init__(folder, COLUMNS, SUFFIX)
        self._shape: tuple[int, ...] = ()

    def add(self, image_id: str, pixels: np.ndarray, source_sha256: str) -> None:
        """Append RGB pixels, `(height, width, 3)` uint8.

        Args:
            image_id: Name of the image.
            pixels: Of the same shape as all before.
            source_sha256: Hash of the bytes that they were made of.
        """
        self._shape = self._shape or pixels.shape
        if pixels.shape != self._shape or pixels.dtype != np.uint8:
            found = f"Got: {image_id}, {pixels.shape} {pixels.dtype}."
            raise StorageError(f"images must be {self._shape} uint8. {found}")
        if not self._images:
            self._write_header()
        self._file.write(np.ascontiguousarray(pixels).data)
        self._add_row(image_id, self._images, source_sha256)

    def _finish(self) -> None:
        # NumPy leaves room for a first axis of any length, so the header keeps its size.
        self._file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        shape = (self._images, *self._shape)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


def write_array_shards(
    folder: Path, images: Iterable[tuple[str, np.ndarray]], shard_images: int
) -> None:
    """Write images that are made of nothing on disk, taken one by one.

    Args:
        folder: Made if absent.
        images: `image_id` and RGB pixels, `(height, width, 3)` uint8, all of one shape.
        shard_images: At most, per file.

    Raises:
        StorageError: Shapes or types differ, an `image_id` comes twice, or there is no image.
    """
    with ArrayWriter(folder) as writer:
        starts, count = True, 0
        for image_id, pixels in images:
            if starts:
                writer.start_shard(stem_of(image_id))
                count = 0
            writer.add(image_id, pixels, "")
            count += 1
            starts = ends_shard(image_id, count, shard_images)
