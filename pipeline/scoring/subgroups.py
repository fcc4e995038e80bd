"""How well a binary target is found in parts of the cases, and how far the parts lie apart.

A group is the cases of one value of an attribute, such as sex. All groups are measured on the same
resamples of patients, so that their differences are paired. A figure that a group cannot have, such
as the sensitivity without a positive, is `None`, never 0 or 1. `UNKNOWN` is a group of its own in
the table; it says nothing of anybody, so it is not ranked among the gaps. Neither are small groups:
their extremes are chance.

The largest of several gaps is above 0 by chance alone. `gap_by_chance` says how large it would be
if no group differed, at the interval's upper share: the same resamples, each group about its own
value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from pipeline.scoring.bootstrap import estimate_of, with_width
from pipeline.scoring.decisions import (
    UNDEFINED,
    Resamples,
    Rows,
    flat,
    share_estimate,
)
from pipeline.scoring.metrics import auroc, every_case_once
from pipeline.scoring.operating_point import BinaryCases, sensitivity_and_specificity
from pipeline.scoring.reliability import brier_score, observed_expected

UNKNOWN = "unknown"
EVERY = "all cases"
FIGURES = ("sensitivity", "specificity", "auroc", "observed_expected", "brier_score")


@dataclass(frozen=True, eq=False)
class Target:
    """A binary target, with the threshold that its decision is taken at.

    Attributes:
        cases: With probabilities as scores.
        threshold: Chosen on other cases; `None` where none could be, which leaves sensitivity and
            specificity undefined.
    """

    cases: BinaryCases
    threshold: float | None


@dataclass(frozen=True, eq=False)
class _Group:
    """One group's row, and what its gaps are made of: by figure, on all cases and resamples."""

    row: dict[str, Any]
    points: dict[str, float]
    resampled: dict[str, np.ndarray]

    @property
    def is_ranked(self) -> bool:
        return not self.row["is_small"] and self.row["group"] != UNKNOWN


def measure_subgroups(
    attributes: pd.DataFrame, targets: Mapping[str, Target], resamples: Resamples, *, least: int
) -> tuple[Rows, Rows]:
    """Measure every group of every attribute, and the gaps between groups.

    Args:
        attributes: One row per case, one categorical column of group names per attribute, as
            `attributes_of` makes it.
        targets: By name, of the same cases.
        resamples: Of the same cases.
        least: A group of fewer positives, or fewer negatives, is marked `is_small`.

    Returns:
        Rows of groups, all cases first: `attribute, target, group, n, positives, units, is_small`,
        and `FIGURES` with intervals. Rows of gaps: `attribute, target, figure, groups` (how many
        are ranked), `lowest_group, lowest, highest_group, highest, gap` with its interval,
        `gap_by_chance`.

    Raises:
        ValueError: Attributes and cases differ in number.
    """
    rows, gaps = [], []
    for name, target in targets.items():
        if len(attributes) != len(target.cases):
            raise ValueError(
                f"attributes must have a row per case of {name}, {len(target.cases)}. "
                f"Got: {len(attributes)}."
            )
        every = np.ones(len(attributes), bool)
        known = {"attribute": EVERY, "target": name, "group": EVERY}
        rows.append(_measure_group(known, target, every, resamples, least).row)
        for attribute in attributes.columns:
            column, known = attributes[attribute], {"attribute": attribute, "target": name}
            groups = [
                _measure_group(known | {"group": group}, target, inside, resamples, least)
                for group in column.cat.categories
                if (inside := (column == group).to_numpy()).any()
            ]
            rows += [group.row for group in groups]
            gaps += [known | _gap(groups, figure, resamples.interval) for figure in FIGURES]
    return rows, gaps


def attributes_of(
    cases: pd.DataFrame,
    *,
    age_edges_years: Sequence[float],
    edges_px: Sequence[int],
    skin_tone: pd.Series | None,
) -> pd.DataFrame:
    """Name the groups of each case.

    Args:
        cases: Of the manifest.
        age_edges_years: Where the next band begins, rising: 40 and 60 make `under 40`,
            `40 to under 60` and `60 and over`.
        edges_px: Likewise for the pixels of the original, width times height.
        skin_tone: Name of each case's class, in the order of the cases, empty or missing where
            unknown; `None` leaves the attribute out.

    Returns:
        `(n, attributes)` categories in the order in which groups are shown, `UNKNOWN` last.

    Raises:
        ValueError: Edges do not rise, or there are not as many skin tones as cases.
    """
    if skin_tone is not None and len(skin_tone) != len(cases):
        raise ValueError(f"skin_tone must name {len(cases)} cases. Got: {len(skin_tone)}.")
    megapixels = cases.width_px * cases.height_px / 1e6
    edges_mp = [edge / 1e6 for edge in edges_px]
    found = {
        "sex": _named(cases.sex),
        "age": _banded(cases.age_years, age_edges_years, unit=""),
        "site": _named(cases.site),
        "source": _named(cases.source),
        "fitzpatrick_skin_type": _named(cases.fitzpatrick_skin_type),
        "image_size": _banded(megapixels, edges_mp, unit=" MP"),
    }
    if skin_tone is not None:
        found["skin_tone"] = _named(skin_tone)
    return pd.DataFrame(found)


def compare_skin_types(skin_types: pd.Series, ita_degrees: pd.Series) -> pd.DataFrame:
    """Set the ITA that was estimated beside the Fitzpatrick type that somebody saw.

    Args:
        skin_types: One of `SKIN_TYPES` per case, empty where unknown.
        ita_degrees: Of the same cases, by the same index; NaN where there is no estimate.

    Returns:
        A row per type that occurs, I first: `fitzpatrick_skin_type`, `n`, `estimated` of them, and
        `lowest, median, highest` of their angles, NaN without an estimate.
    """
    known = skin_types != ""
    by_type = ita_degrees[known].groupby(skin_types[known])
    found = by_type.agg(n="size", estimated="count", lowest="min", median="median", highest="max")
    return found.rename_axis("fitzpatrick_skin_type").reset_index()


def _named(names: pd.Series) -> pd.Categorical:
    """Take names as groups; those of a categorical keep their order."""
    if isinstance(names.dtype, pd.CategoricalDtype):
        order = list(names.cat.categories)
    else:
        order = sorted(set(names.dropna()) - {"", UNKNOWN})
    filled = names.astype(object).where(names.notna() & (names != ""), UNKNOWN)
    return pd.Categorical(filled, [*(name for name in order if name != UNKNOWN), UNKNOWN])


def _banded(values: pd.Series, edges: Sequence[float], *, unit: str) -> pd.Categorical:
    """Put numbers into bands; NaN is unknown. A band holds its lower edge."""
    if not edges or list(edges) != sorted(set(edges)):
        raise ValueError(f"edges must rise, and be at least one. Got: {list(edges)}.")
    marks = [f"{edge:g}" for edge in edges]
    names = [f"under {marks[0]}{unit}"]
    names += [f"{low} to under {high}{unit}" for low, high in pairwise(marks)]
    names += [f"{marks[-1]}{unit} and over"]
    numbers = values.to_numpy(np.float64)
    band = np.array(names, object)[np.digitize(numbers, edges)]
    return pd.Categorical(np.where(np.isnan(numbers), UNKNOWN, band), [*names, UNKNOWN])


def _measure_group(
    known: dict[str, Any], target: Target, inside: np.ndarray, resamples: Resamples, least: int
) -> _Group:
    """Measure the cases inside, `(n,)` bool."""
    cases = target.cases.only(inside)
    own = Resamples(resamples.units[inside], resamples.counts[:, inside], resamples.interval)
    points = {
        name: float(point)
        for name, (point,) in _figures(cases, target, every_case_once(len(cases))).items()
    }
    resampled = _figures(cases, target, own.counts)
    found = {name: estimate_of(points[name], resampled[name], own.interval) for name in FIGURES}
    if target.threshold is not None:
        flagged, positive = cases.scores >= target.threshold, cases.positive
        found["sensitivity"] = share_estimate(flagged & positive, positive, own)
        found["specificity"] = share_estimate(~flagged & ~positive, ~positive, own)
    # An AUROC of 1 is as sure as the fewer of the two kinds of patients are many.
    kinds = (len(np.unique(own.units[part])) for part in (cases.positive, ~cases.positive))
    found["auroc"] = with_width(found["auroc"], min(kinds), own.interval)
    positives = int(cases.positive.sum())
    row = known | {
        "n": len(cases),
        "positives": positives,
        "units": len(np.unique(own.units)),
        "is_small": min(positives, len(cases) - positives) < least,
    }
    return _Group(row | flat(found), points, resampled)


def _figures(cases: BinaryCases, target: Target, counts: np.ndarray) -> dict[str, np.ndarray]:
    rates = np.full((2, len(counts)), np.nan)
    if target.threshold is not None:
        flagged = cases.scores >= target.threshold
        rates = sensitivity_and_specificity(flagged, cases.positive, counts)
    return {
        "sensitivity": rates[0],
        "specificity": rates[1],
        "auroc": auroc(cases.positive, cases.scores, counts),
        "observed_expected": observed_expected(cases, counts),
        "brier_score": brier_score(cases, counts),
    }


def _gap(groups: Sequence[_Group], figure: str, interval: float) -> dict[str, Any]:
    """Set the highest group against the lowest, in all resamples the same two."""
    ranked = [one for one in groups if one.is_ranked and not np.isnan(one.points[figure])]
    row: dict[str, Any] = {"figure": figure, "groups": len(ranked)}
    row |= dict.fromkeys(("lowest_group", "lowest", "highest_group", "highest"))
    if len(ranked) < 2:
        return row | flat({"gap": UNDEFINED}) | {"gap_by_chance": None}
    ranked.sort(key=lambda one: one.points[figure])
    low, high = ranked[0], ranked[-1]
    for name, one in (("lowest", low), ("highest", high)):
        row |= {f"{name}_group": one.row["group"], name: one.points[figure]}
    difference = high.points[figure] - low.points[figure]
    paired = high.resampled[figure] - low.resampled[figure]
    apart = np.stack([one.resampled[figure] - one.points[figure] for one in ranked])
    widest = apart.max(axis=0) - apart.min(axis=0)
    chance = widest[~np.isnan(widest)]
    return (
        row
        | flat({"gap": estimate_of(difference, paired, interval)})
        | {"gap_by_chance": float(np.quantile(chance, interval)) if len(chance) else None}
    )
