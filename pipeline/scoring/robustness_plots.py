"""Figures of robustness: curves by group, drops by corruption and severity, flips; as PNG.

Narrow, so that the text can be read at the width of a phone. What is undefined is said in words or
left blank, never drawn at 0 or 1.
"""

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm

from pipeline.figure import COLOURS, drawn_to
from pipeline.scoring.decisions import Rows

WIDTH_IN = 5.0
BLUE, ORANGE = COLOURS[0], COLOURS[5]
NAMES = {"macro_auroc": "Macro AUROC", "accuracy": "Accuracy"}
TOO_FEW = "no interval: too few cases of some class"
LEAST_LIMIT = 0.05  # of the colours, so that noise is not shown as if it were a drop
COLUMNS = 2


def plot_curves(
    path: Path, name: str, rows: Rows, by_group: Rows, *, clean: Mapping[str, Any], title: str
) -> None:
    """Draw a figure against severity, a panel for each group, from the clean level on.

    Args:
        path: PNG to write.
        name: Of the figure.
        rows: Of cells, with `group`.
        by_group: From `robustness.group_rows`.
        clean: From `robustness_cells.measure_clean`.
        title: Of which cases, and how wide the band is.
    """
    tables = {group: pd.DataFrame(own) for group, own in _by("group", rows)}
    means = {group: pd.DataFrame(own) for group, own in _by("group", by_group)}
    down = -(-len(tables) // COLUMNS)
    with drawn_to(path, WIDTH_IN, 0.9 + 1.75 * down) as figure:
        grid = figure.subplots(down, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, (group, table) in zip(grid, tables.items(), strict=False):
            axes.set_title(group.replace("_", " ").capitalize())
            if clean[name] is None:
                axes.text(0.5, 0.5, "undefined", ha="center", transform=axes.transAxes)
                continue
            _draw_group(axes, name, table, means[group], clean)
        for axes in grid[len(tables) :]:
            axes.axis("off")
        last = [grid[i] for i in range(len(tables)) if i + COLUMNS >= len(tables)]
        for axes in last:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("Severity")
        for axes in grid[::COLUMNS]:
            axes.set_ylabel(axis_name(name).partition(" of ")[0])
        figure.suptitle(f"{axis_name(name)}, {title}", size=10)
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)


def _draw_group(
    axes: Axes, name: str, table: pd.DataFrame, mean: pd.DataFrame, clean: Mapping[str, Any]
) -> None:
    """Draw one group's corruptions thin, and their mean with its band."""
    level = clean[name]
    for number, (_, own) in enumerate(table.groupby("corruption", sort=False)):
        own = own.sort_values("severity")
        values = [level, *own[name].astype(float)]
        label = {"label": "one corruption"} if number == 0 else {}
        axes.plot([0, *own.severity], values, color="0.7", linewidth=0.8, **label)
    mean = mean.sort_values("severity")
    at = [0, *mean.severity]
    low, middle, high = (
        [clean[f"{name}{end}"], *mean[f"{name}{end}"]] for end in ("_low", "", "_high")
    )
    ends = np.array([low, high], np.float64)
    label = TOO_FEW if np.isnan(ends).all() else "interval of the mean"
    axes.fill_between(at, *ends, color=BLUE, alpha=0.18, linewidth=0, label=label)
    axes.plot(at, np.array(middle, np.float64), color=BLUE, marker="o", markersize=3, label="mean")
    axes.axhline(level, color="black", linewidth=0.8, linestyle="--", label=f"clean: {level:.2f}")
    axes.set_xticks(at)


def plot_drops(path: Path, name: str, rows: Rows, title: str) -> None:
    """Draw the drop of a figure as a map: corruptions down, severities and their mean across.

    Args:
        path: PNG to write.
        name: Of the figure.
        rows: Of cells, with `group`.
        title: Of which cases, and what bold means.
    """
    table = pd.DataFrame(rows)
    names = list(dict.fromkeys(table.corruption))
    severities = sorted(set(table.severity))
    drops = table.pivot(index="corruption", columns="severity", values=f"{name}_drop")
    drops = drops.loc[names, severities].astype(float)
    shown = drops.assign(mean=drops.mean(axis=1)).to_numpy()
    limit = max(LEAST_LIMIT, np.abs(np.nan_to_num(shown)).max())
    with drawn_to(path, WIDTH_IN, 1.2 + 0.235 * len(names)) as figure:
        axes = figure.add_subplot()
        colours = axes.imshow(
            np.ma.masked_invalid(shown),
            cmap="PuOr_r",
            norm=TwoSlopeNorm(0, -limit, limit),
            aspect="auto",
        )
        sure = {(row["corruption"], row["severity"]) for row in rows if _leaves_out_0(row, name)}
        for place, corruption in enumerate(names):
            for column, value in enumerate(shown[place]):
                is_sure = (corruption, [*severities, None][column]) in sure
                _write_drop(axes, column, place, value, limit=limit, is_sure=is_sure)
        axes.set_xticks(range(len(severities) + 1), [*severities, "mean"])
        axes.set_yticks(range(len(names)), [text.replace("_", " ") for text in names])
        axes.set_xlabel("Severity")
        axes.axvline(len(severities) - 0.5, color="white", linewidth=3)
        groups = table.drop_duplicates("corruption").group.tolist()
        for place in np.flatnonzero(np.array(groups[1:]) != np.array(groups[:-1])):
            axes.axhline(place + 0.5, color="white", linewidth=3)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_title(f"Drop of {axis_name(name)}, {title}")
        bar = figure.colorbar(colours, ax=axes, shrink=0.6)
        bar.set_label("Lower than on clean images by")


def plot_flips(path: Path, rows: Rows, target: str, title: str) -> None:
    """Draw at the highest severity how many decisions turn, each way, by corruption.

    Args:
        path: PNG to write.
        rows: Of cells, with `group`.
        target: Name.
        title: Target, cases, how many.
    """
    severity = max(row["severity"] for row in rows)
    own = [row for row in rows if row["severity"] == severity]
    table = pd.DataFrame(own)
    places = np.arange(len(own))
    gained, lost, missed, found = (
        table[f"{target}_{kind}"].astype(float).to_numpy()
        for kind in ("to_positive", "to_negative", "newly_missed", "found_clean")
    )
    with drawn_to(path, WIDTH_IN, 1.5 + 0.235 * len(own)) as figure:
        axes = figure.add_subplot()
        axes.set_title(f"{title}, severity {severity}")
        if np.isnan(gained).all():
            axes.text(0.5, 0.5, "undefined: no threshold", ha="center", transform=axes.transAxes)
        axes.barh(places, gained, color=COLOURS[4], label="newly flagged")
        axes.barh(places, -missed, color=ORANGE, label="positive, newly missed")
        axes.barh(
            places,
            -(lost - missed),
            left=-missed,
            color=COLOURS[1],
            label="negative, no longer flagged",
        )
        most = max(1.0, np.nan_to_num([gained, lost]).max())
        for place, (more, fewer, positive, of) in enumerate(
            zip(gained, lost, missed, found, strict=True)
        ):
            if not np.isnan(more):
                axes.text(more + most / 60, place, f"{more:g}", va="center", size=8)
                words = f"{positive:g} of {of:g} missed"
                axes.text(-fewer - most / 60, place, words, va="center", ha="right", size=8)
        axes.set_yticks(places, table.corruption.str.replace("_", " "))
        axes.set_ylim(len(own) - 0.4, -0.6)
        axes.set_xlim(-1.75 * most, 1.15 * most)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_xlabel("Cases whose decision turns")
        axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        axes.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(loc="outside lower center", ncols=1, frameon=False)


def axis_name(name: str) -> str:
    """Word a figure: `auroc_malignant` is the AUROC of malignant against the rest."""
    return NAMES.get(name) or f"AUROC of {name.removeprefix('auroc_')}"


def _by(key: str, rows: Rows) -> list[tuple[str, Rows]]:
    names = list(dict.fromkeys(row[key] for row in rows))
    ordered = sorted(rows, key=lambda row: names.index(row[key]))
    return [(name, list(own)) for name, own in groupby(ordered, lambda row: row[key])]


def _leaves_out_0(row: Mapping[str, Any], name: str) -> bool:
    low, high = row[f"{name}_drop_low"], row[f"{name}_drop_high"]
    return low is not None and (low > 0 or high < 0)


def _write_drop(
    axes: Axes, column: int, place: int, value: float, *, limit: float, is_sure: bool
) -> None:
    is_dark = abs(value) > 0.6 * limit
    axes.text(
        column,
        place,
        _signed(value),
        ha="center",
        va="center",
        size=8 if not np.isnan(value) else 6,
        color="white" if is_dark else "black",
        weight="bold" if is_sure else "normal",
    )


def _signed(drop: float) -> str:
    """Word a drop; what rounds to 0 has no sign."""
    if np.isnan(drop):
        return "undefined"
    text = f"{drop:+.2f}".replace("-", "−")
    return "0.00" if text[1:] == "0.00" else text
