"""Read an archive's CSV table with the line number of every row.

Accepted: commas (tabs in a file named `.tab` or `.tsv`), UTF-8 with or without a byte order mark,
LF or CRLF, quoted fields with line breaks, blank lines. Another encoding or separator is refused,
not guessed: a wrong guess changes words in silence. A row whose number of fields differs from the
header's is kept as a record with a problem, so that one damaged row does not stop the others.
"""

import csv
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TAB_SUFFIXES = (".tab", ".tsv")
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


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

    def refuse_misspelt(self, known: Sequence[str]) -> None:
        """Raise `TableError` for a column like one of `known` but for case, blanks and hyphens.

        A column that need not be there would else be passed over without a word.
        """
        plain = {column: re.sub(r"[\s-]+", "_", column.casefold()) for column in self.columns}
        wrong = {column: word for column, word in plain.items() if word != column and word in known}
        if wrong:
            raise TableError(
                f"{self.path}: columns must be written {sorted(wrong.values())}. "
                f"Got: {list(wrong)}."
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
            required one; the message names the file, and the line where there is one.
    """
    separator = "\t" if path.suffix in TAB_SUFFIXES else ","
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = _parse(path, csv.reader(file, strict=True, delimiter=separator), separator)
    except FileNotFoundError:
        raise TableError(f"{path} must exist.") from None
    except UnicodeDecodeError as error:
        raise TableError(f"{_describe_encoding(path)} Save the table as UTF-8.") from error
    table.require(required)
    return table


def _describe_encoding(path: Path) -> str:
    """Say where a file stops being UTF-8; the decoder itself counts from its last block."""
    with open(path, "rb") as file:
        if file.read(2) in UTF_16_MARKS:
            return f"{path} must be UTF-8. Got: UTF-16."
        file.seek(0)
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = f"byte 0x{line[error.start]:02x} at place {error.start + 1}"
                return f"{path} line {number} must be UTF-8. Got: {byte}."
    return f"{path} must be UTF-8."


def _parse(path: Path, reader: "csv._reader", separator: str) -> Table:
    try:
        columns = tuple(field.strip() for field in next(reader, []))
        _check_header(path, columns, separator)
        records = []
        start = reader.line_num + 1
        for fields in reader:
            if fields:
                # Millions of rows hold few words: equal ones share their memory.
                words = [sys.intern(field.strip()) for field in fields]
                records.append(_record(columns, words, start))
            # `line_num` is the last line of a row; quoted fields may hold line breaks.
            start = reader.line_num + 1
    except csv.Error as error:
        raise TableError(
            f"{path} line {reader.line_num} must be a row of a CSV table. Got: {error}."
        ) from error
    return Table(path, columns, tuple(records))


def _check_header(path: Path, columns: tuple[str, ...], separator: str) -> None:
    if not any(columns):
        raise TableError(
            f"{path} must start with a row of column names. Got: an empty line or file."
        )
    if "\0" in columns[0]:
        raise TableError(f"{path} must be UTF-8. Got: zero bytes, as in UTF-16.")
    others = [mark for mark in ",;\t|" if mark != separator and mark in columns[0]]
    if len(columns) == 1 and others:
        raise TableError(
            f"{path} must have columns separated by {separator!r}. Got: {others[0]!r} in line 1."
        )
    # Spreadsheets leave empty columns at the right: those without a name hold nothing.
    repeated = sorted({name for name in columns if name and columns.count(name) > 1})
    if repeated:
        raise TableError(f"{path} must name each column once. Got: {repeated} more than once.")


def _record(columns: tuple[str, ...], fields: list[str], line: int) -> Record:
    problem = ""
    if len(fields) != len(columns):
        problem = f"row must have {len(columns)} fields, as the header. Got: {len(fields)}."
    values = dict.fromkeys(columns, "") | dict(zip(columns, fields, strict=False))
    return Record(line, values, problem)
