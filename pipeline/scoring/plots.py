"""Figures of the evaluation, as PNG.

Each member has a colour of `pipeline.figure`; the ensemble is black.
"""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pipeline.classes import CLASSES
from pipeline.figure import COLOURS, drawn_to
from pipeline.scoring.bootstrap import Estimate
from pipeline.scoring.metrics import class_counts
from pipeline.scoring.tables import Estimates

ENSEMBLE = "ensemble"


def plot_confusion(path: Path, table: np.ndarray, title: str) -> None:
    """Draw counts and row shares of a confusion matrix.

    Args:
        path: PNG to write.
        table: Cases by true (row) and predicted (column) class, `(9, 9)` int.
        title: What and how many.
    """
    totals = table.sum(axis=1, keepdims=True)
    # The row of an absent class stays blank: its shares are undefined, not 0.
    shares = np.ma.masked_where(np.broadcast_to(totals == 0, table.shape), table)
    shares = shares / np.maximum(totals, 1)
    with drawn_to(path, 7.2, 6.2) as figure:
        axes = figure.add_subplot()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in itertools.product(range(len(CLASSES)), repeat=2):
            if totals[row, 0]:
                _cell(axes, row, column, table[row, column], shares[row, column])
        axes.set_xticks(range(len(CLASSES)), CLASSES)
        names = [f"{name}\nn = {total}" for name, total in zip(CLASSES, totals[:, 0], strict=True)]
        axes.set_yticks(range(len(CLASSES)), names)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xlabel("Predicted class")
        axes.set_ylabel("True class")
        axes.set_title(title)
        bar = figure.colorbar(image, ax=axes, shrink=0.8)
        bar.set_label("Share of the true class")


def plot_per_class(
    path: Path, estimates: dict[str, Estimates], labels: np.ndarray, title: str
) -> None:
    """Draw AUROC per class and their macro mean as bars, members beside the ensemble.

    Args:
        path: PNG to write.
        estimates: By model, of those that have an AUROC; the ensemble among them.
        labels: Truth, `(n,)`.
        title: What and how many.
    """
    keys = ["macro_auroc", *(f"auroc_{name}" for name in CLASSES)]
    places = np.array([-0.3, *range(1, len(keys))])
    width = 0.84 / len(estimates)
    with drawn_to(path, 7.2, 3.8) as figure:
        axes = figure.add_subplot()
        for index, (model, colour) in enumerate(coloured(estimates)):
            middles = places + (index - (len(estimates) - 1) / 2) * width
            found = [estimates[model][key] for key in keys]
            heights = [np.nan if e.value is None else e.value for e in found]
            axes.bar(middles, heights, width * 0.92, color=colour, label=model)
            # Grey is seen on the black bar and on the white above it.
            _whiskers(axes, middles, found, "0.6" if model == ENSEMBLE else "black")
        for place, key in zip(places, keys, strict=True):
            if estimates[ENSEMBLE][key].value is None:
                axes.text(place, 0.03, "undefined", rotation=90, ha="center", color="0.4")
        axes.axhline(0.5, color="0.4", linewidth=0.8, linestyle="--")
        names = zip(CLASSES, class_counts(labels), strict=True)
        axes.set_xticks(places, ["macro", *(f"{name}\nn = {count}" for name, count in names)])
        axes.set_ylim(0, 1.02)
        axes.set_ylabel("AUROC, one class against the rest")
        axes.set_title(title)
        figure.legend(loc="outside lower center", ncols=6, frameon=False)


def plot_history(path: Path, histories: dict[str, list[pd.DataFrame]]) -> None:
    """Draw loss and accuracy over the epochs, one column per member, a line per network.

    Args:
        path: PNG to write.
        histories: Title of a member's column to the tables of its networks, columns `epoch`,
            `loss`, `held_out_loss`, `accuracy`, `held_out_accuracy`.
    """
    with drawn_to(path, max(3.6, 2.4 * len(histories)), 4.4) as figure:
        panels = figure.subplots(2, len(histories), sharex="col", sharey="row", squeeze=False)
        for (losses, hits), (title, networks) in zip(panels.T, histories.items(), strict=True):
            for axes, quantity in ((losses, "loss"), (hits, "accuracy")):
                _draw_networks(axes, networks, quantity)
            losses.set_title(title, size=9)
            hits.set_ylim(0, 1)
            hits.set_xlabel("Epoch")
            hits.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panels[0, 0].set_ylim(bottom=0)  # of all, once all lines are there
        panels[0, 0].set_ylabel("Cross-entropy")
        panels[1, 0].set_ylabel("Accuracy")
        lines, names = panels[0, 0].get_lines()[:2], ["training, augmented", "fold left out"]
        figure.legend(lines, names, loc="outside lower center", ncols=2, frameon=False)


def _draw_networks(axes: Axes, networks: list[pd.DataFrame], quantity: str) -> None:
    line = {"marker": "o", "markersize": 2.5, "linewidth": 1.3 if len(networks) == 1 else 0.8}
    for history in networks:
        axes.plot(history.epoch, history[quantity], color="#0072B2", **line)
        held_out = history[f"held_out_{quantity}"]
        axes.plot(history.epoch, held_out, color="#D55E00", linestyle="--", **line)


def plot_table(path: Path, rows: pd.DataFrame, title: str) -> None:
    """Draw a table of text under its headings, the column names."""
    with drawn_to(path, 7.2, 0.9 + 0.26 * len(rows)) as figure:
        axes = figure.add_subplot()
        axes.axis("off")
        axes.set_title(title)
        cells = [list(rows.columns), *rows.to_numpy().tolist()]
        table = axes.table(cells, bbox=(0, 0, 1, 1), cellLoc="center", edges="B")
        table.auto_set_font_size(False)
        table.set_fontsize(8.5)
        table.auto_set_column_width(list(range(len(rows.columns))))
        for (row, _), cell in table.get_celld().items():
            cell.set_height(1.3 if row == 0 else 1.0)
            cell.set_edgecolor("0.6")


def coloured(models: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Give each model its colour; the ensemble comes last, on top."""
    members = [model for model in models if model != ENSEMBLE]
    yield from zip(members, itertools.cycle(COLOURS), strict=False)
    yield ENSEMBLE, "black"


def _cell(axes: Axes, row: int, column: int, count: int, share: float) -> None:
    colour = "white" if share > 0.55 else "black"
    weight = "bold" if row == column else "normal"
    faint = 1.0 if count else 0.35
    axes.text(
        column,
        row,
        f"{count}\n{_percent(share)}" if count else "0",
        ha="center",
        va="center",
        color=colour,
        weight=weight,
        alpha=faint,
        size=8,
    )


def _percent(share: float) -> str:
    return "<1%" if share < 0.005 else f"{share:.0%}"


def _whiskers(axes: Axes, places: np.ndarray, found: list[Estimate], colour: str) -> None:
    for place, estimate in zip(places, found, strict=True):
        if estimate.low is not None:
            axes.vlines(place, estimate.low, estimate.high, color=colour, linewidth=1.2)
