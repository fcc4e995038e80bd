"""What the frozen thresholds decide on the test set, predictive values, and decision curves."""

import pandas as pd

from pipeline.deploy.report.inputs import Inputs
from pipeline.deploy.report.words import (
    UNDEFINED,
    count,
    is_defined,
    number,
    percent,
    percent_interval,
    with_interval,
)
from pipeline.page import Block, Heading, Section, TableView, Text, word_table

RATES = ("sensitivity", "specificity", "ppv", "npv")
CURVE_STEP = 10  # of the decision curve's points, every so many is in the table


def describe_decisions(inputs: Inputs) -> Section:
    """Show each outcome's thresholds and what they cost."""
    table = inputs.clinical.table("operating_points")
    chosen = inputs.thresholds.json("operating_points")
    blocks: list[Block] = []
    for target in table.target.unique():
        own = table[table.target == target]
        classes = ", ".join(chosen[target]["classes"])
        blocks += [
            Heading(f"{target.capitalize()}: sum of the probabilities of {classes}"),
            Text(_word_decision(own[own.decides & ~own.is_stated].iloc[0]), "takeaway"),
            _list_thresholds(own),
            _list_prevalences(own),
            inputs.clinical.chart(
                f"thresholds_{target}",
                f"Sensitivity and specificity at every threshold of {target}; lines: the frozen "
                "ones.",
                f"Curves of sensitivity and specificity over the threshold for {target}.",
            ),
            *_show_benefit(inputs, target),
        ]
    blocks.append(
        Text(
            "Thresholds were chosen on images that no network trained on and that are not the "
            "test set, and are frozen in the bundle. PPV and NPV at a stated prevalence are "
            "computed from the test set's sensitivity and specificity: they assume that both "
            "carry over. NNR: patients referred for each that is found."
        )
    )
    return Section("Operating points and what they cost", blocks=blocks)


def _word_decision(row: pd.Series) -> str:
    if not is_defined(row.threshold):
        return (
            f"No threshold could be chosen: {count(row.chosen_positives)} of "
            f"{count(row.chosen_n)} images to choose it on are positive. The decision is "
            f"{UNDEFINED}."
        )
    wanted = f"{row.chosen_quantity} of {percent(row.chosen_wanted, 0)}"
    return (
        f"On the test set ({count(row.positives)} positives of {count(row.n)}) the threshold "
        f"{number(row.threshold)}, chosen for a {wanted}, has sensitivity "
        f"{percent_interval(row, 'sensitivity')}, specificity "
        f"{percent_interval(row, 'specificity')}."
    )


def _list_thresholds(own: pd.DataFrame) -> TableView:
    rows = [
        (
            f"{row.chosen_quantity} ≥ {percent(row.chosen_wanted, 0)}"
            f"{' (decides)' if row.decides else ''}",
            number(row.threshold),
            *(with_interval(row, key) for key in RATES),
            with_interval(row, "number_needed_to_refer", 2),
            f"{count(row.flagged)}",
            f"{count(row.positives)} of {count(row.n)}",
        )
        for _, row in own[~own.is_stated].iterrows()
    ]
    header = ["Chosen for", "Threshold", "Sensitivity", "Specificity", "PPV", "NPV", "NNR"]
    header += ["Flagged", "Positives of n"]
    return word_table("At the prevalence of the test set", header, rows)


def _list_prevalences(own: pd.DataFrame) -> TableView:
    rows = [
        (
            percent(row.prevalence),
            f"{row.chosen_quantity} ≥ {percent(row.chosen_wanted, 0)}"
            f"{' (decides)' if row.decides else ''}",
            with_interval(row, "ppv"),
            with_interval(row, "npv"),
            with_interval(row, "number_needed_to_refer", 1),
            f"{count(row.positives)} of {count(row.n)}",
        )
        for _, row in own[own.is_stated].sort_values("prevalence", kind="stable").iterrows()
    ]
    header = ["Prevalence", "Threshold chosen for", "PPV", "NPV", "NNR", "Positives of n"]
    return word_table("At stated prevalences", header, rows, words=header[1:2])


def _show_benefit(inputs: Inputs, target: str) -> list[Block]:
    table = inputs.clinical.table(f"decision_curve_{target}")
    own = table.iloc[CURVE_STEP - 1 :: CURVE_STEP]
    n = inputs.clinical.table("operating_points").n.iloc[0]
    rows = [
        (
            percent(row.threshold_probability),
            with_interval(row, "net_benefit"),
            with_interval(row, "treat_all"),
            "0",
        )
        for _, row in own.iterrows()
    ]
    header = ["Threshold probability", "Net benefit", "Referring everyone", "Referring no one"]
    return [
        inputs.clinical.chart(
            f"decision_curve_{target}",
            f"Decision curve of {target}, n = {count(n)}: net benefit of referring by the "
            "ensemble, beside referring everyone and no one.",
            f"Net benefit over threshold probability for {target}; numbers stand below.",
        ),
        word_table(
            f"The numbers of this chart; all {len(table)} points: decision_curve_{target}.csv",
            header,
            rows,
            is_folded=True,
        ),
    ]
