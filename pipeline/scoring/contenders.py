"""The models that are measured on the same cases: the ensemble, other ways to join, its members.

| name | ranks by | label and probabilities |
|---|---|---|
| `ensemble`, the recipe's | rank average | the probability map |
| `rank_argmax` | nothing | highest rank average; no probabilities |
| `mean` | mean of the members' probabilities | the same |
| `mean_logits` | softmax of the members' mean logits | the same |
| `weighted` | weighted mean of the members' probabilities | the same |
| a member's name | its own probabilities | the same |
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.classes import CLASSES
from pipeline.scoring.bootstrap import Values
from pipeline.scoring.delong import compare_aurocs
from pipeline.scoring.ensembles import fit_weights, mean_logits, mean_probabilities, weighted_mean
from pipeline.scoring.metrics import ScoredCases
from pipeline.scoring.paired import subtract
from pipeline.scoring.predictions import Predicted, labels_of

ENSEMBLE = "ensemble"
# What the ensemble is compared by: all of it on whole models.
COMPARED = ("macro_auroc", "accuracy", "balanced_accuracy", "log_loss", "brier_score")
FIGURES = ("value", "low", "high", "p_value")

Models = dict[str, ScoredCases]


@dataclass(frozen=True, eq=False)
class Joined:
    """What stage `ensemble` says of cases: rank averages and probabilities, `(n, 9)` each."""

    ranks: np.ndarray
    probabilities: np.ndarray

    def only(self, chosen: np.ndarray) -> "Joined":
        """Return some of the cases, by index or mask."""
        return Joined(self.ranks[chosen], self.probabilities[chosen])


def name_members(predicted: Predicted) -> Models:
    """Take what each member says of some cases."""
    labels = labels_of(predicted.cases)
    return {name: as_model(labels, scores) for name, scores in predicted.scores.items()}


def name_ensembles(tested: Predicted, joined: Joined, weights: np.ndarray) -> Models:
    """Take what each way to join the members says of some cases.

    Args:
        tested: Cases with their members' scores.
        joined: Of the same cases.
        weights: The members', `(members,)`, fitted on other cases.
    """
    labels, ranks = labels_of(tested.cases), joined.ranks
    return {
        # Rank scores order the cases of one class; the label comes from probabilities.
        ENSEMBLE: ScoredCases(
            labels, joined.probabilities.argmax(axis=1), ranks, joined.probabilities
        ),
        # What the label would be without the map: rank scores do not compare across classes.
        "rank_argmax": ScoredCases(labels, ranks.argmax(axis=1), None, None),
        "mean": as_model(labels, mean_probabilities(tested.scores)),
        "mean_logits": as_model(labels, mean_logits(tested.scores)),
        "weighted": as_model(labels, weighted_mean(tested.scores, weights)),
    }


def as_model(labels: np.ndarray, scores: np.ndarray) -> ScoredCases:
    """Take probabilities, `(n, 9)`, for all that a model says."""
    own = scores.astype(np.float64)
    return ScoredCases(labels, own.argmax(axis=1), own, own)


def learn_weights(known: Predicted) -> np.ndarray:
    """Fit the members' weights on cases that no deployed network trained on, never on the test."""
    return fit_weights(known.scores, labels_of(known.cases))


def compare_with_ensemble(
    models: Models, measured: Mapping[str, Values], units: np.ndarray, interval: float
) -> pd.DataFrame:
    """Set every other model against the ensemble on the same cases.

    Args:
        models: The ensemble among them.
        measured: The same models on the same resamples, from `bootstrap.measure_model`.
        units: Number of each case's patient, `(n,)` int.
        interval: In (0, 1).

    Returns:
        `model, metric, test, n` and the difference, ensemble less model: `value, low, high,
        p_value`, empty where undefined. By the bootstrap: `COMPARED`; by DeLong: the AUROC of each
        class.
    """
    rows = []
    for name in (name for name in models if name != ENSEMBLE):
        for metric in (m for m in COMPARED if m in measured[name]):
            found = subtract(measured[ENSEMBLE][metric], measured[name][metric], interval)
            rows.append((name, metric, "bootstrap", found))
        if models[name].scores is not None:
            rows += _by_delong(models[ENSEMBLE], models[name], name, units, interval)
    columns = ["model", "metric", "test", "n", *FIGURES]
    table = pd.DataFrame(
        [(*row, len(units), *(getattr(one, f) for f in FIGURES)) for *row, one in rows],
        columns=columns,
    )
    return table.astype(dict.fromkeys(FIGURES, np.float64))


def _by_delong(
    ensemble: ScoredCases, other: ScoredCases, name: str, units: np.ndarray, interval: float
) -> list[tuple]:
    scores = zip(CLASSES, ensemble.scores.T, other.scores.T, strict=True)
    rows = []
    for index, (label, first, second) in enumerate(scores):
        positives = ensemble.labels == index
        found = compare_aurocs(positives, first, second, units=units, interval=interval)
        rows.append((name, f"auroc_{label}", "delong", found))
    return rows
