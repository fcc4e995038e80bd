"""Stage `evaluate`: metrics on the test set and out of fold with intervals, tables and plots.

Usage: python -m stages.evaluate data/split/manifest.csv data/predict models/train models/ensemble
reports/evaluate
"""

import argparse
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from pipeline import manifest, params
from pipeline.command import run_stage
from pipeline.manifest import CALIBRATION, TEST
from pipeline.scoring import curve_plots, plots, tables
from pipeline.scoring.contenders import (
    Joined,
    Models,
    compare_with_ensemble,
    learn_weights,
    name_ensembles,
    name_members,
)
from pipeline.scoring.diversity import diversity
from pipeline.scoring.ensemble_params import EnsembleParams
from pipeline.scoring.evaluation import EvaluateParams, measure_models
from pipeline.scoring.fold_predictions import (
    ByFold,
    choose_deployed,
    pool_out_of_fold,
    read_folds,
)
from pipeline.scoring.metrics import ScoredCases, confusion, every_case_once, majority_accuracy
from pipeline.scoring.predictions import Predicted, labels_of, read_ensemble
from pipeline.scoring.tables import OUT_OF_FOLD
from pipeline.scoring.too_good import refuse_too_good
from pipeline.storage import read_json, write_csv, write_json


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("evaluate", EvaluateParams)
    ensemble = params.load("ensemble", EnsembleParams)
    folds = tuple(params.read_section("split.train_folds"))
    by_fold = read_folds(args.predictions, ensemble.members, folds, manifest.read(args.table))
    deployed = choose_deployed(by_fold, ensemble)
    combined = Joined(*read_ensemble(args.ensemble / "predictions.csv", deployed.cases))
    refuse_leaks(by_fold, deployed, combined.ranks, settings.too_good_auroc)
    cases, models, weights = name_models(deployed, combined, args.table)
    costs = settings.costs.matrix(params.read_section("operating_points.malignant"))
    measured = measure_models(cases, models, settings, costs, "evaluate")
    rows, estimates = measured.rows, measured.estimates
    own_rows = measure_out_of_fold(by_fold, settings, costs)

    write_json(args.target / "metrics.json", rows | own_rows)
    labels = models["ensemble"].labels
    # Other ways to join the members stand in the tables: as curves they would hide one another.
    shown = {name: models[name] for name in ("ensemble", *ensemble.members)}
    curves = {name: tables.roc_curves(model) for name, model in shown.items()}
    recalls = {name: tables.precision_recall_curves(model) for name, model in shown.items()}
    networks = (args, ensemble.members, ensemble.deployed_folds(folds))
    recipe = tables.recipe_table(read_recipe(*networks), estimates, len(cases))
    histories = read_histories(*networks)
    write_tables(
        args.target,
        per_class=tables.per_class_table(labels, estimates),
        confusion=tables.confusion_table(cases.image_id, models["ensemble"]),
        roc=tables.roc_table(curves),
        pr=tables.precision_recall_table(recalls),
        recipe=recipe,
        out_of_fold=tables.out_of_fold_table(own_rows, sorted(folds)),
        differences=compare_with_ensemble(
            models, measured.values, measured.units, settings.interval
        ),
        diversity=diversity(deployed.only(TEST).scores, labels),
        weights=pd.DataFrame({"member": ensemble.members, "weight": weights}),
        history=pd.concat(histories, names=["network"]).reset_index(level="network"),
    )
    percent = f"{100 * settings.interval:g} % interval"
    draw_test_set(args.target, models["ensemble"], curves, recalls, estimates, percent)
    plots.plot_history(args.target / "history.png", name_histories(histories, args.trained))
    title = f"Training without augmentation; held out: {name_test_set(len(cases))}, {percent}"
    plots.plot_table(args.target / "recipe.png", tables.recipe_text(recipe), title)
    print(tables.headline_text(rows | own_rows))
    print(f"evaluate: {len(cases)} test cases, {len(models)} models in {args.target}")


def refuse_leaks(by_fold: ByFold, deployed: Predicted, ranks: np.ndarray, ceiling: float) -> None:
    """Stop where a member on any fold, or the ensemble, is better than such data allow."""
    for fold, predicted in by_fold.items():
        labels = labels_of(predicted.cases)
        for name, scores in predicted.scores.items():
            parts = name_parts(predicted.cases)
            refuse_too_good(f"{name}-{fold}", labels, scores, parts, ceiling)
    labels = labels_of(deployed.cases)
    refuse_too_good("the ensemble", labels, ranks, name_parts(deployed.cases), ceiling)


def name_parts(cases: pd.DataFrame) -> dict[str, np.ndarray]:
    """Tell apart the cases that a model did not train on."""
    test, calibration = ((cases.fold == part).to_numpy() for part in (TEST, CALIBRATION))
    own = ~(test | calibration)
    return {"its own fold": own, "the test set": test, "the calibration part": calibration}


def name_models(
    deployed: Predicted, joined: Joined, table: Path
) -> tuple[pd.DataFrame, Models, np.ndarray]:
    """Take the test cases, what each model says of them, and the weights of `weighted`."""
    test = deployed.is_test
    if not test.any():
        raise ValueError(f"{table}: the test set must have at least one case. Got: none.")
    tested = deployed.only(TEST)
    weights = learn_weights(deployed.without(TEST))
    models = name_ensembles(tested, joined.only(test), weights) | name_members(tested)
    return tested.cases, models, weights


def measure_out_of_fold(
    by_fold: ByFold, settings: EvaluateParams, costs: np.ndarray
) -> dict[str, dict[str, Any]]:
    """Measure each member on the cases of all trained folds, by its network without the fold."""
    pooled = pool_out_of_fold(by_fold)
    models = {f"{name}{OUT_OF_FOLD}": model for name, model in name_members(pooled).items()}
    return measure_models(pooled.cases, models, settings, costs, "evaluate out of fold").rows


def write_tables(target: Path, **written: pd.DataFrame) -> None:
    """Write each table as CSV under its name."""
    for name, table in written.items():
        write_csv(target / f"{name}.csv", table)


def read_recipe(
    args: argparse.Namespace, members: tuple[str, ...], folds: tuple[int, ...]
) -> list[dict[str, Any]]:
    """Read the settings and the training accuracy of each member, the mean of its networks'."""
    rows = []
    for member in members:
        names = [f"{member}-{fold}" for fold in folds]
        trained = read_json(args.trained / names[0] / "summary.json")
        scored = [read_json(args.predictions / name / "summary.json") for name in names]
        row = {"member": member}
        row |= {key: trained[key] for key in ("backbone", "crop_px", "input_px", "batch_size")}
        row["training_accuracy"] = fmean(found["training_accuracy"] for found in scored)
        row["training_images"] = sum(found["training_images"] for found in scored)
        rows.append(row)
    return rows


def read_histories(
    args: argparse.Namespace, members: tuple[str, ...], folds: tuple[int, ...]
) -> dict[str, pd.DataFrame]:
    """Read the deployed networks' histories, by `<member>-<fold>`."""
    names = [f"{member}-{fold}" for member in members for fold in folds]
    return {name: pd.read_csv(args.trained / name / "history.csv") for name in names}


def name_histories(
    histories: dict[str, pd.DataFrame], trained: Path
) -> dict[str, list[pd.DataFrame]]:
    """Gather each member's histories under the title of its plot."""
    members: dict[str, list[str]] = {}
    for name in histories:
        members.setdefault(name.rpartition("-")[0], []).append(name)
    titles = {}
    for member, names in members.items():
        images = [read_json(trained / name / "summary.json")["images"] for name in names]
        folds = f", {len(names)} folds" if len(names) > 1 else ""
        least = f"{min(images)} to " if min(images) < max(images) else ""
        titles[f"{member}{folds}, n = {least}{max(images)}"] = [histories[name] for name in names]
    return titles


def draw_test_set(
    target: Path,
    model: ScoredCases,
    curves: dict[str, tables.Curves],
    recalls: dict[str, tables.Curves],
    estimates: dict[str, tables.Estimates],
    percent: str,
) -> None:
    """Draw the ensemble's confusion matrix, and every model's curves and AUROC per class."""
    labels, right = model.labels, estimates["ensemble"]["accuracy"]
    ranked = {name: estimates[name] for name in curves}
    of_cases = name_test_set(len(labels))
    plots.plot_confusion(
        target / "confusion_matrix.png",
        confusion(labels, model.predicted, every_case_once(len(labels)))[0],
        f"Ensemble, {of_cases}\n"
        f"accuracy {tables.interval_text(right.value, right.low, right.high)}, "
        f"always the commonest class {majority_accuracy(labels):.3f}",
    )
    title = f"One class against the rest, {of_cases}\nAUROC of the ensemble with {percent}"
    curve_plots.plot_roc(target / "roc.png", curves, ranked, labels, title)
    title = f"One class against the rest, {of_cases}; dotted: share of the class\n"
    title += f"average precision of the ensemble with {percent}"
    curve_plots.plot_precision_recall(target / "pr.png", recalls, ranked, labels, title)
    title = f"AUROC with {percent}, {of_cases}"
    plots.plot_per_class(target / "per_class.png", ranked, labels, title)


def name_test_set(cases: int) -> str:
    """Name the test set in a title."""
    return f"test set, n = {cases} cases"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.evaluate", description=__doc__)
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("predictions", type=Path, help="folder of the outputs of stage predict")
    parser.add_argument("trained", type=Path, help="folder of the outputs of stage train")
    parser.add_argument("ensemble", type=Path, help="folder written by stage ensemble")
    parser.add_argument("target", type=Path, help="folder to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
