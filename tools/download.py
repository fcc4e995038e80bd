"""Download images and their table from the ISIC archive with isic-cli, and check that all came.

Usage: python -m tools.download ham10000 --collections 212 --limit 2000   (`make download`)
       python -m tools.download isic_2020

The first form drives `isic image download` (pip install isic-cli) into data/raw/<name>, and notes
the query there in download.json: the same command, or the name alone, goes on where it was stopped.
isic-cli skips images that are there, and passes over those that fail without a word. So its table
is compared with the images afterwards, and what is missing is asked for again. The table comes
last, so that half an answer has none. The second form, for the challenges, prints commands to run.
"""

import argparse
import os
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from pipeline import storage
from pipeline.cases.files import find_images
from pipeline.cases.isic_cli import METADATA
from pipeline.cases.tables import read_table
from pipeline.command import run_stage
from pipeline.params import build
from tools.challenges import COMMANDS

RAW = Path("data/raw")
QUERY = "download.json"
EARLIER = f".{METADATA}.earlier"
ID_COLUMN = "isic_id"
PARTIAL = ".isic-partial."  # isic-cli's files under way: .isic-partial.<process>.<random>
ATTEMPTS = 3
INSTALL = "pip install isic-cli, or its release from https://github.com/ImageMarkup/isic-cli"
SHOWN = 5


class DownloadError(ValueError):
    """A download could not be made whole; what came is kept."""


@dataclass(frozen=True)
class Query:
    """Which images of the archive are wanted, as isic-cli is told.

    Attributes:
        collections: Numbers joined by commas, as `isic collection list` shows; empty: any.
        search: In isic-cli's words, such as `diagnosis_3:"Nevus"`; empty: any.
        limit: At most so many images; 0: all.
    """

    collections: str
    search: str
    limit: int

    def __post_init__(self) -> None:
        if not (self.collections or self.search or self.limit):
            raise ValueError("a download must name collections, a search or a limit. Got: none.")
        if self.limit < 0:
            raise ValueError(f"limit must be at least 0. Got: {self.limit}.")
        numbers = self.collections.split(",")
        if self.collections and not all(part.isdecimal() for part in numbers):
            raise ValueError(
                f"collections must be numbers joined by commas. Got: {self.collections!r}."
            )

    def arguments(self) -> list[str]:
        """Write the query as options of `isic image download`."""
        given = {
            "--collections": self.collections,
            "--search": self.search,
            "--limit": str(self.limit) if self.limit else "",
        }
        return [word for option, value in given.items() if value for word in (option, value)]


@dataclass(frozen=True)
class Comparison:
    """A table and the images beside it."""

    rows: int
    missing: list[str]
    images_without_row: int


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    folder = args.raw / args.name
    challenge = args.name.replace("-", "_")
    if challenge in COMMANDS:
        # The folders that recipe `isic` reads are called isic-2019 and isic-2020.
        print(COMMANDS[challenge].format(folder=args.raw / challenge.replace("_", "-")))
        return
    isic = find_isic(args.isic)
    download(isic, settle_query(folder, wanted(args)), folder)
    found = compare(folder)
    print(
        f"download: {found.rows} rows in {folder / METADATA}, an image of each; "
        f"{found.images_without_row} other images"
    )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.download",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name", type=folder_name, help="folder below --raw; or isic_2019, isic_2020"
    )
    parser.add_argument(
        "--collections", default="", help="numbers, as `isic collection list` shows"
    )
    parser.add_argument("--search", default="", help="in isic-cli's words, such as 'sex:male'")
    parser.add_argument("--limit", type=int, default=0, help="at most so many images; 0 is all")
    parser.add_argument("--raw", type=Path, default=RAW, help=f"else {RAW}")
    parser.add_argument(
        "--isic", default="isic", help="isic-cli's program, else `isic` on the PATH"
    )
    return parser.parse_args(argv)


def folder_name(text: str) -> str:
    """Refuse a name that is a path."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", text):
        raise argparse.ArgumentTypeError(f"name must be one folder's. Got: {text!r}.")
    return text


def wanted(args: argparse.Namespace) -> Query | None:
    """Return what the command line asks for, or `None` where it asks for nothing."""
    if not (args.collections or args.search or args.limit):
        return None
    return Query(args.collections, args.search, args.limit)


def find_isic(program: str) -> str:
    """Return the path of isic-cli's program."""
    found = shutil.which(program)
    if found is None:
        raise DownloadError(f"isic-cli must be installed. Got: no {program!r}. {INSTALL}.")
    return found


def settle_query(folder: Path, query: Query | None) -> Query:
    """Note the query in the folder, or take it from there.

    Raises:
        DownloadError: Neither names a query, or they name different ones.
    """
    path = folder / QUERY
    noted = build(storage.read_json(path), Query, str(path)) if path.is_file() else None
    query = query or noted
    if query is None:
        raise DownloadError(f"{folder} must get --collections, --search or --limit. Got: none.")
    if noted and noted != query:
        raise DownloadError(
            f"{folder} must keep to one query, {asdict(noted)}. Got: {asdict(query)}. "
            "Choose another name, or remove the folder."
        )
    storage.write_json(path, asdict(query))
    return query


def download(isic: str, query: Query, folder: Path) -> None:
    """Let isic-cli download until every row of its table has an image.

    Raises:
        DownloadError: isic-cli failed, or images are still missing.
    """
    for attempt in range(1, ATTEMPTS + 1):
        run_isic([isic, "image", "download", *query.arguments(), str(folder)], folder)
        missing = compare(folder).missing
        if not missing:
            return
        text = f"{len(missing)} images are missing after attempt {attempt} of {ATTEMPTS}"
        print(f"download: {text}, first {missing[:SHOWN]}", flush=True)
    raise DownloadError(
        f"{folder} must hold an image for each row of {METADATA}. Got: {len(missing)} missing, "
        f"first {missing[:SHOWN]}. Repeat the command to ask for them again."
    )


def run_isic(command: list[str], folder: Path) -> None:
    """Run isic-cli once; its table is there afterwards, else that of an earlier run.

    Raises:
        DownloadError: It ended with an error, or without its table.
    """
    remove_partial(folder)
    table, earlier = folder / METADATA, folder / EARLIER
    if earlier.exists():  # left where this process was killed: the other may be half a table
        os.replace(earlier, table)
    if table.exists():
        os.replace(table, earlier)
    is_done = False
    try:
        status = subprocess.run(command).returncode
        is_done = status == 0 and table.exists()
    finally:
        if not is_done:
            table.unlink(missing_ok=True)
            if earlier.exists():
                os.replace(earlier, table)
    if not is_done:
        raise DownloadError(
            f"isic-cli must end well and write {table}. Got: status {status}. What came is kept: "
            "repeat the command to go on."
        )
    earlier.unlink(missing_ok=True)


def remove_partial(folder: Path) -> None:
    """Remove what an isic-cli that was killed left half-written; one that still runs is let be."""
    for path in folder.glob(f"{PARTIAL}*"):
        process = path.name.removeprefix(PARTIAL).partition(".")[0]
        if not (process.isdecimal() and psutil.pid_exists(int(process))):
            path.unlink(missing_ok=True)


def compare(folder: Path) -> Comparison:
    """Compare the table with the images that are there; an empty file is no image."""
    records = read_table(folder / METADATA, (ID_COLUMN,)).records
    named = list(dict.fromkeys(record.values[ID_COLUMN] for record in records))
    there = {
        stem
        for stem, paths in find_images(folder).items()
        if any((folder / path).stat().st_size for path in paths)
    }
    return Comparison(
        rows=len(records),
        missing=[image_id for image_id in named if image_id not in there],
        images_without_row=len(there.difference(named)),
    )


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
