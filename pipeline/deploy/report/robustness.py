"""What corrupted images cost what is deployed, and which corruptions hurt most."""

from typing import Any

import pandas as pd

from pipeline.deploy.report.inputs import Inputs
from pipeline.deploy.report.words import (
    UNDEFINED,
    count,
    is_defined,
    name_of,
    p_value,
    percent,
    with_interval,
)
from pipeline.page import Block, Heading, Section, TableView, Text, word_table

DROP = "macro_auroc_drop"
FLIPS = {
    "to_positive": "Turned positive",
    "to_negative": "Turned negative",
    "newly_missed": "Newly missed",
    "found_clean": "Of found when clean",
}


def describe_robustness(inputs: Inputs) -> Section:
    """Show drops of AUROC by corruption and severity, and decisions that turn."""
    found = inputs.robustness.json("robustness")
    table = inputs.robustness.table("robustness")
    n = count(found["clean"]["n"])
    blocks: list[Block] = [
        Text(_word_worst(found), "takeaway"),
        Text(
            f"The bundle's own graph, through the CAD's own preprocessing, on the originals of {n} "
            f"test images corrupted in {table.corruption.nunique()} ways at "
            f"{table.severity.nunique()} severities before the crop. Drop: the figure of the clean "
            "images less that of the same images corrupted, on the same resamples; above 0 the "
            f"corruption harms. Clean, these images have a macro AUROC of "
            f"{with_interval(found['clean'], 'macro_auroc')}."
        ),
        inputs.robustness.chart(
            "curves",
            f"Macro AUROC by severity, n = {n}, by group of corruptions.",
            "Line charts of macro AUROC over severity for each corruption; numbers stand below.",
        ),
        inputs.robustness.chart(
            "drops",
            "Drop of macro AUROC for each corruption and severity; bold: the interval leaves out "
            "0.",
            "Table-like chart of drops by corruption and severity; numbers stand below.",
        ),
        _list_means(found),
        _list_cells(table),
        *_show_flips(inputs, found, table),
        *_show_examples(inputs, found),
        _word_checks(found),
    ]
    return Section("What corrupted images do to it", blocks=blocks)


def _word_worst(found: dict[str, Any]) -> str:
    strongest = found["strongest"]
    if not strongest["of"]:
        return "What corruptions cost is undefined: the images lack positives or negatives."
    text = (
        f"At severity {strongest['severity']}, {strongest['lowering']} of {strongest['of']} "
        "corruptions lower macro AUROC."
    )
    said = "; ".join(
        f"{_name(one['corruption'])} by {with_interval(one, DROP)}"
        for one in found["worst"]
        if one[DROP] > 0
    )
    if not said:
        return f"{text} On average over the severities none lowers it."
    return f"{text} Those that lower it most, on average over the severities: {said}."


def _name(corruption: str) -> str:
    return corruption.replace("_", " ")


def _list_means(found: dict[str, Any]) -> TableView:
    """List the mean drop of each group of corruptions."""
    drops = found["mean_drop"]
    figures = [key for key in ("macro_auroc", "accuracy", "auroc_malignant", "auroc_melanoma")]
    figures = [key for key in figures if f"{key}_drop" in drops["all"]]
    rows = [
        (_name(group), *(with_interval(own, f"{key}_drop") for key in figures))
        for group, own in drops.items()
    ]
    names = {"auroc_malignant": "AUROC, malignant", "auroc_melanoma": "AUROC, melanoma"}
    header = ["Corruptions", *(f"Drop of {names.get(key) or name_of(key)}" for key in figures)]
    return word_table(f"Mean drop, n = {count(found['clean']['n'])}", header, rows)


def _list_cells(table: pd.DataFrame) -> TableView:
    rows = [
        (
            _name(row.corruption),
            _name(row.group),
            count(row.severity),
            count(row.n),
            with_interval(row, "macro_auroc"),
            with_interval(row, DROP),
            p_value(row[f"{DROP}_p_value"]),
            with_interval(row, "accuracy"),
            count(row.left_out_unchanged + row.left_out_refused),
            count(row.unseen),
        )
        for _, row in table.iterrows()
    ]
    header = ["Corruption", "Group", "Severity", "n", "Macro AUROC", "Drop", "p (bootstrap)"]
    header += ["Accuracy", "Left out", "Unseen by the graph"]
    return word_table("The numbers of these charts", header, rows, words=["Group"], is_folded=True)


def _show_flips(inputs: Inputs, found: dict[str, Any], table: pd.DataFrame) -> list[Block]:
    blocks: list[Block] = [Heading("Decisions that turn")]
    for target, worst in found["flips"].items():
        blocks.append(Text(_word_flips(target, worst)))
        blocks += [
            inputs.robustness.chart(
                f"flips_{target}",
                f"Decisions on {target} that turn at the highest severity, by corruption.",
                f"Chart of turned decisions on {target}; numbers stand in the table below.",
            ),
            _list_flips(table, target),
        ]
    return blocks


def _word_flips(target: str, worst: dict[str, Any] | None) -> str:
    if worst is None:
        return f"{target.capitalize()}: {UNDEFINED}, there is no threshold that decides."
    turned = worst["to_positive"] + worst["to_negative"]
    return (
        f"{target.capitalize()}: most decisions turn under {_name(worst['corruption'])} at "
        f"severity {worst['severity']}, {count(turned)} of {count(worst['n'])}; "
        f"{count(worst['newly_missed'])} of {count(worst['found_clean'])} positives that were "
        "found are missed there."
    )


def _list_flips(table: pd.DataFrame, target: str) -> TableView:
    rows = [
        (
            _name(row.corruption),
            count(row.severity),
            count(row.n),
            *(count(row[f"{target}_{kind}"]) for kind in FLIPS),
        )
        for _, row in table.iterrows()
    ]
    header = ["Corruption", "Severity", "n", *FLIPS.values()]
    return word_table("The numbers of this chart", header, rows, is_folded=True)


def _show_examples(inputs: Inputs, found: dict[str, Any]) -> list[Block]:
    if not (inputs.robustness.path / "examples.png").is_file():
        return []
    worst = ", ".join(_name(one["corruption"]) for one in found["worst"])
    return [
        inputs.robustness.photographs(
            "examples",
            f"Test images as they are (left) and under {worst}, severity rising to the right, with "
            f"the score for malignancy and the decision. {inputs.whose_images}",
            f"Photographs of lesions, clean and under {worst} at rising severity.",
        )
    ]


def _word_checks(found: dict[str, Any]) -> Text:
    path, wrong = found["clean_path"], found["severities_out_of_order"]
    order = f"not so of {', '.join(map(_name, wrong))}" if wrong else "so of every corruption"
    same = percent(path["same_inputs"] / path["cases"]) if path["cases"] else UNDEFINED
    largest = path["largest_score_difference"]
    return Text(
        f"Checks: a higher severity changes the graph's input more ({order}). Clean images that "
        f"were encoded again reach the graph as their files do in {same} of {count(path['cases'])} "
        f"cases; scores differ by at most "
        f"{f'{largest:.1e}' if is_defined(largest) else UNDEFINED}."
    )
