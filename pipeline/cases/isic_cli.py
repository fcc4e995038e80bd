"""The table that isic-cli writes: today's hierarchy of diagnoses, or the flat one until 2024.

Source of the words: https://github.com/ImageMarkup/isic-metadata.
"""

from functools import partial
from pathlib import Path

from pipeline.cases import diagnosis
from pipeline.cases.demographic_words import site_of
from pipeline.cases.rows import Problem, Row, Words, make_row
from pipeline.cases.tables import Record, read_table

METADATA = "metadata.csv"
NEEDS = METADATA
DERMOSCOPIC = "dermoscopic"
SYNTHETIC = "synthetic"
COLUMNS = (
    "isic_id",
    "image_name",
    "patient_id",
    "lesion_id",
    "sex",
    "age_approx",
    "anatom_site_general",
    "anatom_site_special",
    *(f"anatom_site_{level}" for level in range(1, 6)),
    "diagnosis",
    *(f"diagnosis_{level}" for level in range(1, 6)),
    "benign_malignant",
    "copyright_license",
    "fitzpatrick_skin_type",
    "image_type",
    "image_manipulation",
    "tbp_tile_type",
    "rcm_case_id",
)
# Filled for total body photographs and for confocal microscopy alone.
OTHER_IMAGE_COLUMNS = ("tbp_tile_type", "rcm_case_id")


def is_in(folder: Path) -> bool:
    """Say whether a folder holds the table."""
    return (folder / METADATA).is_file()


def read_rows(folder: Path) -> list[Row]:
    """Read the rows of the export; see `pipeline.cases.sources.read_rows`."""
    # The export's columns depend on the query: only the image and a diagnosis are always there.
    table = read_table(folder / METADATA, ())
    table.refuse_misspelt(COLUMNS)
    id_column = table.require_one_of(("isic_id", "image_name"))
    is_flat = table.require_one_of(("diagnosis_1", "diagnosis")) == "diagnosis"
    return [_row(record, id_column, is_flat) for record in table.records]


def _row(record: Record, id_column: str, is_flat: bool) -> Row:
    def word(column: str) -> str:
        return record.values.get(column, "")

    levels = [word(f"diagnosis_{level}") for level in range(1, 6)]
    classify = partial(diagnosis.class_of_levels, levels[:3])
    if is_flat:
        flat = word("diagnosis") or "unknown"  # an empty cell is the archive's "unknown"
        classify = partial(diagnosis.class_of_word, flat, word("benign_malignant"))
    narrower = (word("anatom_site_special"), word("anatom_site_3"))
    return make_row(
        record,
        Words(
            image_id=word(id_column),
            path=None,
            patient_id=word("patient_id"),
            lesion_id=word("lesion_id"),
            sex=word("sex"),
            age=word("age_approx"),
            site=site_of(word("anatom_site_general"), narrower, word("anatom_site_1")),
            diagnosis_raw=word("diagnosis") if is_flat else diagnosis.join_levels(levels),
            classify=classify,
            licence=word("copyright_license"),
            problem=_problem_of_image(record),
            fitzpatrick_skin_type=word("fitzpatrick_skin_type"),
        ),
    )


def _problem_of_image(record: Record) -> Problem | None:
    """Refuse what is no photograph through a dermoscope, by whichever column says so."""
    image_type = record.values.get("image_type", "")
    if image_type.casefold() not in ("", DERMOSCOPIC):
        text = f"image_type must be {DERMOSCOPIC!r}. Got: {image_type!r}."
        return Problem("not dermoscopic", text)
    for column in OTHER_IMAGE_COLUMNS:
        if word := record.values.get(column, ""):
            text = f"{column} must be empty for a dermoscopic image. Got: {word!r}."
            return Problem("not dermoscopic", text)
    if record.values.get("image_manipulation", "").casefold() == SYNTHETIC:
        return Problem("synthetic image", f"image_manipulation must not be {SYNTHETIC!r}.")
    return None
