"""The table of cases: its columns, its checks, reading and writing.

One row per image, CSV in UTF-8. An empty cell means unknown. Stage `ingest` writes `COLUMNS`,
stage `split` appends `SPLIT_COLUMNS`.

| column | meaning |
|---|---|
| path | of the original, as it was given to stage `ingest` |
| patient_id, lesion_id | shared by images of one patient, of one lesion; across sources too |
| sex, age_years, site | in the words and limits of `pipeline.demographics` |
| diagnosis_raw, diagnosis | the archive's own words; one of `pipeline.classes.CLASSES` |
| width_px, height_px | of the original after its EXIF orientation |
| sha256 | of the file's bytes |
| perceptual_hash | see `pipeline.images.hashing` |
| fitzpatrick_skin_type | I to VI, where somebody looked; most archives do not tell |
| group_id | smallest image_id of the connected component |
| fold | `test`, 0 to folds - 1, or `calibration` where that part is set aside |
"""

from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pandera

from pipeline.classes import CLASSES
from pipeline.demographics import AGE_LIMIT_YEARS, SEXES, SITES, SKIN_TYPES
from pipeline.storage import write_csv

COLUMNS = (
    "image_id",
    "source",
    "path",
    "patient_id",
    "lesion_id",
    "sex",
    "age_years",
    "site",
    "diagnosis_raw",
    "diagnosis",
    "licence",
    "width_px",
    "height_px",
    "sha256",
    "perceptual_hash",
    "fitzpatrick_skin_type",
)
SPLIT_COLUMNS = ("group_id", "fold")
HEADER_LINES = 1
# Folds of cases that no network trains on: nothing is chosen by the first, the second makes what
# turns the scores of several networks into probabilities.
TEST = "test"
CALIBRATION = "calibration"


def _words(*words: str) -> pandera.Column:
    return pandera.Column(checks=pandera.Check.isin(words, error=f"be one of {list(words)}"))


def _numbers(kind: type, *checks: pandera.Check) -> pandera.Column:
    return pandera.Column(kind, list(checks), coerce=True, nullable=kind is float)


def _pattern(pattern: str, rule: str) -> pandera.Column:
    return pandera.Column(checks=pandera.Check.str_matches(pattern, error=rule))


# The text of a check is what its rule says in a message, after "must". Columns that are not named
# here hold any text.
RULES = {
    "image_id": pandera.Column(
        checks=[
            pandera.Check(lambda ids: ids != "", error="not be empty"),
            pandera.Check(lambda ids: ~ids.duplicated(), error="be unique"),
        ]
    ),
    "sex": _words("", *SEXES),
    "age_years": _numbers(
        float,
        pandera.Check.in_range(0, AGE_LIMIT_YEARS, error=f"be from 0 to {AGE_LIMIT_YEARS:.0f}"),
    ),
    "site": _words("", *SITES),
    "diagnosis": _words(*CLASSES),
    "width_px": _numbers(int, pandera.Check.ge(1, error="be at least 1")),
    "height_px": _numbers(int, pandera.Check.ge(1, error="be at least 1")),
    "sha256": _pattern("^([0-9a-f]{64})?$", "be 64 hex digits or empty"),
    "fitzpatrick_skin_type": _words("", *SKIN_TYPES),
    "group_id": pandera.Column(checks=pandera.Check(lambda ids: ids != "", error="not be empty")),
    "fold": _pattern("^(test|calibration|[0-9]+)$", "be test, calibration or a whole number"),
}


class ManifestError(ValueError):
    """A manifest is not what the stages agree on; the message names the file and the row."""


def read(path: Path) -> pd.DataFrame:
    """Read a manifest, before or after stage `split`.

    Returns:
        `COLUMNS` (and `SPLIT_COLUMNS`): `age_years` float64 with NaN where unknown, `width_px` and
        `height_px` int64, all others text, empty where unknown.

    Raises:
        ManifestError: The file is absent, or a column, a number or a word is not as agreed.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        raise ManifestError(f"{path} must exist. Run the stage that writes it.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} must be a CSV table in UTF-8. Got: {error}.") from error
    _check_columns(frame, path)
    return _check_rows(frame.replace({"age_years": {"": None}}), path)


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a manifest whole or not at all.

    Raises:
        ManifestError: A column, a number or a word is not as agreed; nothing is written.
    """
    _check_columns(frame, path)
    frame = _check_rows(frame, path)
    write_csv(path, frame)


def generated_sources(frame: pd.DataFrame) -> list[str]:
    """Name the sources that stage `sample` drew; they show no patient.

    It is told by the folder, `.../sample/<source>/`, of all originals of a source.
    """
    return [
        str(source)
        for source, paths in ("/" + frame.path).groupby(frame.source)
        if paths.str.contains(f"/sample/{source}/", regex=False).all()
    ]


def _check_columns(frame: pd.DataFrame, path: Path) -> None:
    if tuple(frame.columns) not in (COLUMNS, COLUMNS + SPLIT_COLUMNS):
        raise ManifestError(
            f"{path} must have the columns {list(COLUMNS)}, and after stage split "
            f"{list(SPLIT_COLUMNS)}. Got: {list(frame.columns)}."
        )


def _check_rows(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Turn numbers into numbers; raise for the first rule that some row breaks, by column."""
    frame = frame.reset_index(drop=True)
    schema = pandera.DataFrameSchema({name: RULES[name] for name in frame if name in RULES})
    try:
        return schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        raise ManifestError(f"{path} {_describe(error.failure_cases, frame)}") from None


def _describe(failures: pd.DataFrame, frame: pd.DataFrame) -> str:
    """Say the first rule that is broken: its first row, and up to five of its values."""
    # A column that could not be made numbers fails its other checks too.
    failures = failures.assign(
        is_number=~failures.check.str.startswith("coerce_dtype"),
        place=failures.column.map(list(frame).index),
    ).sort_values(["is_number", "place", "check_number"], kind="stable")
    first = failures.iloc[0]
    broken = failures[(failures.column == first.column) & (failures.check == first.check)]
    rows = sorted(int(index) for index in broken["index"])
    values: list[Any] = frame[first.column].iloc[rows].unique()[:5].tolist()
    rule = first.check if first.is_number else "be a number"
    return (
        f"row {rows[0] + 1 + HEADER_LINES}: {first.column} must {rule}. "
        f"Got: {values} in {len(rows)} rows."
    )
