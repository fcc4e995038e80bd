"""Charts of a search, as PNG."""

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from optuna.distributions import BaseDistribution, CategoricalDistribution

from pipeline.figure import COLOURS, drawn_to
from pipeline.network.tune.space import Space
from pipeline.network.tune.study import COMPLETE, PRUNED, Trial

BEST, OTHER, ENDED = COLOURS[0], "0.55", COLOURS[5]
COLUMNS = 3
LOSS = "Log-loss of the inner fold"


def last_loss(trial: Trial) -> float:
    """Return a trial's value, or the last loss of one that was pruned or failed; NaN without."""
    if trial.value is not None:
        return trial.value
    return next((losses[-1] for losses in reversed(trial.losses) if losses), math.nan)


def ceiling(trials: list[Trial], prior: float) -> float:
    """Choose the largest loss that is drawn to scale: a few wild trials would hide the others."""
    values = np.array([trial.value for trial in trials if trial.state == COMPLETE])
    return float(max(1.25 * prior, 1.5 * np.median(values) if values.size else 0.0))


def draw_progress(trials: list[Trial], prior: float, path: Path) -> None:
    """Draw the value of each trial, the best so far, and what class shares alone would give."""
    top = ceiling(trials, prior)
    with drawn_to(path, 7.2, 3.2) as figure:
        axes = figure.add_subplot()
        _scatter(axes, trials, [trial.number for trial in trials], top)
        complete = [trial for trial in trials if trial.state == COMPLETE]
        if complete:
            best = np.minimum.accumulate([trial.value for trial in complete])
            numbers = [trial.number for trial in complete]
            ends = [*numbers, trials[-1].number], [*best, best[-1]]
            axes.step(*ends, where="post", color=BEST, label="best so far")
        axes.axhline(prior, color="0.3", linestyle=":", label="class shares alone")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("Trial")
        axes.set_ylabel(LOSS)
        figure.legend(loc="outside lower center", ncols=4, frameon=False)


def draw_parameters(trials: list[Trial], space: Space, prior: float, path: Path) -> None:
    """Draw each parameter against the value of the trials."""
    top, rows = ceiling(trials, prior), -(-len(space) // COLUMNS)
    with drawn_to(path, 7.2, 0.5 + 2.2 * rows) as figure:
        panels = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False)
        for axes, (name, values) in zip(panels.flat, space.items(), strict=False):
            places = [_place(values, trial.params[name]) for trial in trials]
            _scatter(axes, trials, places, top)
            _scale(axes, values)
            axes.set_xlabel(name)
        for axes in panels.flat[len(space) :]:
            axes.remove()
        for axes in panels[:, 0]:
            axes.set_ylabel("Log-loss")
        handles, labels = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)


def draw_importances(shares: dict[str, float], path: Path) -> None:
    """Draw the share of the spread that each parameter explains."""
    with drawn_to(path, 7.2, 0.7 + 0.3 * len(shares)) as figure:
        axes = figure.add_subplot()
        axes.barh(list(shares), list(shares.values()), color=BEST)
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("Share of the spread between complete trials (fANOVA)")


def draw_curves(
    trials: list[Trial], best: int | None, inner_folds: tuple[int, ...], prior: float, path: Path
) -> None:
    """Draw the loss of every trial after each epoch, a panel for each inner fold."""
    top = ceiling(trials, prior)
    with drawn_to(path, 7.2, 3.4) as figure:
        panels = figure.subplots(1, len(inner_folds), sharey=True, squeeze=False)[0]
        for index, (axes, fold) in enumerate(zip(panels, inner_folds, strict=True)):
            for trial in trials:
                if index < len(trial.losses):
                    _draw_curve(axes, trial, trial.losses[index], top, is_best=trial.number == best)
            axes.set_title(f"Inner fold {fold}")
            axes.set_xlabel("Epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[0].set_ylabel("Log-loss")


def _draw_curve(axes: Axes, trial: Trial, losses: list[float], top: float, is_best: bool) -> None:
    epochs, heights = np.arange(1, len(losses) + 1), np.minimum(losses, top)
    colour = BEST if is_best else OTHER if trial.state == COMPLETE else ENDED
    axes.plot(epochs, heights, color=colour, linewidth=2 if is_best else 0.8, alpha=0.9)
    if trial.state != COMPLETE and losses:
        axes.plot(epochs[-1:], heights[-1:], "x", color=colour, markersize=5)


def _scatter(axes: Axes, trials: list[Trial], places: list[float], top: float) -> None:
    """Draw trials by state: those that did not complete at the last loss that they had."""
    for state, marker, colour in ((COMPLETE, "o", OTHER), (PRUNED, "x", ENDED)):
        chosen = [
            (place, min(last_loss(trial), top))
            for place, trial in zip(places, trials, strict=True)
            if trial.state == state
        ]
        across, up = zip(*chosen, strict=True) if chosen else ((), ())
        axes.scatter(across, up, s=18, marker=marker, color=colour, label=state)


def _place(values: BaseDistribution, value: object) -> float:
    is_choice = isinstance(values, CategoricalDistribution)
    return values.choices.index(value) if is_choice else float(value)


def _scale(axes: Axes, values: BaseDistribution) -> None:
    if isinstance(values, CategoricalDistribution):
        axes.set_xticks(range(len(values.choices)), [str(choice) for choice in values.choices])
        axes.set_xlim(-0.5, len(values.choices) - 0.5)
    elif values.log:
        axes.set_xscale("log")
        axes.set_xlim(values.low / 1.3, values.high * 1.3)
