"""Whether the probabilities can be believed: calibration before and after the map, and chance."""

import pandas as pd

from pipeline.classes import CLASSES
from pipeline.deploy.report.inputs import Inputs
from pipeline.deploy.report.words import (
    count,
    is_defined,
    name_of,
    number,
    with_interval,
)
from pipeline.page import Block, Heading, Section, TableView, Text, view_table, word_table
from pipeline.scoring.clinical import MEAN

ERROR = "expected_calibration_error"
FIGURES = {
    "log_loss": "Log loss",
    "brier_score": "Brier score",
    f"{ERROR}_top_label": "ECE, top label",
    f"{ERROR}_class_wise": "ECE, mean over classes",
}
OF_TARGETS = {
    "brier_score": "Brier score",
    ERROR: "ECE",
    "observed_expected": "Observed / expected",
    "calibration_slope": "Slope",
    "calibration_intercept": "Intercept",
}


def describe_calibration(inputs: Inputs) -> Section:
    """Set calibration before and after the map beside what chance alone gives."""
    table = inputs.clinical.table("calibration")
    chance = inputs.clinical.table("calibration_by_chance").set_index("figure")
    targets = inputs.clinical.table("calibration_of_targets")
    blocks: list[Block] = [
        Text(_word_calibration(table, chance), "takeaway"),
        _list_maps(table, chance, inputs.percent),
        Text(
            "ECE: the mean distance between what is predicted and what is observed, over bins of "
            "equally many cases. On few cases perfect probabilities have one too: that is the "
            "row of chance. The row mean is the members' mean probability, before any map. "
            "Log loss is undefined where a true class was given a probability of 0."
        ),
        _list_targets(targets),
    ]
    for target in targets.target.unique():
        blocks += _show_reliability(inputs, target)
    blocks += [_list_choice(inputs), _list_classes(table, chance)]
    return Section("Can the probabilities be believed", blocks=blocks)


def _word_calibration(table: pd.DataFrame, chance: pd.DataFrame) -> str:
    deployed = table[table.is_deployed].iloc[0]
    before = table[table["map"] == MEAN].iloc[0]
    key = f"{ERROR}_top_label"
    text = (
        f"The map {deployed['map']} takes the calibration error of the top label from "
        f"{number(before[key])} to {number(deployed[key])} (n = {count(deployed.n)})"
    )
    bound = chance.loc[key]
    if not is_defined(deployed[key]) or not is_defined(bound.high):
        return f"{text}."
    if deployed[key] <= bound.high:
        return f"{text}; perfect probabilities would have up to {number(bound.high)} by chance."
    return (
        f"{text}. That is more than chance explains: perfect probabilities would have up to "
        f"{number(bound.high)}."
    )


def _list_maps(table: pd.DataFrame, chance: pd.DataFrame, interval: str) -> TableView:
    rows = [
        (
            f"{row['map']}{' (deployed)' if row.is_deployed else ''}",
            count(row.n),
            *(with_interval(row, key) for key in FIGURES),
        )
        for _, row in table.iterrows()
    ]
    by_chance = [_word_chance(chance, key) for key in FIGURES]
    rows.append(("perfect probabilities, by chance", count(table.n.iloc[0]), *by_chance))
    header = ["Map", "n", *FIGURES.values()]
    caption = f"Nine probabilities on the test set by every map, {interval} intervals"
    return word_table(caption, header, rows)


def _word_chance(chance: pd.DataFrame, key: str) -> str:
    if key not in chance.index:
        return "not drawn"
    row = chance.loc[key]
    return with_interval({"x": row["mean"], "x_low": row.low, "x_high": row.high}, "x")


def _list_targets(targets: pd.DataFrame) -> TableView:
    rows = [
        (
            row.target,
            row["map"],
            f"{count(row.positives)} of {count(row.n)}",
            *(with_interval(row, key) for key in OF_TARGETS),
        )
        for _, row in targets.iterrows()
    ]
    header = ["Outcome", "Map", "Positives of n", *OF_TARGETS.values()]
    return word_table("The probabilities of the two outcomes", header, rows, words=["Map"])


def _show_reliability(inputs: Inputs, target: str) -> list[Block]:
    table = inputs.clinical.table(f"reliability_{target}")
    rows = [
        (
            row["map"],
            f"{count(row.positives)} of {count(row.n)}",
            number(row.predicted),
            with_interval(row, "observed"),
        )
        for _, row in table.iterrows()
    ]
    header = ["Map", "Positives of n", "Predicted, mean", "Observed [interval]"]
    return [
        Heading(f"Reliability: {target}"),
        inputs.clinical.chart(
            f"reliability_{target}",
            f"Observed share against predicted probability of {target}, before and after the map.",
            f"Two reliability diagrams of {target}; numbers stand in the table below.",
        ),
        word_table("The numbers of this chart", header, rows, is_folded=True),
    ]


def _list_choice(inputs: Inputs) -> TableView:
    table = inputs.ensemble.table("calibration").set_index("method")
    caption = "How the map was chosen: every map on patients left out, test set not looked at"
    return view_table(table, caption, is_folded=True)


def _list_classes(table: pd.DataFrame, chance: pd.DataFrame) -> TableView:
    names = [name for name in CLASSES if f"{ERROR}_{name}" in table]
    rows = [
        (
            row["map"],
            *(with_interval(row, f"{ERROR}_{name}") for name in names),
        )
        for _, row in table.iterrows()
    ]
    rows.append(("by chance", *(_word_chance(chance, f"{ERROR}_{name}") for name in names)))
    caption = f"{name_of(ERROR)} of each class"
    return word_table(caption, ["Map", *names], rows, is_folded=True)
