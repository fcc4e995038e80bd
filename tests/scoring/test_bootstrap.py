"""Tests of `pipeline.scoring.bootstrap`."""

import numpy as np
import pandas as pd
import pytest

from pipeline.scoring.bootstrap import (
    draw_counts,
    estimate,
    percentile_interval,
    resampling_units,
)
from pipeline.scoring.metrics import ScoredCases


def table(patients, lesions):
    names = [f"ISIC_{i}" for i in range(len(patients))]
    return pd.DataFrame({"image_id": names, "patient_id": patients, "lesion_id": lesions})


def labelled(labels, predicted):
    return ScoredCases(np.array(labels), np.array(predicted), None, None)


def drawn_cases(count, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 9, size=count)
    scores = rng.dirichlet(np.ones(9), count)
    scores[np.arange(count), labels] += 0.2
    return ScoredCases(labels, scores.argmax(axis=1), scores, None)


def test_unit_is_the_patient_else_the_lesion_else_the_image():
    units = resampling_units(
        table(["P1", "P1", "", "", "", "P2", ""], ["L1", "L2", "L3", "L3", "", "L3", ""])
    )

    groups = [set(np.flatnonzero(units == unit)) for unit in np.unique(units)]
    assert sorted(map(sorted, groups)) == [[0, 1], [2, 3], [4], [5], [6]]


def test_a_lesion_and_a_patient_of_the_same_name_are_two_units():
    units = resampling_units(table(["A", ""], ["", "A"]))

    assert units[0] != units[1]


def test_images_of_one_patient_are_drawn_together():
    units = resampling_units(table(["P1", "P2", "P1", "P3"], [""] * 4))

    counts = draw_counts(units, repeats=50, seed=0)

    np.testing.assert_array_equal(counts[:, 0], counts[:, 2])
    assert (counts[:, 0] != counts[:, 1]).any()


def test_a_resample_draws_as_many_units_as_there_are():
    units = np.array([0, 1, 1, 2, 3])

    counts = draw_counts(units, repeats=200, seed=1)

    assert (counts[:, [0, 1, 3, 4]].sum(axis=1) == 4).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.2)


def test_the_seed_alone_sets_the_resamples():
    units = np.arange(20)
    first = draw_counts(units, repeats=3, seed=7)

    np.testing.assert_array_equal(first, draw_counts(units, repeats=3, seed=7))
    assert (first != draw_counts(units, repeats=3, seed=8)).any()


def test_interval_holds_its_share_of_the_resamples():
    assert percentile_interval(np.arange(101.0), 0.9) == pytest.approx((5.0, 95.0, 101))


def test_undefined_resamples_are_skipped_and_counted():
    values = np.concatenate([np.arange(101.0), np.full(50, np.nan)])

    assert percentile_interval(values, 0.9) == pytest.approx((5.0, 95.0, 101))


@pytest.mark.parametrize("defined", [0, 4])
def test_no_interval_where_most_resamples_are_undefined(defined):
    values = np.concatenate([np.ones(defined), np.full(10 - defined, np.nan)])

    assert percentile_interval(values, 0.95) == (None, None, defined)


def test_interval_of_an_accuracy_is_the_binomials():
    """Of 400 independent cases at 0.8 the 95 % interval is 0.8 ± 1.96 · 0.02."""
    cases = labelled([0] * 400, [0] * 320 + [1] * 80)
    counts = draw_counts(np.arange(400), repeats=4000, seed=0)

    found = estimate(cases, counts, 0.95)["accuracy"]

    assert found.value == 0.8
    assert found.low == pytest.approx(0.8 - 1.96 * 0.02, abs=0.004)
    assert found.high == pytest.approx(0.8 + 1.96 * 0.02, abs=0.004)
    assert found.resamples == 4000


def test_images_of_one_patient_widen_the_interval():
    """Four equal images of each of 100 patients know as much as 100 images."""
    cases = labelled([0] * 400, ([0] * 4 + [1] * 4) * 50)
    alone, together = np.arange(400), np.repeat(np.arange(100), 4)

    widths = []
    for units in (alone, together):
        found = estimate(cases, draw_counts(units, repeats=2000, seed=0), 0.95)["accuracy"]
        widths.append(found.high - found.low)

    assert widths[1] == pytest.approx(2 * widths[0], rel=0.1)


def test_order_of_cases_changes_no_estimate():
    frame, cases = table([f"P{i // 3}" for i in range(90)], [""] * 90), drawn_cases(90, seed=0)
    rows = np.random.default_rng(1).permutation(90)
    shuffled = ScoredCases(cases.labels[rows], cases.predicted[rows], cases.scores[rows], None)

    counts = draw_counts(resampling_units(frame), repeats=40, seed=0)
    moved = draw_counts(resampling_units(frame.iloc[rows]), repeats=40, seed=0)

    first, second = estimate(cases, counts, 0.9), estimate(shuffled, moved, 0.9)
    for name in first:
        for end in ("value", "low", "high"):
            assert getattr(first[name], end) == pytest.approx(getattr(second[name], end)), name


def test_perfect_predictions_have_a_perfect_interval():
    cases = labelled([0, 0, 1, 1, 1, 2] * 10, [0, 0, 1, 1, 1, 2] * 10)

    found = estimate(cases, draw_counts(np.arange(60), repeats=100, seed=0), 0.95)["macro_f1"]

    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_an_undefined_metric_is_none_with_its_count():
    cases = drawn_cases(60, seed=2)
    without = cases.labels != 8
    cases = ScoredCases(
        cases.labels[without], cases.predicted[without], cases.scores[without], None
    )
    counts = draw_counts(np.arange(len(cases)), repeats=30, seed=0)

    found = estimate(cases, counts, 0.95)

    for name in ("auroc_UNK", "average_precision_UNK", "recall_UNK", "f1_UNK"):
        one = found[name]
        assert (one.value, one.low, one.high, one.resamples) == (None, None, None, 0), name
    assert found["macro_auroc"].value is not None


def test_a_class_of_one_case_is_undefined_in_a_third_of_the_resamples():
    """It is left out with probability (1 - 1/n)^n, 0.366 for 60 cases; those are skipped."""
    cases = labelled([0] * 59 + [1], [0] * 60)
    counts = draw_counts(np.arange(60), repeats=2000, seed=0)

    found = estimate(cases, counts, 0.95)

    assert found["recall_NV"].resamples / 2000 == pytest.approx(1 - 0.366, abs=0.04)
    assert found["balanced_accuracy"].resamples == found["recall_NV"].resamples
    assert found["accuracy"].resamples == 2000
