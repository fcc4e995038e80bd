"""Section `evaluate`: what models are measured by, on the same cases and resamples."""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pipeline.classes import CLASSES
from pipeline.scoring import tables
from pipeline.scoring.bootstrap import (
    Estimate,
    Values,
    draw_counts,
    estimate_of,
    measure_model,
    resampling_units,
    with_width,
)
from pipeline.scoring.contenders import Models
from pipeline.scoring.metrics import ScoredCases
from pipeline.scoring.predictions import labels_of

# Metrics of a class that are shares; `isic_2024_pauc` ends at 0.2 and is none.
OF_LABELS = ("precision", "recall", "f1")
OF_RANKS = (
    "auroc",
    "average_precision",
    "auroc_above_80_sensitivity",
    "partial_auroc_above_80_specificity",
)


@dataclass(frozen=True)
class CostParams:
    """What a wrong label costs; a right one costs nothing.

    Attributes:
        missed_malignant: A malignant case is called benign.
        needless_referral: A benign case is called malignant.
        same_side: Another class of the same side is said.
    """

    missed_malignant: float
    needless_referral: float
    same_side: float

    def __post_init__(self) -> None:
        for name, cost in dataclasses.asdict(self).items():
            if not 0 <= cost < np.inf:
                raise ValueError(f"{name} must be at least 0 and finite. Got: {cost}.")

    def matrix(self, malignant: Collection[str]) -> np.ndarray:
        """Return the costs by true (row) and predicted (column) class, `(9, 9)` float64."""
        bad = np.isin(CLASSES, list(malignant))
        costs = np.where(bad[:, None] == bad, self.same_side, self.needless_referral)
        costs[bad[:, None] & ~bad] = self.missed_malignant
        np.fill_diagonal(costs, 0.0)
        return costs


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of models on the same cases, by model.

    Attributes:
        units: Number of each case's patient, `(n,)` int.
        values: Every metric, on the cases and on each resample.
        estimates: Every metric with its interval.
        rows: Their parts of `metrics.json`.
    """

    units: np.ndarray
    values: dict[str, Values]
    estimates: dict[str, tables.Estimates]
    rows: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class EvaluateParams:
    """Section `evaluate` of `params.yaml`."""

    bootstrap_repeats: int
    interval: float
    seed: int
    too_good_auroc: float
    costs: CostParams

    def __post_init__(self) -> None:
        if self.bootstrap_repeats < 1:
            raise ValueError(
                f"bootstrap_repeats must be at least 1. Got: {self.bootstrap_repeats}."
            )
        if not 0 < self.interval < 1:
            raise ValueError(f"interval must be in (0, 1). Got: {self.interval}.")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0. Got: {self.seed}.")
        if self.too_good_auroc <= 0.5:
            raise ValueError(f"too_good_auroc must be above 0.5. Got: {self.too_good_auroc}.")


def measure_models(
    cases: pd.DataFrame,
    models: Models,
    settings: EvaluateParams,
    costs: np.ndarray,
    progress: str,
) -> Measured:
    """Measure models on the same cases and resamples of patients.

    Args:
        cases: Rows of the manifest.
        models: Of these cases, by name.
        settings: Section `evaluate`.
        costs: By true (row) and predicted (column) class, `(9, 9)`.
        progress: Name of the progress bar.
    """
    units = resampling_units(cases)
    counts = draw_counts(units, repeats=settings.bootstrap_repeats, seed=settings.seed)
    values = {
        name: measure_model(model, counts, costs)
        for name, model in tqdm(models.items(), desc=progress)
    }
    estimates = {
        name: {
            metric: _estimate(metric, pair, models[name], units, settings.interval)
            for metric, pair in found.items()
        }
        for name, found in values.items()
    }
    labels = labels_of(cases)
    rows = {name: tables.metrics_row(labels, units, found) for name, found in estimates.items()}
    return Measured(units, values, estimates, rows)


def cases_of_share(metric: str, model: ScoredCases) -> list[np.ndarray]:
    """Return the kinds of cases that a metric from 0 to 1 is a share of, each `(n,)` bool.

    It is as sure as the fewest of them are many. A metric of another scale has none.
    """
    if metric in ("accuracy", "top_2_accuracy"):
        return [np.ones(len(model), bool)]
    if metric == "balanced_accuracy" or metric.removeprefix("macro_") in (*OF_LABELS, *OF_RANKS):
        return [model.labels == k for k in np.unique(model.labels)]
    kind, _, name = metric.rpartition("_")
    if name not in CLASSES:
        return []
    positive, said = (known == CLASSES.index(name) for known in (model.labels, model.predicted))
    if kind in OF_RANKS:
        return [positive, ~positive]
    return {"precision": [said], "recall": [positive], "f1": [positive | said]}.get(kind, [])


def _estimate(
    metric: str,
    pair: tuple[float, np.ndarray],
    model: ScoredCases,
    units: np.ndarray,
    interval: float,
) -> Estimate:
    plain = estimate_of(*pair, interval)
    kinds = cases_of_share(metric, model)
    # Of a kind without a case nothing can be missed: average precision needs no other class.
    trials = [len(np.unique(units[kind])) for kind in kinds if kind.any()]
    if plain.value is None or not trials:
        return plain
    return with_width(plain, min(trials), interval)
