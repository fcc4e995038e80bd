"""The table of ISIC 2020, as ISIC or as Kaggle published it, and the official duplicates."""

from functools import partial
from pathlib import Path

from pipeline.cases import diagnosis
from pipeline.cases.demographic_words import site_of
from pipeline.cases.rows import Problem, Row, Words, make_row
from pipeline.cases.tables import Record, Table, TableError, read_table

TABLES = (
    "ISIC_2020_Training_GroundTruth_v2.csv",  # the only one with lesion_id
    "ISIC_2020_Training_GroundTruth.csv",
    "train.csv",  # Kaggle
)
DUPLICATES = "ISIC_2020_Training_Duplicates.csv"
NEEDS = " or ".join(TABLES)
LICENCE = "CC-BY-NC"  # published with the challenge, not in its table


def is_in(folder: Path) -> bool:
    """Say whether a folder holds one of the tables."""
    return any((folder / name).is_file() for name in TABLES)


def read_rows(folder: Path) -> list[Row]:
    """Read the rows of the first table there is; see `pipeline.cases.sources.read_rows`."""
    names = [name for name in TABLES if (folder / name).is_file()]
    if not names:
        there = sorted(path.name for path in folder.glob("*.csv"))
        raise TableError(f"{folder} must hold one of {list(TABLES)}. Got: {there[:5]}.")
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
    table.refuse_misspelt(("lesion_id", "benign_malignant"))
    originals = _read_official_duplicates(folder / DUPLICATES, table)
    return [_row(record, originals) for record in table.records]


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


def _row(record: Record, originals: dict[str, str]) -> Row:
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
            path=None,
            patient_id=values["patient_id"],
            lesion_id=values.get("lesion_id", ""),
            sex=values["sex"],
            age=values["age_approx"],
            site=site_of(values["anatom_site_general_challenge"], (), ""),
            diagnosis_raw=word,
            classify=partial(diagnosis.class_of_word, word, outcome),
            licence=LICENCE,
            problem=problem,
        ),
    )
