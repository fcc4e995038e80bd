"""Section `robustness`: which cases are corrupted, and what all corruptions cost together.

A mean over corruptions is taken on each resample too, of the same patients throughout: its interval
holds the corruptions fixed and says what other patients would change. `robustness_cells` has the
parts.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.classes import CLASSES
from pipeline.scoring.bootstrap import estimate_of
from pipeline.scoring.decisions import UNDEFINED, Rows, flat
from pipeline.scoring.paired import Difference, subtract
from pipeline.scoring.robustness_cells import (
    CLEAN,
    FLIPS,
    MACRO,
    Cell,
    Decision,
    Pictures,
    drop_columns,
)

# A stronger corruption may let the crop find another box, and so change the inputs a little less.
SLACK = 0.9


@dataclass(frozen=True)
class RobustnessParams:
    """Section `robustness` of `params.yaml`.

    Attributes:
        seed: Of the cases that are drawn and of all that is random in a corruption.
        images: Test cases at most, 0 for all; classes are drawn in turn.
        batch_size: Pictures that the graph takes at a time.
        examples: Cases that are shown under the corruptions that hurt most.
    """

    seed: int
    images: int
    batch_size: int
    examples: int

    def __post_init__(self) -> None:
        if self.images != 0 and self.images < len(CLASSES):
            raise ValueError(
                f"images must be 0, for all, or at least {len(CLASSES)}, one of each class. "
                f"Got: {self.images}."
            )
        for name in ("batch_size", "examples"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Got: {getattr(self, name)}.")


def draw_cases(image_ids: Sequence[str], labels: np.ndarray, *, most: int, seed: int) -> np.ndarray:
    """Draw cases, a class at a time in turn, so that small classes are as sure as can be.

    The draw depends on the names alone: the order of the cases does not matter.

    Args:
        image_ids: Of all cases.
        labels: Indices into `CLASSES`, `(n,)` int.
        most: How many; 0 for all.
        seed: Of the draw.

    Returns:
        Indices of the cases that were drawn, by name, `(drawn,)` int.
    """
    keys = [
        hashlib.sha256(json.dumps([seed, image_id]).encode()).hexdigest() for image_id in image_ids
    ]
    table = pd.DataFrame({"image_id": image_ids, "label": labels, "key": keys})
    table = table.sort_values("key").assign(turn=lambda t: t.groupby("label").cumcount())
    drawn = table.sort_values(["turn", "label"]).head(most or len(table))
    return drawn.sort_values("image_id").index.to_numpy()


def summarise(
    cells: Sequence[Cell], groups: Mapping[str, str], targets: Iterable[str], interval: float
) -> dict[str, Any]:
    """Sum up: drops over all cells, by group and by corruption, and the most flips of a target.

    Returns:
        `mean_drop` by `all` and group; `worst`, the three corruptions with the largest mean drop of
        macro AUROC over their severities; `strongest`, how many corruptions lower it at the highest
        severity `of` those that define it; `flips` by target. Undefined is `None`.
    """
    by_group: dict[str, list[Cell]] = {"all": list(cells)}
    by_name: dict[str, list[Cell]] = {}
    for cell in cells:
        by_group.setdefault(groups[cell.corruption], []).append(cell)
        by_name.setdefault(cell.corruption, []).append(cell)
    drops = {name: mean_drop(own, MACRO, interval) for name, own in by_name.items()}
    known = sorted((drop.value, name) for name, drop in drops.items() if drop.value is not None)
    highest = max(cell.severity for cell in cells)
    lowered = [c.row[f"{MACRO}_drop"] for c in cells if c.severity == highest]
    lowered = [drop for drop in lowered if drop is not None]
    return {
        "mean_drop": {
            group: {
                key: value
                for name in own[0].values
                for key, value in drop_columns(name, mean_drop(own, name, interval)).items()
            }
            for group, own in by_group.items()
        },
        "worst": [
            {"corruption": name} | drop_columns(MACRO, drops[name]) for _, name in known[:-4:-1]
        ],
        "strongest": {
            "severity": highest,
            "lowering": sum(drop > 0 for drop in lowered) if lowered else None,
            "of": len(lowered),
        },
        "flips": {name: _most_flips(cells, name) for name in targets},
    }


def group_rows(
    cells: Iterable[Cell], groups: Mapping[str, str], name: str, interval: float
) -> Rows:
    """Average a figure, and its drop, over the corruptions of each group, by severity."""
    parts: dict[tuple[str, int], list[Cell]] = {}
    for cell in cells:
        parts.setdefault((groups[cell.corruption], cell.severity), []).append(cell)
    rows: Rows = []
    for (group, severity), own in parts.items():
        known = [c.values[name] for c in own if not np.isnan(c.values[name][0])]
        mean = estimate_of(*average(known), interval) if known else UNDEFINED
        counted = {"group": group, "severity": severity, "corruptions": len(known)}
        drop = drop_columns(name, mean_drop(own, name, interval))
        rows.append(counted | flat({name: mean}) | drop)
    return rows


def mean_drop(cells: Iterable[Cell], name: str, interval: float) -> Difference:
    """Average a figure's drop over those of the cells that define it; above 0 is harm."""
    both = [(c.clean[name], c.values[name]) for c in cells if c.row[f"{name}_drop"] is not None]
    if not both:
        return Difference(None, None, None, None, 0)
    clean, values = (average(side) for side in zip(*both, strict=True))
    return subtract(clean, values, interval)


def average(found: Sequence[tuple[float, np.ndarray]]) -> tuple[float, np.ndarray]:
    """Average a figure of several cells, on the cases and on each resample."""
    points, resampled = zip(*found, strict=True)
    return float(np.mean(points)), np.mean(resampled, axis=0)


def out_of_order(pictures: Pictures) -> list[str]:
    """Name the corruptions of which some severity changes the inputs less than the one before.

    On the cases that are scored at every severity. `SLACK` allows for what the CAD's crop does.
    """
    changes: dict[str, dict[int, np.ndarray]] = {}
    for (corruption, severity), own in pictures.corrupted.items():
        changes.setdefault(corruption, {})[severity] = own.input_change
    wrong = []
    for corruption, by_severity in changes.items():
        table = np.stack([by_severity[severity] for severity in sorted(by_severity)])
        means = table[:, ~np.isnan(table).any(axis=0)].sum(axis=1)
        if (means[1:] < SLACK * means[:-1]).any():
            wrong.append(corruption)
    return wrong


def target_scores(table: pd.DataFrame, decision: Decision) -> pd.DataFrame:
    """Sum a target's probabilities: a row for each case, a column for (corruption, severity)."""
    scores = table[[f"p_{name}" for name in decision.classes]].sum(axis=1, skipna=False)
    return (
        table.assign(score=scores)
        .pivot(index="image_id", columns=["corruption", "severity"], values="score")
        .sort_index()
    )


def choose_examples(
    chances: pd.DataFrame, labels: np.ndarray, decision: Decision, worst: list[str]
) -> list[str]:
    """Order the cases for showing: found positives first, then by how far the scores fall."""
    clean = chances[CLEAN, 0]
    positive = np.isin(labels, [CLASSES.index(name) for name in decision.classes])
    found = positive & (clean >= (decision.threshold or 0.0))
    fall = clean - chances[worst].mean(axis=1) if worst else clean
    order = pd.DataFrame({"missed": ~found, "rise": -fall}).sort_values(["missed", "rise"])
    return order.index.tolist()


def _most_flips(cells: Iterable[Cell], target: str) -> dict[str, Any] | None:
    """Find the cell in which a target's decision turns most often; `None` without a decision."""
    rows = [cell.row for cell in cells if cell.row[f"{target}_to_positive"] is not None]
    if not rows:
        return None
    worst = max(rows, key=lambda r: r[f"{target}_to_positive"] + r[f"{target}_to_negative"])
    known = {name: worst[name] for name in ("corruption", "severity", "n")}
    return known | {kind: worst[f"{target}_{kind}"] for kind in FLIPS}
