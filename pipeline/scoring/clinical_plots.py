"""Figures for clinicians: reliability, decision curve, thresholds, subgroups; as PNG.

Narrow, so that the text can be read at the width of a phone. What is undefined is said in words,
never drawn at 0 or 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from pipeline.figure import COLOURS, drawn_to
from pipeline.scoring.decisions import Rows
from pipeline.scoring.metrics import every_case_once
from pipeline.scoring.operating_point import (
    BinaryCases,
    ChosenThreshold,
    rates_by_threshold,
    sensitivity_and_specificity,
)
from pipeline.scoring.subgroups import EVERY

WIDTH_IN = 5.0
BLUE, ORANGE = COLOURS[0], COLOURS[5]
GREY = "0.55"
NEVER_USEFUL = "The model is nowhere of more use\nthan to treat none."
RATES = (("sensitivity", "positive", BLUE, 2.6), ("specificity", "negative", ORANGE, 1.3))
SHARES = ("sensitivity", "specificity", "auroc")
AXIS_NAMES = {
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "auroc": "AUROC",
    "observed_expected": "Observed / expected positives",
    "brier_score": "Brier score",
}


@dataclass(frozen=True)
class ReliabilityPanel:
    """One map's probabilities in the reliability diagram.

    Attributes:
        title: Name of the map.
        rows: From `reliability.reliability_rows`.
        note: Its figures in words, a few short lines.
    """

    title: str
    rows: Rows
    note: str


def plot_reliability(path: Path, panels: Sequence[ReliabilityPanel], title: str) -> None:
    """Draw observed shares against probabilities, maps side by side, and where the cases lie.

    Args:
        path: PNG to write.
        panels: Of the same cases, in the order in which they are read: before, after.
        title: Target, cases, how many.
    """
    tables = [pd.DataFrame(panel.rows, dtype=np.float64) for panel in panels]
    ends = [t[["predicted_most", "observed", "observed_high"]].max(axis=None) for t in tables]
    limit = min(1.0, 1.05 * max(*ends, 1e-3))
    lines = max(panel.note.count("\n") for panel in panels)
    with drawn_to(path, WIDTH_IN, 4.5 + 0.16 * lines) as figure:
        grid = figure.subplots(
            2, len(panels), sharex=True, sharey="row", squeeze=False, height_ratios=[4, 1]
        )
        for panel, table, curve, bins in zip(panels, tables, *grid, strict=True):
            curve.set_title(panel.title)
            curve.plot([0, limit], [0, limit], color="0.6", linewidth=0.8, linestyle="--")
            curve.plot(table.predicted, table.observed, color=BLUE, marker="o", markersize=3.5)
            ends = (table.observed_low, table.observed_high)
            curve.vlines(table.predicted, *ends, color=BLUE, linewidth=1.0)
            # A bin of equal scores has no width of its own.
            wide = (table.predicted_most - table.predicted_least).clip(lower=limit / 100)
            middle = (table.predicted_most + table.predicted_least) / 2
            bins.bar(middle, table.n, wide, color=BLUE, edgecolor="white", linewidth=0.4)
            bins.set_xlabel(f"Predicted probability\n\n{panel.note}")
            curve.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            curve.set_xlim(-0.02 * limit, 1.02 * limit)
            curve.set_ylim(-0.02 * limit, 1.02 * limit)
        grid[0, 0].set_ylabel("Observed share")
        grid[1, 0].set_ylabel("Cases\nper bin")
        figure.suptitle(title, size=10)


def plot_decision_curve(path: Path, rows: Rows, title: str) -> None:
    """Draw net benefit of the model, of treating all and of treating none.

    Args:
        path: PNG to write.
        rows: From `decisions.net_benefit_rows`.
        title: Target, cases, how many, and how wide the band is.
    """
    table = pd.DataFrame(rows, dtype=np.float64)
    top = max(0.01, table.net_benefit_high.max(), table.treat_all.max())
    with drawn_to(path, WIDTH_IN, 3.6) as figure:
        axes = figure.add_subplot()
        # What lies below is wider, so that it shows where both are the same.
        for name, colour, wide, label in (
            ("treat_all", ORANGE, 3.0, "treat all"),
            ("net_benefit", BLUE, 1.5, "treat by the model"),
        ):
            at, low, high = table.threshold_probability, table[f"{name}_low"], table[f"{name}_high"]
            axes.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(at, table[name], color=colour, linewidth=wide, label=label)
        axes.axhline(0, color="black", linewidth=1.0, zorder=1, label="treat none")
        # Treating all falls without end; what lies far below none is of no use to anybody.
        axes.set_ylim(-0.35 * top, 1.08 * top)
        if table.net_benefit.max() <= 0:
            axes.text(0.5, 0.6, NEVER_USEFUL, ha="center", transform=axes.transAxes)
        axes.set_xlabel("Threshold probability: the least risk at which one would treat")
        axes.set_ylabel("Net benefit per case")
        axes.set_title(title)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)


def plot_thresholds(
    path: Path, cases: BinaryCases, chosen: Sequence[ChosenThreshold], title: str
) -> None:
    """Draw sensitivity and specificity against the threshold, and mark chosen thresholds.

    Args:
        path: PNG to write.
        cases: Of the test set, with probabilities as scores.
        chosen: On other cases; what could not be chosen is said below.
        title: Target, cases, how many.
    """
    thresholds, *shares = rates_by_threshold(cases)
    with drawn_to(path, WIDTH_IN, 3.4 + 0.2 * len(chosen)) as figure:
        axes = figure.add_subplot()
        for values, (name, kind, colour, wide) in zip(shares, RATES, strict=True):
            if np.isnan(values).any():
                axes.plot([], [], color=colour, label=f"{name} is undefined: no {kind} case")
                continue
            # Below all scores everybody is flagged, above all nobody.
            ends = (1.0, 0.0) if name == "sensitivity" else (0.0, 1.0)
            steps = np.concatenate([[ends[0]], values, [ends[1]]])
            places = np.concatenate([[0.0], thresholds, [1.0]])
            axes.step(places, steps, where="pre", color=colour, linewidth=wide, label=name)
        for number, one in enumerate(chosen, start=1):
            _mark(axes, number, one, cases)
        for rank, at in enumerate(sorted({one.threshold for one in chosen} - {None})):
            same = [str(n) for n, one in enumerate(chosen, start=1) if one.threshold == at]
            # Two heights, so that neighbours do not cover each other's numbers.
            place, where = (at, 1.01 + 0.05 * (rank % 2)), ("data", "axes fraction")
            axes.annotate(", ".join(same), place, xycoords=where, ha="center", size=8)
        axes.set_xscale("function", functions=(np.sqrt, np.square))
        axes.set_xticks([0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0])
        axes.set_xlim(0, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("Threshold, on a square root scale")
        axes.set_ylabel("Sensitivity, specificity")
        axes.set_title(title, pad=20)
        figure.legend(loc="outside lower left", ncols=1, frameon=False)


def _mark(axes: Axes, number: int, one: ChosenThreshold, cases: BinaryCases) -> None:
    rule = f"for {one.quantity} ≥ {one.wanted:g}"
    if one.threshold is None:
        axes.plot([], [], linestyle="", label=f"{number}  {rule}: no threshold reaches it")
        return
    flagged, found, once = cases.scores >= one.threshold, [], every_case_once(len(cases))
    measured = sensitivity_and_specificity(flagged, cases.positive, once)
    for (value,), (_, _, colour, _) in zip(measured, RATES, strict=True):
        found.append("undefined" if np.isnan(value) else f"{value:.2f}")
        axes.plot(one.threshold, value, "o", color=colour, markeredgecolor="black")
    label = f"{number}  at {one.threshold:.3g}, {rule}: here {found[0]} and {found[1]}"
    axes.axvline(one.threshold, color="0.35", linewidth=0.8, linestyle=":", label=label)


def plot_subgroups(path: Path, rows: Rows, name: str, *, title: str, least: int) -> None:
    """Draw a forest: one figure of one target in every group, with n and positives.

    Args:
        path: PNG to write.
        rows: Groups from `subgroups.measure_subgroups`, of one target.
        name: One of `subgroups.FIGURES`.
        title: Target, cases, and how wide the intervals are.
        least: The number of positives, and of negatives, below which a group is small.
    """
    lines = _forest_lines(rows)
    ends = [row[f"{name}_high"] or row[name] or 0 for row in rows]
    with drawn_to(path, WIDTH_IN, 1.4 + 0.2 * len(lines)) as figure:
        texts, axes, numbers = figure.subplots(1, 3, sharey=True, width_ratios=[1.25, 1.75, 2.2])
        axes.set_xlim(0, 1.0 if name in SHARES else 1.05 * max(*ends, 1e-3))
        axes.set_ylim(len(lines) - 0.4, -0.6)
        for whole in (row[name] for row in rows if row["attribute"] == EVERY):
            if whole is not None:
                axes.axvline(whole, color="0.6", linewidth=0.8, linestyle="--")
        for place, line in enumerate(lines):
            if isinstance(line, str):
                _write(texts, 0, place, line, weight="bold")
                continue
            colour = GREY if line["is_small"] else "black"
            _write(texts, 0.06, place, line["group"].replace("_", " "), color=colour)
            _write(numbers, 1, place, f"{line['positives']} of {line['n']}", color=colour)
            _draw_group(axes, numbers, place, line, name)
        for column in (texts, numbers):
            column.axis("off")
        _write(numbers, 0, -1, "value [interval]")
        _write(numbers, 1, -1, "positives of n")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0, labelleft=False)
        axes.set_xlabel(AXIS_NAMES[name])
        figure.suptitle(title, size=10)
        figure.supxlabel(f"Grey: under {least} positives or negatives, too few to rank", size=8)


def _forest_lines(rows: Rows) -> list[str | dict[str, Any]]:
    """Put each attribute's name above its groups."""
    lines: list[str | dict[str, Any]] = []
    for attribute, groups in groupby(rows, lambda row: row["attribute"]):
        if attribute != EVERY:
            lines.append(attribute.replace("_", " ").capitalize())
        lines += groups
    return lines


def _draw_group(axes: Axes, numbers: Axes, place: int, row: dict[str, Any], name: str) -> None:
    value, low, high = (row[key] for key in (name, f"{name}_low", f"{name}_high"))
    colour = GREY if row["is_small"] else "black"
    if value is None:
        missing = {0: "positive case", row["n"]: "negative case"}.get(row["positives"], "threshold")
        # It covers the line of all cases.
        text = _write(axes, 0.02, place, f"undefined: no {missing}", color=GREY, style="italic")
        text.set_bbox({"color": "white", "pad": 1})
        return
    axes.plot(value, place, "s", color=colour, markersize=4.5)
    ends = ""
    if low is not None:
        axes.hlines(place, low, high, color=colour, linewidth=1.3)
        ends = f" [{low:.2f}, {high:.2f}]"
    _write(numbers, 0, place, f"{value:.2f}{ends}", color=colour)


def _write(axes: Axes, column: float, place: float, text: str, **look: str) -> Text:
    """Write at a share of the axes' width, from there to the right, or ending there at 1."""
    side, where = "right" if column == 1 else "left", axes.get_yaxis_transform()
    return axes.text(column, place, text, ha=side, va="center", size=8, transform=where, **look)
