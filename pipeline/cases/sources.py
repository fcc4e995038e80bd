"""Read each archive's own form into rows, and tell which form a folder has.

| form | what the raw folder holds |
|---|---|
| isic_2019 | ISIC_2019_Training_GroundTruth.csv and ISIC_2019_Training_Metadata.csv |
| isic_2020 | a table of ISIC 2020, or Kaggle's train.csv; the official duplicates, if at hand |
| ham10000 | HAM10000_metadata, as on Harvard's Dataverse |
| isic_cli | metadata.csv of the archive's command line tool, today's or the older flat one |
| class_folders | no table: a folder per class |

A row that cannot be used is still a row, with its problem: the counts must come out.
"""

import dataclasses
from pathlib import Path
from types import ModuleType

from pipeline.cases import class_folders, ham10000, isic_2019, isic_2020, isic_cli
from pipeline.cases.rows import Problem, Row
from pipeline.cases.tables import TableError

# Each module has `read_rows`, `is_in` and `NEEDS`.
FORMS: dict[str, ModuleType] = {
    "isic_2019": isic_2019,
    "isic_2020": isic_2020,
    "ham10000": ham10000,
    "isic_cli": isic_cli,
    "class_folders": class_folders,
}


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
    return _mark_repeated(FORMS[form].read_rows(folder))


def recognise_form(folder: Path) -> str:
    """Tell a raw folder's form by its tables; folders of classes count where there is no table.

    Raises:
        TableError: The folder has no known form, or several.
    """
    if not folder.is_dir():
        raise TableError(f"{folder} must be a folder with images.")
    found = [name for name, form in FORMS.items() if form.is_in(folder)]
    if len(found) > 1:
        found = [name for name in found if name != "class_folders"]
    if len(found) == 1:
        return found[0]
    if found:
        raise TableError(f"{folder} must have the table of one form. Got: those of {found}.")
    needs = "; ".join(f"{name}: {form.NEEDS}" for name, form in FORMS.items())
    there = sorted(path.name for path in folder.iterdir())
    raise TableError(f"{folder} must have a known form ({needs}). Got: {there[:5]}.")


def _mark_repeated(rows: list[Row]) -> list[Row]:
    """Give the rows of an image that a table names more than once their problem.

    Where the diagnoses agree, the first usable row stays; where they do not, none can be trusted.
    Ids that differ in upper and lower case alone are one file on some disks and two on others.
    """
    of_image: dict[str, list[Row]] = {}
    for row in rows:
        of_image.setdefault(row.image_id.casefold(), []).append(row)
    return [_mark(row, of_image[row.image_id.casefold()]) for row in rows]


def _mark(row: Row, same: list[Row]) -> Row:
    # An earlier problem of the row itself stays: it is the more telling one.
    if len(same) == 1 or not row.image_id or row.problem:
        return row
    lines = [other.line for other in same]
    usable = [other for other in same if not other.problem]
    problem = None
    if len({other.image_id for other in same}) > 1:
        text = f"image id must differ in more than upper and lower case. Got: lines {lines[:5]}."
        problem = Problem("ids alike", text)
    elif len({other.diagnosis or other.diagnosis_raw.casefold() for other in same}) > 1:
        text = f"image must have one diagnosis. Got: lines {lines[:5]} that differ."
        problem = Problem("conflicting rows", text)
    elif row is not usable[0]:
        text = f"image must have one row. Got: also line {usable[0].line}."
        problem = Problem("repeated row", text)
    return dataclasses.replace(row, problem=problem)
