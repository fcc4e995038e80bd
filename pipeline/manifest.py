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
| group_id | smallest image_id of the connected component |
| fold | `test`, or 0 to folds - 1 |
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from pipeline.classes import CLASSES
from pipeline.demographics import AGE_LIMIT_YEARS, SEXES, SITES
from pipeline.storage import atomic_write

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
)
SPLIT_COLUMNS = ("group_id", "fold")
NUMBERS: dict[str, Callable[[str], float]] = {
    "age_years": lambda text: float(text) if text else float("nan"),
    "width_px": int,
    "height_px": int,
}
VOCABULARY = {
    "diagnosis": CLASSES,
    "sex": ("", *SEXES),
    "site": ("", *SITES),
}
HEADER_LINES = 1


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
    for column, convert in NUMBERS.items():
        frame[column] = _to_numbers(frame[column], convert, path)
    _check_rows(frame, path)
    return frame


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a manifest whole or not at all.

    Raises:
        ManifestError: A column, a number or a word is not as agreed; nothing is written.
    """
    _check_columns(frame, path)
    _check_rows(frame, path)
    with atomic_write(path, "w") as file:
        frame.to_csv(file, index=False, lineterminator="\n")


def _check_columns(frame: pd.DataFrame, path: Path) -> None:
    if tuple(frame.columns) not in (COLUMNS, COLUMNS + SPLIT_COLUMNS):
        raise ManifestError(
            f"{path} must have the columns {list(COLUMNS)}, and after stage split "
            f"{list(SPLIT_COLUMNS)}. Got: {list(frame.columns)}."
        )


def _to_numbers(texts: pd.Series, convert: Callable[[str], float], path: Path) -> list[float]:
    numbers = []
    for index, text in enumerate(texts):
        try:
            numbers.append(convert(text))
        except ValueError:
            raise ManifestError(
                f"{path} row {index + 1 + HEADER_LINES}: {texts.name} must be a number. "
                f"Got: {text!r}."
            ) from None
    return numbers


def _check_rows(frame: pd.DataFrame, path: Path) -> None:
    """Raise for the first rule that some row breaks, naming up to five of its values."""
    _refuse(frame, "image_id", frame.image_id == "", "not be empty", path)
    _refuse(frame, "image_id", frame.image_id.duplicated(), "be unique", path)
    for column, words in VOCABULARY.items():
        _refuse(frame, column, ~frame[column].isin(words), f"be one of {list(words)}", path)
    known_age = frame.age_years[frame.age_years.notna()]
    wrong_age = ~known_age.between(0, AGE_LIMIT_YEARS).reindex(frame.index, fill_value=True)
    _refuse(frame, "age_years", wrong_age, f"be from 0 to {AGE_LIMIT_YEARS:.0f}", path)
    for column in ("width_px", "height_px"):
        _refuse(frame, column, frame[column] < 1, "be at least 1", path)


def _refuse(frame: pd.DataFrame, column: str, wrong: pd.Series, rule: str, path: Path) -> None:
    if not wrong.any():
        return
    row = int(wrong.to_numpy().argmax()) + 1 + HEADER_LINES
    values = frame.loc[wrong, column].unique()
    raise ManifestError(
        f"{path} row {row}: {column} must {rule}. Got: {values[:5].tolist()} in {wrong.sum()} rows."
    )
