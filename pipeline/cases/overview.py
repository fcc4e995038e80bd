"""What the cases are: the tables of the data report, from manifests and accounts alone.

Every function takes the manifest that stage `split` wrote and returns a table with one row per
source, class or fold, for people to read. Shares are 0 to 1. What a table does not know is counted
as missing and never guessed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.classes import CLASSES

TOTAL = "all"
MISSING = "missing"
MAY_BE_MISSING = (
    "sex",
    "age_years",
    "site",
    "fitzpatrick_skin_type",
    "patient_id",
    "lesion_id",
    "licence",
)
LARGEST_SIZES = 12


def count_steps(
    accounts: Mapping[str, Mapping[str, Any]], cases: pd.DataFrame, cropped: int
) -> pd.DataFrame:
    """Follow the rows of each source from its table to the crops.

    Args:
        accounts: By source, the `summary.json` of stage `ingest`.
        cases: Manifest of stage `split`.
        cropped: Images that stage `crop` wrote, of all sources.

    Returns:
        One row per source and one for all: `rows_in`, `quarantined`, `kept` by `ingest`, `repeated`
        (held by another source too, dropped by `split`), `cases`, and `cropped` for all.

    Raises:
        ValueError: The steps do not add up.
    """
    left = cases.source.value_counts()
    rows = []
    for source, account in sorted(accounts.items()):
        row = {key: int(account[key]) for key in ("rows_in", "quarantined", "kept")}
        row["repeated"] = row["kept"] - int(left.get(source, 0))
        row["cases"] = int(left.get(source, 0))
        rows.append({"source": source} | row)
    table = pd.DataFrame(rows).set_index("source")
    table.loc[TOTAL] = table.sum()
    table["files_without_row"] = [
        *(int(account["files_without_row"]) for _, account in sorted(accounts.items())),
        sum(int(account["files_without_row"]) for account in accounts.values()),
    ]
    _check_steps(table, len(cases), cropped)
    return table


def _check_steps(table: pd.DataFrame, cases: int, cropped: int) -> None:
    wrong = table[(table.rows_in != table.quarantined + table.kept) | (table.repeated < 0)]
    if len(wrong):
        raise ValueError(
            "rows in must be quarantined + kept, and no source may have more cases than it kept. "
            f"Got: {wrong.iloc[0].to_dict()} of {wrong.index[0]}."
        )
    if table.cases[TOTAL] != cases or cropped != cases:
        raise ValueError(
            "every case must come from a source and be cropped. "
            f"Got: {cases} cases, {table.cases[TOTAL]} from the sources, {cropped} cropped."
        )


def count_reasons(accounts: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Count quarantined rows by reason (rows) and source (columns)."""
    reasons = {source: dict(account["reasons"]) for source, account in sorted(accounts.items())}
    table = pd.DataFrame(reasons, dtype="Int64").fillna(0).astype(int)
    table = table.sort_index().assign(**{TOTAL: table.sum(axis=1)})
    return table.rename_axis(index="reason")


def count_classes(cases: pd.DataFrame, by: str) -> pd.DataFrame:
    """Count cases by class (rows, all nine and their total) and by the values of a column."""
    table = pd.crosstab(cases.diagnosis, cases[by]).reindex(list(CLASSES), fill_value=0)
    table[TOTAL] = table.sum(axis=1)
    table.loc[TOTAL] = table.sum()
    return table.rename_axis(index="class", columns=None)


def share_missing(cases: pd.DataFrame) -> pd.DataFrame:
    """Return the share of cases of each source, and of all, without a value."""
    missing = pd.DataFrame(
        {
            column: cases[column].isna() if column == "age_years" else cases[column] == ""
            for column in MAY_BE_MISSING
        }
    )
    table = missing.groupby(cases.source).mean()
    table.loc[TOTAL] = missing.mean()
    return table


def count_words(cases: pd.DataFrame, column: str) -> pd.DataFrame:
    """Count cases by the words of a column (rows, the commonest first) and by source."""
    words = cases[column].replace("", MISSING)
    table = pd.crosstab(words, cases.source)
    table[TOTAL] = table.sum(axis=1)
    order = table.sort_index().sort_values(TOTAL, ascending=False, kind="stable").index
    return table.loc[order].rename_axis(index=column, columns=None)


def describe_groups(cases: pd.DataFrame) -> pd.DataFrame:
    """Count by source what links cases: patients, lesions, and the images of each.

    Returns:
        `known` and `distinct` identifiers, and the median and largest number of images of one; NaN
        where no identifier is known.
    """
    rows = []
    for source, of_source in [*cases.groupby("source"), (TOTAL, cases)]:
        for column in ("patient_id", "lesion_id", "group_id"):
            sizes = of_source[column][of_source[column] != ""].value_counts()
            rows.append(
                {
                    "source": source,
                    "identifier": column,
                    "known": int(sizes.sum()),
                    "distinct": len(sizes),
                    "median_images": float(sizes.median()) if len(sizes) else np.nan,
                    "most_images": float(sizes.max()) if len(sizes) else np.nan,
                }
            )
    return pd.DataFrame(rows).set_index(["source", "identifier"])


def count_sizes(cases: pd.DataFrame) -> pd.DataFrame:
    """Count the commonest image sizes, after EXIF orientation, with melanomas among them.

    Size tells the class in some archives, for it tells the clinic: the last column shows how much.

    Returns:
        Up to `LARGEST_SIZES` rows `width × height` and one for all other sizes: `images`, `share`,
        and `melanoma_share`.
    """
    sizes = cases.width_px.astype(str) + " × " + cases.height_px.astype(str)
    common = sizes.value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
    shown = sizes.where(sizes.isin(common.index[:LARGEST_SIZES]), "other sizes")
    melanoma = (cases.diagnosis == "MEL").groupby(shown)
    table = pd.DataFrame({"images": melanoma.size(), "melanoma_share": melanoma.mean()})
    table.insert(1, "share", table.images / len(cases))
    order = [*common.index[:LARGEST_SIZES], "other sizes"]
    return table.reindex([size for size in order if size in table.index]).rename_axis("size_px")


def draw_sample(frame: pd.DataFrame, count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw up to `count` rows without repeats, in the order of the table."""
    chosen = rng.choice(len(frame), min(count, len(frame)), replace=False)
    return frame.iloc[np.sort(chosen)]
