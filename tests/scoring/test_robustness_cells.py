"""Tests of `pipeline.scoring.robustness_cells`."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.classes import CLASSES
from pipeline.scoring.bootstrap import draw_counts
from pipeline.scoring.decisions import Resamples
from pipeline.scoring.predictions import PROBABILITIES, RANK_SCORES
from pipeline.scoring.robustness_cells import (
    CLEAN,
    COLUMNS,
    REFUSED,
    SCORED,
    UNCHANGED,
    Decision,
    RobustnessError,
    arrange,
    measure_cells,
    measure_clean,
)

TARGETS = {"melanoma": Decision(("MEL",), 0.5)}
MEL, NV = CLASSES.index("MEL"), CLASSES.index("NV")


def rows_of(corruption, severity, chances, *, status=None, change=1.0):
    """Rows in which MEL and NV share the probability; ranks are the same numbers."""
    for i, chance in enumerate(chances):
        state = SCORED if status is None else status[i]
        values = np.zeros(9) if state == SCORED else np.full(9, np.nan)
        values[[MEL, NV]] += chance, 1 - chance
        known = f"case_{i}", corruption, severity, state, change if state == SCORED else np.nan
        yield dict(zip(COLUMNS, (*known, *values, *values), strict=True))


def pictures_of(labels, *parts, units=None, repeats=200):
    table = pd.DataFrame([row for part in parts for row in part])
    units = np.arange(len(labels)) if units is None else np.asarray(units)
    resamples = Resamples(units, draw_counts(units, repeats=repeats, seed=0), 0.95)
    names = [f"case_{i}" for i in range(len(labels))]
    return arrange(table, names, np.asarray(labels), resamples)


def cell_of(labels, *parts, targets=TARGETS, **facts):
    (cell,) = measure_cells(pictures_of(labels, *parts, **facts), targets)
    return cell.row


LABELS = [MEL, MEL, NV, NV]
PERFECT = [0.9, 0.8, 0.2, 0.1]


def test_drop_flips_and_auroc_worked_out_by_hand():
    """One melanoma of two falls below both nevi: two of four pairs stay right, one too many is."""
    row = cell_of(
        LABELS, rows_of(CLEAN, 0, PERFECT, change=0), rows_of("dark", 3, [0.9, 0.05, 0.6, 0.1])
    )

    assert (row["corruption"], row["severity"], row["n"], row["units"]) == ("dark", 3, 4, 4)
    assert row["auroc_melanoma"] == 0.5
    assert row["auroc_melanoma_drop"] == row["macro_auroc_drop"] == 0.5
    assert row["accuracy_drop"] == 0.5
    assert row["melanoma_to_positive"] == 1
    assert row["melanoma_to_negative"] == row["melanoma_newly_missed"] == 1
    assert row["melanoma_found_clean"] == row["melanoma_positives"] == 2


def test_the_same_scores_have_no_drop_no_flip_and_no_p_value():
    row = cell_of(LABELS, rows_of(CLEAN, 0, PERFECT), rows_of("crop", 1, PERFECT, change=0.0))

    assert row["macro_auroc_drop"] == row["melanoma_to_negative"] == 0
    assert row["macro_auroc_drop_p_value"] is None
    assert row["unseen"] == 4 and row["input_change"] == 0


def test_auroc_agrees_with_scikit_learn_and_the_drop_with_a_loop_over_resamples():
    rng = np.random.default_rng(0)
    labels = rng.choice([MEL, NV], 40)
    clean, worse = rng.random(40) * 0.6 + 0.4 * (labels == MEL), rng.random(40)
    pictures = pictures_of(labels, rows_of(CLEAN, 0, clean), rows_of("dark", 1, worse))

    (cell,) = measure_cells(pictures, TARGETS)

    is_mel = labels == MEL
    assert cell.row["auroc_melanoma"] == pytest.approx(roc_auc_score(is_mel, worse))
    drops = [
        roc_auc_score(is_mel, clean, sample_weight=c)
        - roc_auc_score(is_mel, worse, sample_weight=c)
        for c in pictures.resamples.counts
    ]
    ends = cell.row["auroc_melanoma_drop_low"], cell.row["auroc_melanoma_drop_high"]
    assert ends == pytest.approx(tuple(np.quantile(drops, [0.025, 0.975])))


def test_a_drop_is_of_the_cases_that_were_scored_under_the_corruption():
    """Planted: the case that makes the clean images imperfect is left out of the corruption.

    Against all clean images the corruption would seem to help.
    """
    labels = [MEL, MEL, MEL, NV, NV]
    clean = [0.9, 0.8, 0.05, 0.2, 0.1]
    status = [SCORED, SCORED, UNCHANGED, SCORED, REFUSED]

    row = cell_of(labels, rows_of(CLEAN, 0, clean), rows_of("dark", 2, clean, status=status))

    assert (row["n"], row["left_out_unchanged"], row["left_out_refused"]) == (3, 1, 1)
    assert row["auroc_melanoma"] == 1
    assert row["auroc_melanoma_drop"] == 0
    assert row["melanoma_found_clean"] == 2


def test_other_cases_than_the_clean_ones_are_refused():
    """Planted: a corrupted case takes another's place."""
    worse = list(rows_of("dark", 1, PERFECT))
    worse[0]["image_id"] = "case_9"

    with pytest.raises(RobustnessError, match=r"^dark at severity 1 must have each of the 4 cases"):
        pictures_of(LABELS, rows_of(CLEAN, 0, PERFECT), worse)


def test_missing_clean_images_are_refused():
    with pytest.raises(RobustnessError, match=r"^scores must hold the clean images\. Got: "):
        pictures_of(LABELS, rows_of("dark", 1, PERFECT))


def test_a_corruption_that_changed_no_case_is_undefined_and_never_0():
    """Planted: the identity, which the catalogue names `unchanged`."""
    same = rows_of("same", 1, PERFECT, status=[UNCHANGED] * 4)

    row = cell_of(LABELS, rows_of(CLEAN, 0, PERFECT), same)

    assert row["n"] == row["units"] == 0 and row["left_out_unchanged"] == 4
    for name in ("macro_auroc", "macro_auroc_drop", "accuracy_drop", "melanoma_newly_missed"):
        assert row[name] is None
    assert row["input_change"] is None
    json.dumps(row, allow_nan=False)


def test_patients_are_resampled_and_not_images():
    """Ten patients with ten like images each: resampling images would narrow the interval."""
    rng = np.random.default_rng(1)
    labels = np.repeat([MEL, NV] * 5, 10)
    worse = np.repeat(rng.random(10), 10)
    parts = [list(rows_of(CLEAN, 0, np.where(labels == MEL, 0.9, 0.1)))]
    parts.append(list(rows_of("dark", 1, worse)))

    patients = cell_of(labels, *parts, units=np.repeat(np.arange(10), 10))
    images = cell_of(labels, *parts)

    widths = [
        r["auroc_melanoma_drop_high"] - r["auroc_melanoma_drop_low"] for r in (patients, images)
    ]
    assert (patients["units"], images["units"]) == (10, 100)
    assert widths[0] > 2 * widths[1]


def test_rows_in_another_order_change_nothing():
    parts = [*rows_of(CLEAN, 0, PERFECT), *rows_of("dark", 1, [0.4, 0.6, 0.5, 0.2])]

    assert cell_of(LABELS, parts[::-1]) == cell_of(LABELS, parts)


def test_one_class_alone_leaves_aurocs_undefined_and_accuracy_not():
    row = cell_of([NV, NV], rows_of(CLEAN, 0, [0.1, 0.2]), rows_of("dark", 1, [0.1, 0.9]))

    assert row["macro_auroc"] is row["auroc_melanoma"] is row["auroc_melanoma_drop"] is None
    assert row["accuracy"] == row["accuracy_drop"] == 0.5


def test_without_a_threshold_there_are_no_flips():
    targets = {"melanoma": Decision(("MEL",), None)}

    row = cell_of(
        LABELS, rows_of(CLEAN, 0, PERFECT), rows_of("dark", 1, PERFECT[::-1]), targets=targets
    )

    assert row["melanoma_to_positive"] is row["melanoma_newly_missed"] is None
    assert row["auroc_melanoma_drop"] == 1


def test_clean_figures_stand_beside_their_counts():
    pictures = pictures_of(LABELS, rows_of(CLEAN, 0, [0.9, 0.15, 0.2, 0.1]))

    found = measure_clean(pictures, TARGETS)

    assert (found["n"], found["units"], found["melanoma_positives"]) == (4, 4, 2)
    assert found["auroc_melanoma"] == 0.75
    assert found["accuracy"] == 0.75
    assert set(RANK_SCORES + PROBABILITIES) < set(COLUMNS)
