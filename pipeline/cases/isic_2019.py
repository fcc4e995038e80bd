"""The tables of ISIC 2019: one-hot ground truth, and metadata, a row per image in each."""

from functools import partial
from pathlib import Path

from pipeline.cases import diagnosis
from pipeline.cases.demographic_words import site_of
from pipeline.cases.rows import Problem, Row, Words, make_row
from pipeline.cases.tables import Record, read_table
from pipeline.classes import CLASSES

TRUTH = "ISIC_2019_Training_GroundTruth.csv"
METADATA = "ISIC_2019_Training_Metadata.csv"
NEEDS = f"{TRUTH} and {METADATA}"
LICENCE = "CC-BY-NC"  # published with the challenge, not in its tables


def is_in(folder: Path) -> bool:
    """Say whether a folder holds both tables."""
    return (folder / TRUTH).is_file() and (folder / METADATA).is_file()


def read_rows(folder: Path) -> list[Row]:
    """Read the rows of both tables, joined by image; see `pipeline.cases.sources.read_rows`."""
    truth = read_table(folder / TRUTH, ("image", *CLASSES))
    metadata = read_table(
        folder / METADATA, ("image", "age_approx", "anatom_site_general", "lesion_id", "sex")
    )
    of_image: dict[str, list[Record]] = {}
    for record in metadata.records:
        of_image.setdefault(record.values["image"], []).append(record)
    rows = []
    for record in truth.records:
        found = of_image.get(record.values["image"], [])
        rows.append(_row(record, found, METADATA))
    # Without ground truth there is no class, but the row was there and must be accounted for.
    known = {record.values["image"] for record in truth.records}
    for image_id, found in of_image.items():
        if image_id not in known:
            rows += [_row(record, [], TRUTH) for record in found]
    return rows


def _row(record: Record, metadata: list[Record], other_table: str) -> Row:
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
            path=None,
            patient_id="",
            lesion_id=about.get("lesion_id", ""),
            sex=about.get("sex", ""),
            age=about.get("age_approx", ""),
            site=site_of(about.get("anatom_site_general", ""), (), ""),
            diagnosis_raw="+".join(diagnosis.marked_classes(truth)),
            classify=partial(diagnosis.class_of_one_hot, truth),
            licence=LICENCE,
            problem=problem,
        ),
    )
