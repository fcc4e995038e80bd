"""The tables of a folder of shards: which image lies in which file.

A folder holds `index.csv`, a row for each image, and `shards.csv`, a row for each file with its
SHA-256; both are written last. `pipeline.shards.writer` writes them.
"""

import csv
import io
import itertools
import operator
from collections.abc import Iterator
from pathlib import Path

from pipeline.storage import StorageError

INDEX = "index.csv"
SHARDS = "shards.csv"
SHARD_COLUMNS = ("shard", "images", "bytes", "sha256")


def read_table(path: Path, columns: tuple[str, ...]) -> Iterator[list[str]]:
    """Yield the rows of `index.csv` or `shards.csv`.

    Raises:
        StorageError: The file is absent or has other columns.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            if tuple(header) != columns:
                raise StorageError(f"{path} must have the columns {list(columns)}. Got: {header}.")
            yield from rows
    except FileNotFoundError:
        raise StorageError(f"{path} must exist: the folder is not whole.") from None


class Index:
    """Where each image of a folder of shards lies.

    Memory holds names, and the rest of the rows as text: an entry of a few hundred bytes for each
    image, a third of what parsed rows would take. Rows are parsed shard by shard, which is quick
    where images are asked for in the order in which they lie.
    """

    def __init__(self, folder: Path, columns: tuple[str, ...]) -> None:
        """Read `index.csv`, whose columns begin with image_id and shard."""
        self._folder = folder
        self._shard_of: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        rows = read_table(folder / INDEX, columns)
        for name, own in itertools.groupby(rows, key=operator.itemgetter(1)):
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            for row in own:
                self._shard_of[row[0]] = name
                writer.writerow(row)
            self._texts[name] = self._texts.get(name, "") + text.getvalue()
        self._parsed: tuple[str, dict[str, list[str]]] = ("", {})

    def __len__(self) -> int:
        return len(self._shard_of)

    @property
    def image_ids(self) -> tuple[str, ...]:
        """Names of the images, in their order."""
        return tuple(self._shard_of)

    def rows_of(self, name: str) -> dict[str, list[str]]:
        """Return the rows of one shard by image, none for a shard that is not there."""
        if self._parsed[0] != name:
            rows = csv.reader(io.StringIO(self._texts.get(name, ""), newline=""))
            self._parsed = (name, {row[0]: row for row in rows})
        return self._parsed[1]

    def find(self, image_id: str) -> list[str] | None:
        """Return an image's row, `None` for one that is not there."""
        name = self._shard_of.get(image_id)
        return None if name is None else self.rows_of(name)[image_id]

    def row(self, image_id: str) -> list[str]:
        """Return an image's row.

        Raises:
            StorageError: It is not there.
        """
        row = self.find(image_id)
        if row is None:
            message = f"must hold the image asked for. Got: no {image_id!r}."
            raise StorageError(f"{self._folder} {message}")
        return row
