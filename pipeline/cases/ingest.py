"""Rows and files to a manifest and a quarantine table, with every row and file accounted for.

The pixels are read elsewhere: `match` says which files to read, `ImageFacts` brings back what was
found. Rows in = kept + quarantined, exactly; a file without a row is quarantined too and counted
apart, as it is no row.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.cases.rows import Problem, Row
from pipeline.classes import CLASSES
from pipeline.manifest import COLUMNS

QUARANTINE_COLUMNS = ("source", "image_id", "path", "row", "reason")


@dataclass(frozen=True)
class ImageFacts:
    """What reading an image file gave; `problem` says why it cannot be used, or is empty."""

    width_px: int
    height_px: int
    sha256: str
    perceptual_hash: str
    problem: str


@dataclass(frozen=True)
class Refused:
    """A row, or a file without a row (`line` is `None`), that goes to quarantine."""

    image_id: str
    path: str
    line: int | None
    problem: Problem


@dataclass(frozen=True)
class Matched:
    """Rows with the one file of each, and what was refused on the way."""

    cases: list[tuple[Row, Path]]
    refused: list[Refused]


@dataclass(frozen=True)
class Ingested:
    """The tables of one source."""

    manifest: pd.DataFrame
    quarantine: pd.DataFrame
    summary: dict[str, Any]


def match(rows: Sequence[Row], files: Mapping[str, Sequence[Path]], folder: Path) -> Matched:
    """Give each usable row its file.

    Args:
        rows: With their problems.
        files: Paths relative to `folder` by image id, as from `find_images`.
        folder: The raw folder as the user named it.
    """
    cases, refused = [], []
    for row in rows:
        found = files.get(row.image_id, ()) if row.path is None else [row.path]
        paths = [folder / path for path in found]
        problem = row.problem or _problem_of_files(row, paths)
        if problem:
            path = str(paths[0]) if paths else ""
            refused.append(Refused(row.image_id, path, row.line, problem))
        else:
            cases.append((row, paths[0]))
    ids = {row.image_id for row in rows if row.path is None}
    claimed = {row.path for row in rows}
    no_row = Problem("no row", "file must have a row in the table.")
    for image_id, found in files.items():
        if image_id not in ids:
            refused += [
                Refused(image_id, str(folder / path), None, no_row)
                for path in found
                if path not in claimed
            ]
    return Matched(cases, refused)


def finish(
    source: str, matched: Matched, facts: Mapping[Path, ImageFacts], rows_in: int
) -> Ingested:
    """Part the matched rows by what reading their images gave, and make the tables.

    Args:
        source: Name of the source, a column of both tables.
        matched: As from `match`.
        facts: Of the file of every case in `matched`.
        rows_in: Rows that the table had, for the accounts.

    Raises:
        RuntimeError: Rows in are not rows kept and quarantined.
    """
    kept, refused = [], list(matched.refused)
    for row, path in matched.cases:
        fact = facts[path]
        if fact.problem:
            problem = Problem("unreadable image", fact.problem)
            refused.append(Refused(row.image_id, str(path), row.line, problem))
        else:
            kept.append((row, path, fact))
    kept.sort(key=lambda case: case[0].image_id)
    refused.sort(key=lambda case: (case.line is None, case.line or 0, case.path))
    return Ingested(
        manifest=_manifest(source, kept),
        quarantine=_quarantine(source, refused),
        summary=_summarise(source, [row for row, _, _ in kept], refused, rows_in),
    )


def _problem_of_files(row: Row, paths: Sequence[Path]) -> Problem | None:
    if not paths:
        return Problem("no image", f"image file {row.image_id}.jpg, .jpeg or .png must exist.")
    if len(paths) > 1:
        shown = [str(path) for path in paths[:5]]
        return Problem("several images", f"image must be one file. Got: {shown}.")
    return None


def _manifest(source: str, kept: Sequence[tuple[Row, Path, ImageFacts]]) -> pd.DataFrame:
    records = [
        {
            "image_id": row.image_id,
            "source": source,
            "path": str(path),
            "patient_id": row.patient_id,
            "lesion_id": row.lesion_id,
            "sex": row.sex,
            "age_years": row.age_years,
            "site": row.site,
            "diagnosis_raw": row.diagnosis_raw,
            "diagnosis": row.diagnosis,
            "licence": row.licence,
            "width_px": fact.width_px,
            "height_px": fact.height_px,
            "sha256": fact.sha256,
            "perceptual_hash": fact.perceptual_hash,
            "fitzpatrick_skin_type": row.fitzpatrick_skin_type,
        }
        for row, path, fact in kept
    ]
    return pd.DataFrame(records, columns=list(COLUMNS))


def _quarantine(source: str, refused: Sequence[Refused]) -> pd.DataFrame:
    records = [
        (
            source,
            case.image_id,
            case.path,
            "" if case.line is None else str(case.line),
            " ".join(case.problem.text.split()),  # one line, whatever a decoder wrote
        )
        for case in refused
    ]
    return pd.DataFrame(records, columns=list(QUARANTINE_COLUMNS))


def _summarise(
    source: str, kept: Sequence[Row], refused: Sequence[Refused], rows_in: int
) -> dict[str, Any]:
    of_rows = [case for case in refused if case.line is not None]
    if rows_in != len(kept) + len(of_rows):
        raise RuntimeError(
            f"{source}: rows in must be kept + quarantined. "
            f"Got: {rows_in}, {len(kept)} and {len(of_rows)}."
        )
    classes = Counter(row.diagnosis for row in kept)
    unknown = Counter(pair for row in kept for pair in row.unknown_words)
    return {
        "rows_in": rows_in,
        "kept": len(kept),
        "quarantined": len(of_rows),
        "files_without_row": len(refused) - len(of_rows),
        "reasons": dict(Counter(case.problem.kind for case in of_rows)),
        "classes": {name: classes[name] for name in CLASSES},
        "missing": {
            "sex": sum(not row.sex for row in kept),
            "age_years": sum(math.isnan(row.age_years) for row in kept),
            "site": sum(not row.site for row in kept),
            "patient_id": sum(not row.patient_id for row in kept),
            "lesion_id": sum(not row.lesion_id for row in kept),
            "fitzpatrick_skin_type": sum(not row.fitzpatrick_skin_type for row in kept),
        },
        "unknown_words": {
            column: {word: n for (name, word), n in unknown.items() if name == column}
            for column in ("sex", "site", "fitzpatrick_skin_type")
        },
    }
