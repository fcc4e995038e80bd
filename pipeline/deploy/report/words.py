"""Figures as text: value, interval, n; what is undefined is said to be, never 0 or 1.

A row is a mapping or a row of a table with `x`, `x_low` and `x_high`; `None`, NaN or an absent key
is undefined.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.page import Card

UNDEFINED = "undefined"
Row = Mapping[str, Any] | pd.Series

NAMES = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "balanced_accuracy": "Balanced accuracy",
    "brier_score": "Brier score",
    "cost_weighted_error": "Cost-weighted error",
    "f1": "F1",
    "log_loss": "Log loss",
    "macro_auroc": "Macro AUROC",
    "macro_auroc_above_80_sensitivity": "Macro AUROC above 80 % sensitivity",
    "macro_average_precision": "Macro average precision",
    "macro_f1": "Macro F1",
    "npv": "NPV",
    "observed_expected": "Observed / expected",
    "ppv": "PPV",
    "rank_argmax": "rank_argmax (label of the highest rank)",
    "top_2_accuracy": "Top-2 accuracy",
}


def name_of(key: str) -> str:
    """Name a figure as a heading."""
    return NAMES.get(key, key.replace("_", " ").capitalize())


def is_defined(value: Any) -> bool:
    """Whether a cell holds a figure."""
    return value is not None and not pd.isna(value)


def number(value: Any, digits: int = 3) -> str:
    """Word a figure."""
    return f"{value:.{digits}f}" if is_defined(value) else UNDEFINED


def percent(value: Any, digits: int = 1) -> str:
    """Word a share."""
    return f"{100 * value:.{digits}f}\u00a0%" if is_defined(value) else UNDEFINED


def count(value: Any) -> str:
    """Word a whole number."""
    return f"{int(value):,}" if is_defined(value) else UNDEFINED


def p_value(value: Any) -> str:
    """Word a p-value; none is given where the two never differ."""
    if not is_defined(value):
        return UNDEFINED
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def with_interval(row: Row, key: str, digits: int = 3) -> str:
    """Word a figure and its interval, `0.812 [0.790, 0.840]`."""
    value, low, high = (row.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if not is_defined(value):
        return UNDEFINED
    if not is_defined(low) or not is_defined(high):
        return f"{number(value, digits)} [{UNDEFINED}]"
    return f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]"


def percent_interval(row: Row, key: str) -> str:
    """Word a share and its interval, `76.1 % [63.7 to 87.3 %]`."""
    value, low, high = (row.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if not is_defined(value):
        return UNDEFINED
    if not is_defined(low) or not is_defined(high):
        return f"{percent(value)} [{UNDEFINED}]"
    return f"{percent(value)} [{100 * low:.1f} to {percent(high)}]"


def make_card(
    label: str,
    row: Row,
    key: str,
    *,
    interval: str,
    notes: list[str],
    reference: float | None = None,
) -> Card:
    """Show a figure between 0 and 1 in large type.

    Args:
        label: What it is.
        row: With the figure and its interval.
        key: Of the figure.
        interval: How wide the interval is, "95 %".
        notes: What it is of, and what it is compared with.
        reference: Where the bar has a mark: chance, or the majority.
    """
    value, low, high = (row.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if not is_defined(value):
        return Card(label, UNDEFINED, notes)
    said = f"{interval} interval {UNDEFINED}"
    ends: tuple[float, ...] = (float(value),)
    as_share = number if "auroc" in key else percent
    if is_defined(low) and is_defined(high):
        said = f"{interval} interval {as_share(low)} to {as_share(high)}"
        ends = (float(value), float(low), float(high))
    return Card(label, as_share(value), [said, *notes], ends, reference)


def judge_auroc(row: Row, key: str) -> str:
    """Say what an AUROC means, beginning with "is"."""
    value, low, high = (row.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if not is_defined(value):
        return "is undefined: it needs positive and negative cases, and the test set lacks a side"
    if value == 0:
        return "is the worst there is: every pair of cases is ranked the wrong way round"
    if value == 0.5:
        return "is that of chance (0.5): the scores do not tell the cases apart"
    if value == 1:
        return "is perfect on these cases, which is rarely true: look for a leak first"
    if is_defined(low) and low > 0.5:
        return "is better than chance (0.5)"
    if is_defined(high) and high < 0.5:
        return "is worse than chance (0.5): the scores point the wrong way"
    if not is_defined(low):
        return "has no interval, so that it cannot be told from chance (0.5)"
    return "cannot be told from chance (0.5)"


def judge_accuracy(row: Row) -> str:
    """Say what an accuracy means beside that of always naming the commonest class."""
    majority = row["majority_accuracy"]
    if majority == 1:
        return "says nothing here: the test set holds a single class, and naming it is always right"
    if row["accuracy"] == majority:
        return "is the same"
    low, high = row.get("accuracy_low"), row.get("accuracy_high")
    if is_defined(low) and low > majority:
        return "is above that"
    if is_defined(high) and high < majority:
        return "is below that"
    return "cannot be told from that"
