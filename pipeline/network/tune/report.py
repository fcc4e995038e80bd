"""The report of a search: one page that opens offline, tables as CSV, the best values as YAML."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from optuna.distributions import CategoricalDistribution
from ruamel.yaml import YAML

from pipeline.network.tune import charts
from pipeline.network.tune.search import Search
from pipeline.network.tune.space import nest
from pipeline.network.tune.study import COMPLETE, FAILED, PRUNED, Trial, importances
from pipeline.page import Picture, Section, read_picture, render_page, save_table, view_table
from pipeline.storage import atomic_folder, atomic_write

REASON_LETTERS = 100  # shown in the table; trials.csv has all


def best_of(trials: list[Trial]) -> Trial | None:
    """Return the complete trial of the lowest value; `None` where none is complete."""
    complete = [trial for trial in trials if trial.state == COMPLETE]
    return min(complete, key=lambda trial: trial.value, default=None)


def write_report(search: Search, trials: list[Trial], target: Path) -> None:
    """Write `index.html`, charts, `trials.csv`, `losses.csv` and, of a complete trial, `best.yaml`.

    An earlier report in the same folder is replaced.
    """
    best = best_of(trials)
    with atomic_folder(target, replaces="index.html") as folder:
        lead = (
            f"{len(trials)} trials of member {search.member} on {search.rows:,} cases; no case of "
            f"the test set and none of fold {search.outer_fold}, whose members are deployed, was "
            "read."
        )
        sections = [
            _describe_result(search, trials, best),
            _describe_trials(search, trials, folder),
            _describe_parameters(search, trials, folder),
            _describe_curves(search, trials, best, folder),
        ]
        with atomic_write(folder / "index.html", "w") as file:
            file.write(render_page(f"Search over parameters of {search.member}", lead, sections))
        losses_table(search, trials).to_csv(folder / "losses.csv", index=False)
        if best:
            write_best(search, trials, best, folder / "best.yaml")


def trials_table(search: Search, trials: list[Trial]) -> pd.DataFrame:
    """Lay trials out as rows; `value` is NaN unless complete."""
    rows = [
        {
            "trial": trial.number,
            "state": trial.state,
            "value": math.nan if trial.value is None else trial.value,
            "last_loss": charts.last_loss(trial),
            "epochs": sum(map(len, trial.losses)),
            "seconds": trial.seconds,
            **{name: trial.params[name] for name in search.space},
            "reason": trial.reason,
        }
        for trial in trials
    ]
    return pd.DataFrame(rows).set_index("trial")


def losses_table(search: Search, trials: list[Trial]) -> pd.DataFrame:
    """Lay the loss after each epoch out as rows."""
    rows = [
        (trial.number, fold, epoch + 1, loss)
        for trial in trials
        for fold, losses in zip(search.settings.inner_folds, trial.losses, strict=False)
        for epoch, loss in enumerate(losses)
    ]
    return pd.DataFrame(rows, columns=["trial", "inner_fold", "epoch", "loss"])


def summarise(search: Search, trials: list[Trial]) -> str:
    """Set the best trial against the median one, with the spread and the cases, in a sentence."""
    best = best_of(trials)
    if best is None:
        return "No trial is complete."
    values = [trial.value for trial in trials if trial.state == COMPLETE]
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    folds = " and ".join(f"{fold} (n = {n:,})" for fold, n in search.cases.items())
    return (
        f"Trial {best.number} is best of {len(values)} complete ones: log-loss {best.value:.4f} "
        f"on inner fold {folds}; the median trial has {median:.4f} (quartiles {low:.4f} and "
        f"{high:.4f}, worst {max(values):.4f})."
    )


def write_best(search: Search, trials: list[Trial], best: Trial, path: Path) -> None:
    """Write the best trial's values as the lines of `params.yaml` that they replace."""
    named = {
        name.replace("member.", f"member.{search.member}.", 1)
        if name.startswith("member.")
        else name: value
        for name, value in best.params.items()
    }
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    with atomic_write(path, "w") as file:
        file.write(
            f"# {summarise(search, trials)}\n# Chosen by these cases: expect less on others."
        )
        file.write("\n# Paste into params.yaml, or keep as recipes/NAME.yaml for make repro.\n")
        yaml.dump(nest(named, {}), file)


def _describe_result(search: Search, trials: list[Trial], best: Trial | None) -> Section:
    counts = {
        state: sum(trial.state == state for trial in trials) for state in (COMPLETE, PRUNED, FAILED)
    }
    how = ", ".join(f"{count} {state}" for state, count in counts.items())
    texts = [
        f"{summarise(search, trials)} Of all trials: {how}. Pruned trials were worse than others "
        "after the same epoch and count in neither median nor quartiles.",
        f"Giving every case the class shares of the training cases has {search.prior:.4f}: what is "
        "above that has learnt nothing from the images.",
        f"The best of {len(trials)} trials is optimistic: it was chosen by the very cases that it "
        "is scored on, and part of its lead over the median is luck. All trials share one training "
        "seed; a difference smaller than another seed makes is none. Train anew with these values "
        "and judge by the test set, once.",
        "The value is the mean log-loss of an inner fold, left out of training, by the weights "
        "that training keeps; with several inner folds, the mean over them.",
    ]
    return Section("Result", texts, [view_table(_space_table(search, best), "What was searched")])


def _space_table(search: Search, best: Trial | None) -> pd.DataFrame:
    rows = {}
    for name, values in search.space.items():
        now: Any = search.sections
        for key in name.split("."):
            now = now[key]
        if isinstance(values, CategoricalDistribution):
            text = ", ".join(map(str, values.choices))
        else:
            steps = " (log)" if values.log else f" in steps of {values.step}" if values.step else ""
            text = f"{values.low:g} to {values.high:g}{steps}"
        found = _text(best.params[name]) if best else "–"
        rows[name] = {"range": text, "params.yaml": _text(now), "best": found}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _describe_trials(search: Search, trials: list[Trial], folder: Path) -> Section:
    table = trials_table(search, trials)
    save_table(table, "", folder / "trials.csv")
    shown = table.assign(reason=table.reason.str.slice(0, REASON_LETTERS))
    if not shown.reason.any():
        shown = shown.drop(columns="reason")
    caption = "Trials; last_loss where a trial ended, seconds of its training steps"
    charts.draw_progress(trials, search.prior, folder / "progress.png")
    text = _caption(search, trials, "The value of each trial; pruned ones at their last loss.")
    return Section("Trials", [], [view_table(shown, caption)], [_show(folder, "progress", text)])


def _describe_parameters(search: Search, trials: list[Trial], folder: Path) -> Section:
    charts.draw_parameters(trials, search.space, search.prior, folder / "parameters.png")
    text = _caption(search, trials, "Each parameter against the value; pruned at their last loss.")
    pictures = [_show(folder, "parameters", text)]
    shares = importances(trials, search.space, search.settings.seed)
    complete = sum(trial.state == COMPLETE for trial in trials)
    note = (
        f"Importances are of {complete} complete trials and of these ranges: wider or narrower "
        "ranges give others, and few trials give unsteady ones. Pruned trials are not in them."
    )
    if shares:
        charts.draw_importances(shares, folder / "importances.png")
        pictures.append(_show(folder, "importances", "What the differences go back to."))
    else:
        note = f"No importances: they take four complete trials that differ. Got: {complete}."
    return Section("Parameters", [note], [], pictures)


def _describe_curves(
    search: Search, trials: list[Trial], best: Trial | None, folder: Path
) -> Section:
    number, folds = best.number if best else None, search.settings.inner_folds
    charts.draw_curves(trials, number, folds, search.prior, folder / "curves.png")
    text = "Blue: the best trial. Grey: complete ones. Red, ending in a cross: pruned or failed."
    return Section(
        "Learning curves", [], [], [_show(folder, "curves", _caption(search, trials, text))]
    )


def _caption(search: Search, trials: list[Trial], text: str) -> str:
    top = charts.ceiling(trials, search.prior)
    return f"{text} Losses above {top:.3g} are drawn there."


def _show(folder: Path, name: str, caption: str) -> Picture:
    return read_picture(folder / f"{name}.png", caption, caption)
