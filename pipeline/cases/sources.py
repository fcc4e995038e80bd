"""Read the tables of each archive's form into rows.

| form | tables, in the raw folder |
|---|---|
| isic_2019 | ISIC_2019_Training_GroundTruth.csv and ISIC_2019_Training_Metadata.csv |
| isic_2020 | the first of `TABLES_2020`; ISIC_2020_Training_Duplicates.csv where it is there |
| isic_cli | metadata.csv of the archive's command line tool, today's or the older flat one |

A row that cannot be used is still a row, with its problem: the counts must come out.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pipeline.cases import diagnosis
from pipeline.cases.demographic_words import site_of
from pipeline.cases.rows import Problem, Row, Words, make_row
from pipeline.cases.tables import Record, Table, TableError, read_table
from pipeline.classes import CLASSES

TRUTH_2019 = "ISIC_2019_Training_GroundTruth.csv"
METADATA_2019 = "ISIC_2019_Training_Metadata.csv"
TABLES_2020 = (
    "ISIC_2020_Training_GroundTruth_v2.csv",  # the only one with lesion_id
    "ISIC_2020_Training_GroundTruth.csv",
    "train.csv",  # Kaggle
)
DUPLICATES_2020 = "ISIC_2020_Training_Duplicates.csv"
METADATA_CLI = "metadata.csv"
LICENCE_OF_CHALLENGES = "CC-BY-NC"  # published with both challenges, not in their tables
DERMOSCOPIC = "dermoscopic"


def read_rows(folder: Path, form: str) -> list[Row]:
    """Read the rows of an archive; rows that cannot be used carry their problem.

    Args:
        folder: Raw folder with the form's tables.
        form: Key of `FORMS`.

    Raises:
        TableError: The form is not known, or a table is absent, damaged or lacks a column.
    """
    if form not in FORMS:
        raise TableError(f"form must be one of {sorted(FORMS)}. Got: {form!r}.")
    if not folder.is_dir():
        raise TableError(f"{folder} must be a folder with the images and tables of {form}.")
    return _mark_repeated(FORMS[form](folder))


def _read_isic_2019(folder: Path) -> list[Row]:
    truth = read_table(folder / TRUTH_2019, ("image", *CLASSES))
    metadata = read_table(
        folder / METADATA_2019, ("image", "age_approx", "anatom_site_general", "lesion_id", "sex")
    )
    of_image: dict[str, list[Record]] = {}
    for record in metadata.records:
        of_image.setdefault(record.values["image"], []).append(record)
    rows = []
    for record in truth.records:
        found = of_image.get(record.values["image"], [])
        rows.append(_row_2019(record, found, METADATA_2019))
    # Without ground truth there is no class, but the row was there and must be accounted for.
    known = {record.values["image"] for record in truth.records}
    for image_id, found in of_image.items():
        if image_id not in known:
            rows += [_row_2019(record, [], TRUTH_2019) for record in found]
    return rows


def _row_2019(record: Record, metadata: list[Record], other_table: str) -> Row:
    """Join a row with those of the same image in the other table."""
    distinct = [found for found in metadata if found.values != metadata[0].values]
    problem = None
    if not metadata:
        problem = Problem("no partner row", f"image must have a row in {other_table}.")
    elif distinct or metadata[0].problem:
        lines = [found.line for found in metadata]
        text = f"image must have one undamaged row in {other_table}. Got: lines {lines[:5]}."
        problem = Problem("no partner row", text)
    about = metadata[0].values if metadata else {}
    truth = {name: record.values.get(name, "") for name in CLASSES}
    return make_row(
        record,
        Words(
            image_id=record.values["image"],
            patient_id="",
            lesion_id=about.get("lesion_id", ""),
            sex=about.get("sex", ""),
            age=about.get("age_approx", ""),
            site=site_of(about.get("anatom_site_general", ""), (), ""),
            diagnosis_raw="+".join(diagnosis.marked_classes(truth)),
            classify=partial(diagnosis.class_of_one_hot, truth),
            licence=LICENCE_OF_CHALLENGES,
            problem=problem,
        ),
    )


def _read_isic_2020(folder: Path) -> list[Row]:
    names = [name for name in TABLES_2020 if (folder / name).is_file()]
    if not names:
        there = sorted(path.name for path in folder.glob("*.csv"))
        raise TableError(f"{folder} must hold one of {list(TABLES_2020)}. Got: {there[:5]}.")
    table = read_table(
        folder / names[0],
        (
            "image_name",
            "patient_id",
            "sex",
            "age_approx",
            "anatom_site_general_challenge",
            "diagnosis",
        ),
    )
    originals = _read_official_duplicates(folder / DUPLICATES_2020, table)
    return [_row_2020(record, originals) for record in table.records]


def _read_official_duplicates(path: Path, table: Table) -> dict[str, str]:
    """Return the first image of each official pair by the second, where the first is there too."""
    if not path.is_file():
        return {}
    there = {record.values["image_name"] for record in table.records}
    pairs = [record.values for record in read_table(path, ("image_name_1", "image_name_2")).records]
    return {
        pair["image_name_2"]: pair["image_name_1"]
        for pair in pairs
        if pair["image_name_1"] in there and pair["image_name_1"] != pair["image_name_2"]
    }


def _row_2020(record: Record, originals: dict[str, str]) -> Row:
    values = record.values
    problem = None
    if values["image_name"] in originals:
        text = f"official duplicate of {originals[values['image_name']]}."
        problem = Problem("official duplicate", text)
    word, outcome = values["diagnosis"], values.get("benign_malignant", "")
    return make_row(
        record,
        Words(
            image_id=values["image_name"],
            patient_id=values["patient_id"],
            lesion_id=values.get("lesion_id", ""),
            sex=values["sex"],
            age=values["age_approx"],
            site=site_of(values["anatom_site_general_challenge"], (), ""),
            diagnosis_raw=word,
            classify=partial(diagnosis.class_of_word, word, outcome),
            licence=LICENCE_OF_CHALLENGES,
            problem=problem,
        ),
    )


def _read_isic_cli(folder: Path) -> list[Row]:
    # The export's columns depend on the query: only the image and a diagnosis are always there.
    table = read_table(folder / METADATA_CLI, ())
    id_column = table.require_one_of(("isic_id", "image_name"))
    is_flat = table.require_one_of(("diagnosis_1", "diagnosis")) == "diagnosis"
    return [_row_cli(record, id_column, is_flat) for record in table.records]


def _row_cli(record: Record, id_column: str, is_flat: bool) -> Row:
    def word(column: str) -> str:
        return record.values.get(column, "")

    levels = [word(f"diagnosis_{level}") for level in range(1, 6)]
    classify = partial(diagnosis.class_of_levels, levels[:3])
    if is_flat:
        flat = word("diagnosis") or "unknown"  # an empty cell is the archive's "unknown"
        classify = partial(diagnosis.class_of_word, flat, word("benign_malignant"))
    problem = None
    if word("image_type").casefold() not in ("", DERMOSCOPIC):
        text = f"image_type must be {DERMOSCOPIC!r}. Got: {word('image_type')!r}."
        problem = Problem("not dermoscopic", text)
    narrower = (word("anatom_site_special"), word("anatom_site_3"))
    return make_row(
        record,
        Words(
            image_id=word(id_column),
            patient_id=word("patient_id"),
            lesion_id=word("lesion_id"),
            sex=word("sex"),
            age=word("age_approx"),
            site=site_of(word("anatom_site_general"), narrower, word("anatom_site_1")),
            diagnosis_raw=word("diagnosis") if is_flat else diagnosis.join_levels(levels),
            classify=classify,
            licence=word("copyright_license"),
            problem=problem,
        ),
    )


FORMS: dict[str, Callable[[Path], list[Row]]] = {
    "isic_2019": _read_isic_2019,
    "isic_2020": _read_isic_2020,
    "isic_cli": _read_isic_cli,
}


def _mark_repeated(rows: list[Row]) -> list[Row]:
    """Give the rows of an image that a table names more than once their problem.

    Where the diagnoses agree, the first row stays; where they do not, none can be trusted.
    """
    of_image: dict[str, list[Row]] = {}
    for row in rows:
        of_image.setdefault(row.image_id, []).append(row)
    return [_mark(row, of_image[row.image_id]) for row in rows]


def _mark(row: Row, same: list[Row]) -> Row:
    # An earlier problem of the row itself stays: it is the more telling one.
    if len(same) == 1 or not row.image_id or row.problem:
        return row
    lines = [other.line for other in same]
    if len({other.diagnosis or other.diagnosis_raw.casefold() for other in same}) > 1:
        text = f"image must have one diagnosis. Got: lines {lines[:5]} that differ."
        return dataclasses.replace(row, problem=Problem("conflicting rows", text))
    if row is not same[0]:
        text = f"image must have one row. Got: also line {lines[0]}."
        return dataclasses.replace(row, problem=Problem("repeated row", text))
    return row
