"""ROC and precision-recall curves, as PNG: a panel per class, the members behind the ensemble."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from pipeline.classes import CLASS_NAMES, CLASSES
from pipeline.figure import drawn_to
from pipeline.scoring.bootstrap import Estimate
from pipeline.scoring.metrics import class_counts
from pipeline.scoring.plots import ENSEMBLE, coloured
from pipeline.scoring.tables import Curves, Estimates, interval_text


def plot_roc(
    path: Path,
    curves: dict[str, Curves],
    estimates: dict[str, Estimates],
    labels: np.ndarray,
    title: str,
) -> None:
    """Draw one panel per class: the ensemble's ROC curve, the members' behind it.

    Args:
        path: PNG to write.
        curves: By model, the ensemble among them.
        estimates: Of the same models.
        labels: Truth, `(n,)`.
        title: What and how many.
    """
    with _class_panels(path, labels, ("1 - specificity", "Sensitivity"), title) as panels:
        for name, axes in panels.items():
            axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":")
            for model, look in _lines(curves):
                axes.plot(*curves[model][name].T, **look)
            text = _estimate_text(estimates[ENSEMBLE][f"auroc_{name}"])
            axes.text(0.97, 0.05, text, ha="right")


def plot_precision_recall(
    path: Path,
    curves: dict[str, Curves],
    estimates: dict[str, Estimates],
    labels: np.ndarray,
    title: str,
) -> None:
    """Draw one panel per class: precision by sensitivity, and the share of the class as chance.

    Args:
        path: PNG to write.
        curves: By model, the ensemble among them.
        estimates: Of the same models.
        labels: Truth, `(n,)`.
        title: What and how many.
    """
    chances = dict(zip(CLASSES, class_counts(labels) / len(labels), strict=True))
    with _class_panels(path, labels, ("Sensitivity (recall)", "Precision"), title) as panels:
        for name, axes in panels.items():
            axes.axhline(chances[name], color="0.7", linewidth=0.8, linestyle=":")
            for model, look in _lines(curves):
                points = curves[model][name]
                # The first threshold's precision reaches back to a sensitivity of 0.
                steps = np.concatenate([[[0.0, points[0, 1]]], points]) if len(points) else points
                axes.plot(*steps.T, **look, drawstyle="steps-pre")
            text = _estimate_text(estimates[ENSEMBLE][f"average_precision_{name}"])
            axes.set_xlim(-0.03, 1.03)
            axes.set_ylim(-0.03, 1.03)
            axes.text(0.03, 0.05, text, bbox={"color": "white", "alpha": 0.8, "pad": 1})


@contextmanager
def _class_panels(
    path: Path, labels: np.ndarray, axis_names: tuple[str, str], title: str
) -> Iterator[dict[str, Axes]]:
    """Give a panel per class, and name axes and lines when all is drawn."""
    counts = class_counts(labels)
    with drawn_to(path, 7.2, 8.2) as figure:
        panels = figure.subplots(3, 3, sharex=True, sharey=True)
        for name, count, axes in zip(CLASSES, counts, panels.flat, strict=True):
            axes.set_title(f"{CLASS_NAMES[name].split(',')[0]}\n{name}, n = {count}", size=9)
            axes.set_aspect("equal")
        for axes in panels[-1]:
            axes.set_xlabel(axis_names[0])
        for axes in panels[:, 0]:
            axes.set_ylabel(axis_names[1])
        yield dict(zip(CLASSES, panels.flat, strict=True))
        figure.suptitle(title, size=10)
        handles, models = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, models, loc="outside lower center", ncols=6, frameon=False)


def _lines(models: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each model the look of its curve."""
    for model, colour in coloured(models):
        wide = 2.0 if model == ENSEMBLE else 0.9
        yield model, {"color": colour, "linewidth": wide, "label": model}


def _estimate_text(estimate: Estimate) -> str:
    text = interval_text(estimate.value, estimate.low, estimate.high)
    return "undefined" if estimate.value is None else text.replace(" [", "\n[")
