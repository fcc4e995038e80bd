"""One row of an archive's table, in the words of the manifest, with what is wrong with it."""

import math
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.cases.demographic_words import age_of, is_missing, sex_of, skin_type_of
from pipeline.cases.diagnosis import UnknownDiagnosisError
from pipeline.cases.tables import Record


@dataclass(frozen=True)
class Problem:
    """Why a row or a file is not used: the kind is counted, the text is for people."""

    kind: str
    text: str


@dataclass(frozen=True)
class Row:
    """What a table says of one image; empty text and NaN where unknown.

    Attributes:
        line: Line of the table.
        path: Of the file, relative to the raw folder, where the form names it; `None` where the
            image id does.
        problem: Why the row cannot be used, or `None`.
        unknown_words: (column, word) of each word for sex, site or skin type that is not known.
        fitzpatrick_skin_type: I to VI.
    """

    line: int
    image_id: str
    path: Path | None
    patient_id: str
    lesion_id: str
    sex: str
    age_years: float
    site: str
    diagnosis_raw: str
    diagnosis: str
    licence: str
    problem: Problem | None
    unknown_words: tuple[tuple[str, str], ...]
    fitzpatrick_skin_type: str = ""


@dataclass(frozen=True)
class Words:
    """What a form's reader takes from a record before it becomes a `Row`.

    Attributes:
        path: As in `Row`.
        site: The site and the word that was not known, as from `site_of`.
        classify: Gives the class or raises `UnknownDiagnosisError`.
        problem: A problem that only this form has, or `None`.
        fitzpatrick_skin_type: As in `Row`; most forms have none.
    """

    image_id: str
    path: Path | None
    patient_id: str
    lesion_id: str
    sex: str
    age: str
    site: tuple[str, str]
    diagnosis_raw: str
    classify: Callable[[], str]
    licence: str
    problem: Problem | None
    fitzpatrick_skin_type: str = ""


def make_row(record: Record, words: Words) -> Row:
    """Turn a record into a row; the first problem found is the row's problem."""
    problems = [_problem_of_record(record, words), words.problem]
    diagnosis, age_years = "", math.nan
    try:
        diagnosis = words.classify()
    except UnknownDiagnosisError as error:
        problems.append(Problem("unknown diagnosis", str(error)))
    try:
        age_years = age_of(words.age)
    except ValueError as error:
        problems.append(Problem("wrong age", str(error)))
    sex, unknown_sex = sex_of(words.sex)
    site, unknown_site = words.site
    skin_type, unknown_type = skin_type_of(words.fitzpatrick_skin_type)
    return Row(
        line=record.line,
        # The same letters, however they are composed: macOS parts an é in file names in two.
        image_id=unicodedata.normalize("NFC", words.image_id),
        path=words.path,
        patient_id=_identifier(words.patient_id),
        lesion_id=_identifier(words.lesion_id),
        sex=sex,
        age_years=age_years,
        site=site,
        diagnosis_raw=words.diagnosis_raw,
        diagnosis=diagnosis,
        licence=words.licence,
        problem=next((problem for problem in problems if problem), None),
        unknown_words=tuple(
            (column, word)
            for column, word in (
                ("sex", unknown_sex),
                ("site", unknown_site),
                ("fitzpatrick_skin_type", unknown_type),
            )
            if word
        ),
        fitzpatrick_skin_type=skin_type,
    )


def _problem_of_record(record: Record, words: Words) -> Problem | None:
    if record.problem:
        return Problem("damaged row", record.problem)
    if not words.image_id:
        return Problem("no image id", "image id must not be empty.")
    if any(letter in "/\\" or unicodedata.category(letter) == "Cc" for letter in words.image_id):
        text = "image id must be a file's name, without slashes and control characters."
        return Problem("wrong image id", f"{text} Got: {words.image_id!r}.")
    return None


def _identifier(word: str) -> str:
    """Empty where missing: a placeholder shared by strangers must not link them."""
    return "" if is_missing(word) else word
