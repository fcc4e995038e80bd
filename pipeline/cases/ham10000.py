"""The table of HAM10000 as Harvard's Dataverse gives it (doi:10.7910/DVN/DBW86T).

Its word `akiec` holds actinic keratoses and squamous cell carcinomas in situ. ISIC 2019 has the
same images in two classes, 130 AK and 197 SCC: where its ground truth lies beside the table, that
decides. How a diagnosis was confirmed (`dx_type`) is left out, for it betrays the class.
"""

from functools import partial
from pathlib import Path

from pipeline.cases import diagnosis
from pipeline.cases.demographic_words import site_of
from pipeline.cases.rows import Row, Words, make_row
from pipeline.cases.tables import Record, TableError, read_table
from pipeline.classes import CLASSES

TABLES = ("HAM10000_metadata", "HAM10000_metadata.csv", "HAM10000_metadata.tab")
TRUTH_2019 = "ISIC_2019_Training_GroundTruth.csv"
COLUMNS = ("lesion_id", "image_id", "dx", "age", "sex", "localization")
NEEDS = " or ".join(TABLES)
LICENCE = "CC-BY-NC"  # published with the images, not in the table


def is_in(folder: Path) -> bool:
    """Say whether a folder holds the table under one of its names."""
    return any((folder / name).is_file() for name in TABLES)


def read_rows(folder: Path) -> list[Row]:
    """Read the rows of the table; see `pipeline.cases.sources.read_rows`."""
    names = [name for name in TABLES if (folder / name).is_file()]
    if not names:
        there = sorted(path.name for path in folder.iterdir() if path.is_file())
        raise TableError(f"{folder} must hold one of {list(TABLES)}. Got: {there[:5]}.")
    table = read_table(folder / names[0], COLUMNS)
    truth = _read_truth(folder / TRUTH_2019)
    return [_row(record, truth) for record in table.records]


def _read_truth(path: Path) -> dict[str, list[str]]:
    """Return the marked classes by image, where ISIC 2019's ground truth is there."""
    if not path.is_file():
        return {}
    return {
        record.values["image"]: diagnosis.marked_classes(record.values)
        for record in read_table(path, ("image", *CLASSES)).records
    }


def _row(record: Record, truth: dict[str, list[str]]) -> Row:
    values = record.values
    return make_row(
        record,
        Words(
            image_id=values["image_id"],
            path=None,
            patient_id="",
            lesion_id=values["lesion_id"],
            sex=values["sex"],
            age=values["age"],
            site=site_of(values["localization"], (), ""),
            diagnosis_raw=values["dx"],
            classify=partial(
                diagnosis.class_of_ham_word, values["dx"], truth.get(values["image_id"], [])
            ),
            licence=LICENCE,
            problem=None,
        ),
    )
