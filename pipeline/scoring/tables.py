"""Estimates laid out for people and tools: JSON rows, CSV tables, text.

Undefined figures are `None` in JSON, empty in CSV and a dash in text, never 0 or 1.
"""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.classes import CLASSES
from pipeline.scoring import metrics
from pipeline.scoring.bootstrap import Estimate
from pipeline.scoring.metrics import ScoredCases
from pipeline.scoring.ranking import precision_recall_curve

# Metrics of a whole model, each with its interval in the JSON.
HEADLINES = (
    "macro_auroc",
    "macro_average_precision",
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "top_2_accuracy",
    "macro_auroc_above_80_sensitivity",
    "log_loss",
    "brier_score",
    "cost_weighted_error",
)

# Ends the name of a member's row of out-of-fold figures: `b4` has `b4_out_of_fold` beside it.
OUT_OF_FOLD = "_out_of_fold"

Estimates = dict[str, Estimate]  # one model's, by flat name
Curves = dict[str, np.ndarray]  # one model's, by class, each `(points, 2)`


def metrics_row(labels: np.ndarray, units: np.ndarray, estimates: Estimates) -> dict[str, Any]:
    """Make one model's part of `metrics.json`.

    Args:
        labels: Truth, `(n,)`.
        units: What was resampled, `(n,)`.
        estimates: Of the model.
    """
    row: dict[str, Any] = {
        "n": len(labels),
        "resampling_units": len(np.unique(units)),
        "majority_accuracy": metrics.majority_accuracy(labels),
    }
    if "macro_auroc" in estimates:
        row["macro_auroc_classes"] = int(metrics.auroc_classes(labels).sum())
    for name in HEADLINES:
        if name in estimates:
            row |= estimate_columns(name, estimates[name])
    for label, count in zip(CLASSES, metrics.class_counts(labels), strict=True):
        row[f"n_{label}"] = int(count)
        for name in (f"auroc_{label}", f"average_precision_{label}"):
            if name in estimates:
                row[name] = estimates[name].value
    return row


def estimate_columns(name: str, estimate: Estimate) -> dict[str, float | int | None]:
    """Lay one estimate out flat."""
    return {
        name: estimate.value,
        f"{name}_low": estimate.low,
        f"{name}_high": estimate.high,
        f"{name}_resamples": estimate.resamples,
    }


def per_class_table(labels: np.ndarray, estimates: dict[str, Estimates]) -> pd.DataFrame:
    """List every model's metrics of every class: the values first, then their intervals.

    Args:
        labels: Truth, `(n,)`.
        estimates: By model.
    """
    counts = metrics.class_counts(labels)
    rows = []
    for model, found in estimates.items():
        for label, count in zip(CLASSES, counts, strict=True):
            row = {"model": model, "class": label, "n": len(labels), "positives": int(count)}
            own = {n: found[f"{n}_{label}"] for n in metrics.PER_CLASS if f"{n}_{label}" in found}
            row |= {name: estimate.value for name, estimate in own.items()}
            for name, estimate in own.items():
                row |= estimate_columns(name, estimate)
            rows.append(row)
    table = pd.DataFrame(rows)
    # Models without an AUROC leave cells empty, which would make floats of the counts.
    counted = [name for name in table.columns if name.endswith("_resamples")]
    return table.astype(dict.fromkeys(counted, "Int64"))


def confusion_table(image_ids: pd.Series, model: ScoredCases) -> pd.DataFrame:
    """List each case's true and predicted class; `dvc plots` counts them."""
    names = np.array(CLASSES)
    return pd.DataFrame(
        {
            "image_id": image_ids.to_numpy(),
            "true": names[model.labels],
            "predicted": names[model.predicted],
        }
    )


def roc_curves(model: ScoredCases) -> Curves:
    """Trace each class against the rest; the model must have scores."""
    return {
        label: metrics.roc_curve(model.labels == k, model.scores[:, k])
        for k, label in enumerate(CLASSES)
    }


def precision_recall_curves(model: ScoredCases) -> Curves:
    """Trace each class against the rest; the model must have scores."""
    return {
        label: precision_recall_curve(model.labels == k, model.scores[:, k])
        for k, label in enumerate(CLASSES)
    }


def roc_table(curves: dict[str, Curves]) -> pd.DataFrame:
    """List the corners of ROC curves, by model and class."""
    return _curve_table(curves, ["false_positive_rate", "sensitivity"])


def precision_recall_table(curves: dict[str, Curves]) -> pd.DataFrame:
    """List the points of precision-recall curves, by model and class."""
    return _curve_table(curves, ["sensitivity", "precision"])


def _curve_table(curves: dict[str, Curves], columns: list[str]) -> pd.DataFrame:
    parts = []
    for model, by_class in curves.items():
        for label, points in by_class.items():
            part = pd.DataFrame(points, columns=columns)
            part.insert(0, "model", model)
            part.insert(1, "class", label)
            parts.append(part)
    return pd.concat(parts)


def out_of_fold_table(rows: dict[str, dict[str, Any]], folds: list[int]) -> pd.DataFrame:
    """List the members' out-of-fold figures, pooled over folds.

    Args:
        rows: From `metrics_row`, by member and `OUT_OF_FOLD`.
        folds: Whose cases they are of.
    """
    known = {"folds": " ".join(map(str, folds))}
    return pd.DataFrame(
        [{"member": name.removesuffix(OUT_OF_FOLD)} | known | row for name, row in rows.items()]
    )


def recipe_table(
    members: list[dict[str, Any]], estimates: dict[str, Estimates], cases: int
) -> pd.DataFrame:
    """Set members side by side: settings, training and held-out accuracy; the ensemble last.

    Args:
        members: Each with `member, backbone, crop_px, input_px, batch_size, training_accuracy,
            training_images`.
        estimates: By model.
        cases: How many the held-out accuracy is of.
    """
    # The ensemble is not run on training cases; the mean of its members' figures is not its own.
    together = {"member": "ensemble", "backbone": " + ".join(m["backbone"] for m in members)}
    table = pd.DataFrame([*members, together])
    whole = ("crop_px", "input_px", "batch_size", "training_images")
    table = table.astype(dict.fromkeys(whole, "Int64"))
    columns = [
        estimate_columns("held_out_accuracy", estimates[name]["accuracy"]) for name in table.member
    ]
    table = table.join(pd.DataFrame(columns)).drop(columns="held_out_accuracy_resamples")
    return table.assign(held_out_cases=cases)


def recipe_text(table: pd.DataFrame) -> pd.DataFrame:
    """Word the recipe's table as it is shown in the figure."""
    shown = table[["member", "backbone"]].rename(columns=str.capitalize)
    headings = {"crop_px": "Crop, px", "input_px": "Input, px", "batch_size": "Batch"}
    for key, heading in headings.items():
        shown[heading] = ["" if pd.isna(value) else str(value) for value in table[key]]
    shown["Training\naccuracy"] = [
        "" if pd.isna(value) else f"{value:.3f}" for value in table.training_accuracy
    ]
    ends = table[["held_out_accuracy", "held_out_accuracy_low", "held_out_accuracy_high"]]
    shown["Held-out accuracy\n[interval]"] = [
        interval_text(*(None if pd.isna(value) else value for value in row))
        for row in ends.itertuples(index=False)
    ]
    return shown


def headline_text(rows: dict[str, dict[str, Any]]) -> str:
    """Word the figures that stand first in `metrics.json`, one line per model."""
    line = "{:<16} {:>6}  {:<20}  {:<20}  {:>8}  {:>8}"
    lines = [line.format("model", "n", "macro AUROC", "accuracy", "majority", "balanced")]
    for model, row in rows.items():
        ranked, right = (
            interval_text(row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high"))
            for name in ("macro_auroc", "accuracy")
        )
        majority, balanced = (
            interval_text(row[name], None, None)
            for name in ("majority_accuracy", "balanced_accuracy")
        )
        lines.append(line.format(model, row["n"], ranked, right, majority, balanced))
    return "\n".join(lines)


def interval_text(value: float | None, low: float | None, high: float | None) -> str:
    """Word a figure with its interval where there is one; a dash where it is undefined."""
    if value is None:
        return "-"
    return f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"
