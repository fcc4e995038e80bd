"""Read an archive's CSV table with the line number of every row.

Accepted: UTF-8 with or without a byte order mark, LF or CRLF, quoted fields with line breaks, blank
lines. A row whose number of fields differs from the header's is kept as a record with a problem, so
that one damaged row does not stop the others.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class TableError(ValueError):
    """A table cannot be read or lacks a column; the message names the file."""


@dataclass(frozen=True)
class Record:
    """One row of a table.

    Attributes:
        line: Line of the file on which the row starts; the header is line 1.
        values: Text by column, without surrounding blanks.
        problem: What is wrong with the row as a row, or empty.
    """

    line: int
    values: dict[str, str]
    problem: str


@dataclass(frozen=True)
class Table:
    """A table's columns and rows."""

    path: Path
    columns: tuple[str, ...]
    records: tuple[Record, ...]

    def require(self, columns: Sequence[str]) -> None:
        """Raise `TableError` unless all of `columns` are there."""
        missing = [column for column in columns if column not in self.columns]
        if missing:
            word = "column" if len(missing) == 1 else "columns"
            raise TableError(
                f"{self.path}: {word} {missing} must be there. Got: {list(self.columns)}."
            )

    def require_one_of(self, columns: Sequence[str]) -> str:
        """Return the first of `columns` that is there, or raise `TableError`."""
        for column in columns:
            if column in self.columns:
                return column
        raise TableError(
            f"{self.path}: one of the columns {list(columns)} must be there. "
            f"Got: {list(self.columns)}."
        )


def read_table(path: Path, required: Sequence[str]) -> Table:
    """Read a table.

    Args:
        path: The file.
        required: Columns that must be there; others are kept too.

    Raises:
        TableError: The file is absent, empty, not UTF-8, not CSV, names a column twice, or lacks a
            required one.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = _parse(path, csv.reader(file, strict=True))
    except FileNotFoundError:
        raise TableError(f"{path} must exist.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path} must be a CSV table in UTF-8. Got: {error}.") from error
    table.require(required)
    return table


def _parse(path: Path, reader: "csv._reader") -> Table:
    columns = tuple(field.strip() for field in next(reader, []))
    if not any(columns):
        raise TableError(
            f"{path} must start with a row of column names. Got: an empty line or file."
        )
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise TableError(f"{path} must name each column once. Got: {repeated} more than once.")
    records = []
    start = reader.line_num + 1
    for fields in reader:
        if fields:
            records.append(_record(columns, [field.strip() for field in fields], start))
        # `line_num` is the last line of a row; quoted fields may hold line breaks.
        start = reader.line_num + 1
    return Table(path, columns, tuple(records))


def _record(columns: tuple[str, ...], fields: list[str], line: int) -> Record:
    problem = ""
    if len(fields) != len(columns):
        problem = f"row must have {len(columns)} fields, as the header. Got: {len(fields)}."
    values = dict.fromkeys(columns, "") | dict(zip(columns, fields, strict=False))
    return Record(line, values, problem)
