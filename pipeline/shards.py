"""The tables of a folder of shards: which image lies in which file.

A folder holds `index.csv`, a row for each image, and `shards.csv`, a row for each file with its
SHA-256; both are written last. `pipeline.shard_plan` writes them.
"""

import csv
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
