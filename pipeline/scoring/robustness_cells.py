"""What corruptions of the images cost: AUROC, accuracy and decisions, against the clean images.

Everything is paired. A corruption at a severity is compared with the clean images of the very cases
that it was scored on, on the same resamples of the same patients. A drop is clean less corrupted:
above 0 the corruption harms.

A case is left out of a corruption, and counted, where no pixel changed (`UNCHANGED`) or where the
CAD refused the result (`REFUSED`). One whose pixels changed but of which the graph takes the same
arrays, as of a dark surround that the crop cuts off, was survived: it stays in and is counted as
`unseen`.

AUROC over the classes is of rank scores; that of a binary target is of what decides on it, the sum
of its classes' probabilities, as in the bundle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.classes import CLASSES
from pipeline.scoring.bootstrap import Values, estimate_of
from pipeline.scoring.decisions import Resamples, flat
from pipeline.scoring.metrics import auroc, auroc_classes, every_case_once, macro_mean, row_blocks
from pipeline.scoring.operating_point import binary_cases, share
from pipeline.scoring.paired import Difference, subtract
from pipeline.scoring.predictions import PROBABILITIES, RANK_SCORES

CLEAN = "clean"  # stands in the table as a corruption of severity 0
SCORED, UNCHANGED, REFUSED = "scored", "unchanged", "refused"
COLUMNS = (
    *("image_id", "corruption", "severity", "status", "input_change"),
    *(*RANK_SCORES, *PROBABILITIES),
)
MACRO = "macro_auroc"
FLIPS = ("to_positive", "to_negative", "newly_missed", "found_clean")


class RobustnessError(ValueError):
    """Scores of corrupted images cannot be compared with those of the clean ones."""


@dataclass(frozen=True)
class Decision:
    """A binary target: its classes, and the threshold that decides; `None` where there is none."""

    classes: tuple[str, ...]
    threshold: float | None


@dataclass(frozen=True, eq=False)
class Scores:
    """What the graph says of all cases under one corruption at one severity, or of clean images.

    Attributes:
        status: `SCORED`, `UNCHANGED` or `REFUSED`, `(n,)`.
        input_change: Mean difference of the graph's image inputs from those of the clean image,
            in levels, `(n,)` float64; NaN where not scored.
        rank_scores: `(n, 9)` float64; NaN where not scored.
        probabilities: Likewise.
    """

    status: np.ndarray
    input_change: np.ndarray
    rank_scores: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True, eq=False)
class Pictures:
    """All scores of the cases, in one order of cases, with their truth.

    Attributes:
        labels: Indices into `CLASSES`, `(n,)` int.
        clean: Of the images as they are.
        corrupted: By corruption and severity.
        resamples: Of the same cases.
    """

    labels: np.ndarray
    clean: Scores
    corrupted: dict[tuple[str, int], Scores]
    resamples: Resamples


@dataclass(frozen=True, eq=False)
class Cell:
    """One corruption at one severity: its row of the report, and what means over rows are made of.

    Attributes:
        corruption: Name.
        severity: From 1.
        row: Counts, figures, drops and flips.
        clean: Figures of the clean images of these cases, on the cases and on each resample.
        values: Those under the corruption.
    """

    corruption: str
    severity: int
    row: dict[str, Any]
    clean: Values
    values: Values


def arrange(
    table: pd.DataFrame, image_ids: Sequence[str], labels: np.ndarray, resamples: Resamples
) -> Pictures:
    """Bring a table of scores, in any order, into that of the cases.

    Args:
        table: With `COLUMNS`.
        image_ids: Of the cases.
        labels: Of the cases, indices into `CLASSES`, `(n,)` int.
        resamples: Of the cases.

    Raises:
        RobustnessError: Clean images are not there, or a corruption has other cases than these.
    """
    parts = {}
    for (corruption, severity), own in table.groupby(["corruption", "severity"], sort=False):
        if sorted(own.image_id) != sorted(image_ids):
            raise RobustnessError(
                f"{corruption} at severity {severity} must have each of the {len(image_ids)} cases "
                f"once. Got: {len(own)} rows of {own.image_id.nunique()} cases, "
                f"{len(set(image_ids) - set(own.image_id))} of these cases missing."
            )
        own = own.set_index("image_id").loc[list(image_ids)]
        parts[str(corruption), int(severity)] = Scores(
            own.status.to_numpy(),
            own.input_change.to_numpy(np.float64),
            own[list(RANK_SCORES)].to_numpy(np.float64),
            own[list(PROBABILITIES)].to_numpy(np.float64),
        )
    if (CLEAN, 0) not in parts:
        raise RobustnessError(f"scores must hold the clean images. Got: {sorted(parts)[:5]}.")
    clean = parts.pop((CLEAN, 0))
    return Pictures(labels, clean, parts, resamples)


def measure_cells(pictures: Pictures, targets: Mapping[str, Decision]) -> list[Cell]:
    """Measure every corruption at every severity against the clean images of the same cases.

    Returns:
        Cells in the order of the pictures. Rows: `corruption, severity`, counts of cases, figures
        with intervals, each with its `_drop`, that one's interval and p-value, and flips of the
        decision: `newly_missed` of those `found_clean` are positives that are no longer found.
    """
    known: dict[bytes, Values] = {}  # figures of the clean images, by the cases that are scored
    cells, interval = [], pictures.resamples.interval
    for (corruption, severity), own in pictures.corrupted.items():
        inside = own.status == SCORED
        if (key := inside.tobytes()) not in known:
            known[key] = _figures(pictures, pictures.clean, inside, targets)
        clean, values = known[key], _figures(pictures, own, inside, targets)
        row: dict[str, Any] = {"corruption": corruption, "severity": severity}
        row |= _count(pictures, inside, targets) | _left_out(own)
        for name, found in values.items():
            row |= flat({name: estimate_of(*found, interval)})
            row |= drop_columns(name, subtract(clean[name], found, interval))
        for name, target in targets.items():
            row |= _flips(pictures, own, inside, name, target)
        cells.append(Cell(corruption, severity, row, clean, values))
    return cells


def measure_clean(pictures: Pictures, targets: Mapping[str, Decision]) -> dict[str, Any]:
    """Measure the clean images: `n, units`, positives, and figures with intervals."""
    every = np.ones(len(pictures.labels), bool)
    found = _figures(pictures, pictures.clean, every, targets)
    figures = {name: estimate_of(*f, pictures.resamples.interval) for name, f in found.items()}
    return _count(pictures, every, targets) | flat(figures)


def drop_columns(name: str, drop: Difference) -> dict[str, Any]:
    """Lay a drop out flat."""
    columns = {f"{name}_drop_{key}": value for key, value in asdict(drop).items()}
    return {f"{name}_drop": columns.pop(f"{name}_drop_value")} | columns


def _figures(
    pictures: Pictures, own: Scores, inside: np.ndarray, targets: Mapping[str, Decision]
) -> Values:
    """Measure the cases inside, `(n,)` bool, once and on each resample."""
    labels, ranks = pictures.labels[inside], own.rank_scores[inside]
    probabilities, counts = own.probabilities[inside], pictures.resamples.counts[:, inside]
    if not len(labels):
        nothing = np.full(len(counts), np.nan)
        return dict.fromkeys(
            (MACRO, *(f"auroc_{t}" for t in targets), "accuracy"), (np.nan, nothing)
        )
    binary = {n: binary_cases(labels, probabilities, t.classes) for n, t in targets.items()}
    is_right, every = probabilities.argmax(axis=1) == labels, np.ones(len(labels), bool)
    parts = []
    for block in (every_case_once(len(labels)), *row_blocks(counts)):
        by_class = [auroc(labels == k, ranks[:, k], block) for k in range(len(CLASSES))]
        found = {MACRO: macro_mean(np.stack(by_class, axis=1), auroc_classes(labels))}
        for name, cases in binary.items():
            found[f"auroc_{name}"] = auroc(cases.positive, cases.scores, block)
        parts.append(found | {"accuracy": share(is_right, every, block)})
    return {
        name: (float(first[0]), np.concatenate([part[name] for part in parts[1:]]))
        for name, first in parts[0].items()
    }


def _count(
    pictures: Pictures, inside: np.ndarray, targets: Mapping[str, Decision]
) -> dict[str, int]:
    labels = pictures.labels[inside]
    counted = {"n": len(labels), "units": len(np.unique(pictures.resamples.units[inside]))}
    for name, target in targets.items():
        columns = [CLASSES.index(label) for label in target.classes]
        counted[f"{name}_positives"] = int(np.isin(labels, columns).sum())
    return counted


def _left_out(own: Scores) -> dict[str, Any]:
    changes = own.input_change[own.status == SCORED]
    return {
        "left_out_unchanged": int((own.status == UNCHANGED).sum()),
        "left_out_refused": int((own.status == REFUSED).sum()),
        "unseen": int((changes == 0).sum()),
        "input_change": float(changes.mean()) if len(changes) else None,
    }


def _flips(
    pictures: Pictures, own: Scores, inside: np.ndarray, name: str, target: Decision
) -> dict[str, int | None]:
    """Count the decisions that the corruption turns; `None` without a threshold or a case."""
    if target.threshold is None or not inside.any():
        return {f"{name}_{kind}": None for kind in FLIPS}
    clean, now = (
        binary_cases(pictures.labels[inside], scores.probabilities[inside], target.classes)
        for scores in (pictures.clean, own)
    )
    before, after = clean.scores >= target.threshold, now.scores >= target.threshold
    counted = (
        ~before & after,
        before & ~after,
        before & ~after & clean.positive,
        before & clean.positive,
    )
    return {f"{name}_{kind}": int(c.sum()) for kind, c in zip(FLIPS, counted, strict=True)}
