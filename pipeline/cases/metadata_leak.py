"""Ask how well the tables alone tell the class: where that is nearly perfect, something leaks.

A forest is shown what is known of a case without its pixels: age, sex and site, which a network may
be given too, and what should tell nothing, such as the size of the file's picture and how many
images its patient has. It learns from some folds and is asked about the others, each class against
the rest. In the archives these columns do tell something (in ISIC 2020 the size of a picture, for
one), so the figures are written down; an AUROC at the ceiling means that a column is the answer in
other words, and that a network would learn that instead of the disease.

Each source is asked by itself. That a class comes from one source, as UNK does from ISIC 2020,
would otherwise look like a leak, through whatever tells the sources apart. A source that holds one
class alone has no figure.
"""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from pipeline.cases.split import SplitParams
from pipeline.classes import CLASSES
from pipeline.manifest import CALIBRATION, TEST

COLUMNS = (
    "age_years",
    "sex",
    "site",
    "width_px",
    "height_px",
    "images_per_patient",
    "images_per_lesion",
    "file_type",
    "licence",
)
CASES_LIMIT = 20_000  # to learn from, and to ask about in one part: more changes no figure much
ALL_FOLDS = "all folds"
SET_ASIDE = (TEST, CALIBRATION)  # not learnt from
FIRST_COLUMNS = 3  # that the error names


class TooGoodError(ValueError):
    """The tables alone tell a class; the message names class, part and columns."""


def measure_leak(frame: pd.DataFrame, params: SplitParams) -> dict[str, Any]:
    """Measure in each source how well the tables tell each class, by fold and on the test set.

    Args:
        frame: Manifest with `fold`, no row repeated.
        params: The ceiling, and the fewest cases of a class and of the rest for a figure.

    Returns:
        What the proof says of it; `None` where there are too few cases.

    Raises:
        TooGoodError: A figure is at the ceiling or above.
    """
    table = describe_cases(frame.sort_values("image_id"))
    by_source = table.groupby("source")
    return {
        "columns": list(COLUMNS),
        "ceiling": params.too_good_auroc,
        "least_cases": params.too_good_cases,
        "sources": {
            name: measure_source(str(name), rows.reset_index(drop=True), params)
            for name, rows in by_source
        },
    }


def measure_source(source: str, table: pd.DataFrame, params: SplitParams) -> dict[str, Any]:
    """Measure one source's cases, as from `describe_cases`.

    Raises:
        TooGoodError: A figure is at the ceiling or above.
    """
    folds = sorted(set(table.fold))
    parts = {fold: table.fold == fold for fold in folds}
    parts[ALL_FOLDS] = ~table.fold.isin(SET_ASIDE)
    scores = score_parts(table, COLUMNS, folds, params.seed)
    found = {part: measure_classes(table, scores, chosen, params) for part, chosen in parts.items()}
    reached = [
        (figure, part, name)
        for part, figures in found.items()
        for name, figure in figures.items()
        if figure is not None and figure >= params.too_good_auroc
    ]
    if reached:
        raise TooGoodError(explain_ceiling(source, table, parts, reached, params))
    alone = {column: score_parts(table, [column], [TEST], params.seed) for column in COLUMNS}
    return {
        "auroc": found,
        "macro_auroc": {part: mean_of(figures) for part, figures in found.items()},
        "macro_auroc_on_test_of_one_column": {
            column: mean_of(measure_classes(table, scores, table.fold == TEST, params))
            for column, scores in alone.items()
        },
    }


def describe_cases(frame: pd.DataFrame) -> pd.DataFrame:
    """Lay out `COLUMNS` as numbers, NaN where unknown, beside label, fold and source."""
    return pd.DataFrame(
        {
            "age_years": frame.age_years,
            "sex": number_words(frame.sex),
            "site": number_words(frame.site),
            "width_px": frame.width_px.astype(float),
            "height_px": frame.height_px.astype(float),
            "images_per_patient": count_same(frame.patient_id),
            "images_per_lesion": count_same(frame.lesion_id),
            "file_type": number_words(frame.path.map(lambda path: PurePath(path).suffix.lower())),
            "licence": number_words(frame.licence),
            "label": frame.diagnosis,
            "fold": frame.fold,
            "source": frame.source,
        }
    )


def number_words(words: pd.Series) -> pd.Series:
    """Number words in alphabetical order; NaN for the empty one."""
    numbers = {word: number for number, word in enumerate(sorted(set(words) - {""}))}
    return words.map(numbers).astype(float)


def count_same(identifiers: pd.Series) -> pd.Series:
    """Count the rows with the same identifier; NaN for the empty one."""
    return identifiers.map(identifiers.value_counts()).where(identifiers != "").astype(float)


def score_parts(
    table: pd.DataFrame, columns: Sequence[str], parts: Sequence[str], seed: int
) -> np.ndarray:
    """Score the cases of each part by what has learnt without them, `(cases, classes)`.

    What is set aside has its scores from all folds, a fold from the others. NaN where there is no
    score: the class was not there to learn, the part is not asked for, or it has more cases than
    `CASES_LIMIT`.
    """
    scores = np.full((len(table), len(CLASSES)), np.nan)
    rng = np.random.default_rng(seed)
    for part in parts:
        learnt = draw_rows(~table.fold.isin([part, *SET_ASIDE]), rng)
        asked = draw_rows(table.fold == part, rng)
        if len(learnt) and len(asked):
            learner = choose_learner(len(columns), seed)
            learner.fit(table.loc[learnt, list(columns)], table.label[learnt])
            places = [CLASSES.index(name) for name in learner.classes_]
            told = learner.predict_proba(table.loc[asked, list(columns)])
            scores[np.ix_(asked, places)] = told
    return scores


def choose_learner(columns: int, seed: int) -> ClassifierMixin:
    """Return a forest, or for a single column a tree, which learns as much from it in less time."""
    seed %= 2**32
    if columns == 1:
        return DecisionTreeClassifier(min_samples_leaf=3, max_leaf_nodes=64, random_state=seed)
    return RandomForestClassifier(10, min_samples_leaf=3, max_features=None, random_state=seed)


def draw_rows(chosen: pd.Series, rng: np.random.Generator) -> np.ndarray:
    """Return the chosen positions, at most `CASES_LIMIT` of them, ascending."""
    rows = np.flatnonzero(chosen)
    return rows if len(rows) <= CASES_LIMIT else np.sort(rng.choice(rows, CASES_LIMIT, False))


def measure_classes(
    table: pd.DataFrame, scores: np.ndarray, chosen: pd.Series, params: SplitParams
) -> dict[str, float | None]:
    """Return the AUROC of each class against the rest over the chosen cases, to four decimals."""
    figures: dict[str, float | None] = {}
    for name, own in zip(CLASSES, scores.T, strict=True):
        known = chosen.to_numpy() & ~np.isnan(own)
        positive = (table.label == name).to_numpy()[known]
        enough = min(positive.sum(), (~positive).sum()) >= params.too_good_cases
        figures[name] = round(float(roc_auc_score(positive, own[known])), 4) if enough else None
    return figures


def mean_of(figures: dict[str, float | None]) -> float | None:
    """Return the mean of what is known, to four decimals; `None` where nothing is."""
    known = [figure for figure in figures.values() if figure is not None]
    return round(float(np.mean(known)), 4) if known else None


def explain_ceiling(
    source: str,
    table: pd.DataFrame,
    parts: dict[str, pd.Series],
    reached: list[tuple[float, str, str]],
    params: SplitParams,
) -> str:
    """Say of the highest figure what it is, and which columns tell as much by themselves."""
    figure, part, name = max(reached)
    alone, folds = {}, sorted(set(table.fold[parts[part]]))
    for column in COLUMNS:
        scores = score_parts(table, [column], folds, params.seed)
        alone[column] = measure_classes(table, scores, parts[part], params)[name] or 0.0
    first = sorted(alone.items(), key=lambda item: -item[1])[:FIRST_COLUMNS]
    named = {TEST: "the test set", CALIBRATION: "the calibration part", ALL_FOLDS: ALL_FOLDS}
    where = named.get(part, f"fold {part}")
    return (
        f"source {source}: metadata alone must not tell a class: AUROC of {name} against the rest "
        f"on {where} must be below too_good_auroc {params.too_good_auroc}. Got: {figure}, and "
        f"{len(reached) - 1} more at the ceiling. Alone tell most: "
        f"{', '.join(f'{column} {value}' for column, value in first)}. "
        f"Look for what only cases of {name} have in those columns."
    )
