"""Write a folder of shards: its tables, and what archives and arrays have in common."""

import csv
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pipeline.shards.plan import Previous
from pipeline.shards.tables import INDEX, SHARD_COLUMNS, SHARDS
from pipeline.storage import StorageError, atomic_write, link_or_copy, sha256_of


class ShardWriter:
    """Writes images one by one; the folder is whole when the `with` block ends well.

    The index is written last and refuses an `image_id` that came twice, or no image at all. What a
    shard is made of a subclass says: it begins and finishes one, and appends an image.
    """

    def __init__(self, folder: Path, columns: tuple[str, ...], suffix: str) -> None:
        """Write files named stem + `suffix` into `folder`, which is made if absent."""
        self._folder = folder
        self._ending = suffix
        self._index = IndexWriter(folder, columns)
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
            self._shard.__exit__(kind, error, traceback)  # an unfinished shard vanishes

    def start_shard(self, stem: str) -> None:
        """End the shard before, and begin one that the next images go to."""
        self._end_shard()
        self._name = stem + self._ending
        self._file: IO[bytes] = self._shard.enter_context(atomic_write(self._folder / self._name))
        self._begin()

    def take_shard(self, stem: str, previous: Previous) -> None:
        """Take a whole shard of an earlier run."""
        self._end_shard()
        self._index.take_shard(stem + self._ending, previous)

    def _begin(self) -> None:
        """Prepare the shard's file, open as `_file`."""

    def _finish(self) -> None:
        """Write what a shard of `_images` images lacks."""

    def _add_row(self, image_id: str, *values: Any) -> None:
        """Note an image that has been appended; `values` follow image_id and shard in the index."""
        self._index.add_image((image_id, self._name, *values))
        self._images += 1

    def _end_shard(self) -> None:
        if self._name:
            self._finish()
            self._shard.close()
            self._index.add_shard(self._name, self._images)
        self._name, self._images = "", 0


class IndexWriter:
    """Writes both tables as their rows come; they take their names when `close` is called.

    Memory holds the names of the images, to refuse one that comes twice, and nothing else of them.
    """

    def __init__(self, folder: Path, columns: tuple[str, ...]) -> None:
        """Write into `folder`; `columns` of the index begin with image_id and shard."""
        self._folder = folder
        self._image_ids: set[str] = set()
        self._repeated: set[str] = set()
        self._shards: dict[str, tuple[Any, ...]] = {}
        self._stack = ExitStack()
        self._index = self._stack.enter_context(atomic_write(folder / INDEX, "w"))
        self._table = csv.writer(self._index, lineterminator="\n")
        self._table.writerow(columns)

    def add_image(self, row: Sequence[Any]) -> None:
        """Append an image's row, in the order of the images."""
        if row[0] in self._image_ids:
            self._repeated.add(row[0])
        self._image_ids.add(row[0])
        self._table.writerow(row)

    def add_shard(self, name: str, images: int, sha256: str | None = None) -> None:
        """Append a shard that is on disk; its hash is read from there if it is not given."""
        path = self._folder / name
        self._shards[name] = (name, images, path.stat().st_size, sha256 or sha256_of(path))

    def take_shard(self, name: str, previous: Previous) -> None:
        """Take a whole shard of an earlier run, with its rows."""
        link_or_copy(previous.folder / name, self._folder / name)
        rows = previous.index.rows_of(name)
        for row in rows.values():
            self.add_image(row)
        self.add_shard(name, len(rows), previous.sha256_of(name))

    def close(self) -> None:
        """Give both tables their names, the index last.

        Raises:
            StorageError: There is no image, or an image or a shard came twice.
        """
        try:
            self._check()
            _write_table(self._folder / SHARDS, SHARD_COLUMNS, self._shards.values())
        except BaseException:
            self.drop(*sys.exc_info())
            raise
        self._stack.close()

    def drop(self, *error: Any) -> None:
        """Leave no table, after an error; its type, value and traceback are given."""
        self._stack.__exit__(*error)

    def _check(self) -> None:
        if not self._image_ids:
            raise StorageError(f"{self._folder} must get at least one image. Got: none.")
        if self._repeated:
            first, count = sorted(self._repeated)[:5], len(self._repeated)
            found = f"Got several of: {first}, {count} in all."
            raise StorageError(f"{self._folder} must get each image_id once. {found}")
        if sum(images for _, images, *_ in self._shards.values()) != len(self._image_ids):
            raise StorageError(f"{self._folder} must get each shard once. Got: a name twice.")


def _write_table(path: Path, columns: tuple[str, ...], rows: Any) -> None:
    with atomic_write(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
