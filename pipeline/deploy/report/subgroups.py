"""For whom it works: every outcome in every group, and the gaps between groups."""

from collections.abc import Iterator

import pandas as pd

from pipeline.deploy.report.inputs import Inputs
from pipeline.deploy.report.words import (
    UNDEFINED,
    count,
    is_defined,
    name_of,
    number,
    with_interval,
)
from pipeline.page import Block, Heading, Section, TableView, Text, word_table

FIGURES = ("sensitivity", "specificity", "auroc", "observed_expected", "brier_score")
DRAWN = ("sensitivity", "auroc")
ESTIMATED = "skin_tone"  # from the colour of the skin around the lesion
SEEN = "fitzpatrick_skin_type"


def describe_subgroups(inputs: Inputs) -> Section:
    """Show groups and gaps of each outcome."""
    groups, gaps = inputs.clinical.table("subgroups"), inputs.clinical.table("subgroup_gaps")
    types = inputs.clinical.table("skin_types")
    least = inputs.settings["clinical"]["least"]
    blocks: list[Block] = [
        Text(_word_gaps(gaps), "takeaway"),
        Text(
            "Skin tone here is estimated from the colour of the skin around the lesion (individual "
            "typology angle). It is unvalidated: lamp, camera and gel change it as skin does. "
            f"{_word_types(types)}",
            "notice",
        ),
        Text(
            f"Small: fewer than {least} positives or {least} negatives, too few to rank; "
            "such groups, and cases of which nothing is known, are left out of the gaps. The "
            "largest of several gaps is above 0 by chance alone: gap by chance is what would be "
            "seen between groups of these sizes without any difference."
        ),
    ]
    for target in groups.target.unique():
        own, between = groups[groups.target == target], gaps[gaps.target == target]
        blocks += [Heading(target.capitalize()), _list_groups(own, inputs.percent)]
        for figure in DRAWN:
            blocks.append(
                inputs.clinical.chart(
                    f"subgroups_{target}_{figure}",
                    f"{name_of(figure)} of {target} in every group; the numbers are those of the "
                    "table above.",
                    f"Forest plot of {figure.upper() if figure == 'auroc' else figure} by group.",
                )
            )
        blocks.append(_list_gaps(between))
    if len(types):
        blocks += [Heading("Skin type seen and skin tone estimated"), _list_types(types)]
    return Section("For whom it works", blocks=blocks)


def _word_gaps(gaps: pd.DataFrame) -> str:
    known = gaps[gaps.gap.notna() & gaps.gap_by_chance.notna()]
    if known.empty:
        return "No gap can be computed: no attribute has two groups with enough cases."
    large = known[(known.gap > known.gap_by_chance) & (known.gap_low > 0)]
    text = (
        f"Gaps between groups that are larger than chance explains between groups of these sizes: "
        f"{len(large)} of {len(known)}"
    )
    if large.empty:
        return f"{text}. That is no proof of fairness: the groups are small."
    worst = large.loc[(large.gap / large.gap_by_chance).idxmax()]
    return (
        f"{text}. Furthest beyond it: {name_of(worst.figure)} of {worst.target} by "
        f"{_word_attribute(worst.attribute)}, {number(worst.lowest)} in "
        f"{_group(worst.lowest_group)} and {number(worst.highest)} in "
        f"{_group(worst.highest_group)}."
    )


def _word_types(types: pd.DataFrame) -> str:
    if types.empty:
        return "No Fitzpatrick type is known of any case."
    return (
        f"A Fitzpatrick type is known of {count(types.n.sum())} cases, of all folds; the table at "
        "the end of this section sets it beside the estimate, which is no validation."
    )


def _list_types(types: pd.DataFrame) -> TableView:
    header = ["Fitzpatrick type", "Cases", "With an estimate", "Lowest", "Median", "Highest"]
    rows = [
        (
            row[SEEN],
            count(row.n),
            count(row.estimated),
            *(number(row[key], 1) for key in ("lowest", "median", "highest")),
        )
        for _, row in types.iterrows()
    ]
    caption = "Individual typology angle in degrees, unvalidated, by the type that somebody saw"
    return word_table(caption, header, rows)


def _group(name: str) -> str:
    return str(name).replace("_", " ")


def _list_groups(own: pd.DataFrame, interval: str) -> TableView:
    header = ["Group", "By", "Positives of n", *(name_of(key) for key in FIGURES)]
    rows = [
        (
            _group(row.group),
            _word_attribute(row.attribute),
            f"{count(row.positives)} of {count(row.n)}{', small' if row.is_small else ''}",
            *(with_interval(row, key) for key in FIGURES),
        )
        for _, row in own.iterrows()
    ]
    caption = f"Every group with {interval} intervals"
    return word_table(caption, header, rows, words=["By"])


def _word_attribute(name: str) -> str:
    if name == SEEN:
        return "Fitzpatrick type"
    words = _group(name)
    return f"{words}, unvalidated" if name == ESTIMATED else words


def _list_gaps(between: pd.DataFrame) -> TableView:
    header = ["By", "Figure", "Groups", "Lowest", "Highest", "Gap [interval]", "Gap by chance"]
    caption = "Gaps between groups that are not small"
    rows = list(_word_gap_rows(between))
    return word_table(caption, header, rows, words=["Figure", "Lowest", "Highest"], is_folded=True)


def _word_gap_rows(between: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    for _, row in between.iterrows():
        yield (
            _word_attribute(row.attribute),
            name_of(row.figure),
            count(row.groups),
            *(
                f"{number(row[side])} ({_group(row[f'{side}_group'])})"
                if is_defined(row[side])
                else UNDEFINED
                for side in ("lowest", "highest")
            ),
            with_interval(row, "gap"),
            number(row.gap_by_chance),
        )
