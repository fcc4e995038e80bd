"""Tests of `pipeline.scoring.robustness`."""

import numpy as np
import pytest

from pipeline.classes import CLASSES
from pipeline.params import ParamsError, build
from pipeline.scoring.robustness import (
    RobustnessParams,
    draw_cases,
    group_rows,
    mean_drop,
    out_of_order,
    summarise,
)
from pipeline.scoring.robustness_cells import CLEAN, UNCHANGED, measure_cells
from tests.scoring.test_robustness_cells import (
    LABELS,
    MEL,
    NV,
    PERFECT,
    TARGETS,
    pictures_of,
    rows_of,
)

GROUPS = {"dark": "light", "bright": "light", "hairs": "cover", "same": "cover"}
PARAMS = {"seed": 1, "images": 9, "batch_size": 4, "examples": 1}
HALF = [0.9, 0.05, 0.6, 0.1]  # melanoma AUROC of 0.5
QUARTER = [0.3, 0.05, 0.6, 0.1]  # of 0.25
UNSEEN = [UNCHANGED] * 4


@pytest.fixture(scope="module")
def cells():
    parts = [
        rows_of(CLEAN, 0, PERFECT),
        rows_of("dark", 1, PERFECT),
        rows_of("dark", 2, HALF),
        rows_of("bright", 1, HALF),
        rows_of("bright", 2, QUARTER),
        rows_of("hairs", 1, PERFECT),
        rows_of("hairs", 2, PERFECT),
        rows_of("same", 1, PERFECT, status=UNSEEN),
        rows_of("same", 2, PERFECT, status=UNSEEN),
    ]
    return measure_cells(pictures_of(LABELS, *parts), TARGETS)


def test_mean_drop_is_over_the_cells_that_are_defined(cells):
    """(0 + 0.5 + 0.5 + 0.75 + 0 + 0) / 6; the two undefined ones are no zeros."""
    assert mean_drop(cells, "auroc_melanoma", 0.95).value == pytest.approx(1.75 / 6)


def test_interval_of_a_mean_is_of_the_means_of_the_resamples(cells):
    bright = [cell for cell in cells if cell.corruption == "bright"]

    found = mean_drop(bright, "accuracy", 0.9)

    means = np.mean([cell.clean["accuracy"][1] - cell.values["accuracy"][1] for cell in bright], 0)
    assert (found.low, found.high) == pytest.approx(tuple(np.nanquantile(means, [0.05, 0.95])))


def test_nothing_defined_has_no_mean_drop(cells):
    found = mean_drop([cell for cell in cells if cell.corruption == "same"], "accuracy", 0.95)

    assert (found.value, found.low, found.p_value, found.resamples) == (None, None, None, 0)


def test_summary_names_the_worst_and_counts_what_lowers_auroc(cells):
    found = summarise(cells, GROUPS, TARGETS, 0.95)

    assert [one["corruption"] for one in found["worst"]] == ["bright", "dark", "hairs"]
    assert found["worst"][0]["macro_auroc_drop"] == pytest.approx(0.625)
    assert found["strongest"] == {"severity": 2, "lowering": 2, "of": 3}
    assert found["mean_drop"]["light"]["macro_auroc_drop"] == pytest.approx(1.75 / 4)
    assert found["mean_drop"]["cover"]["macro_auroc_drop"] == 0
    flips = found["flips"]["melanoma"]
    assert (flips["corruption"], flips["severity"], flips["newly_missed"]) == ("bright", 2, 2)


def test_summary_does_not_depend_on_the_order_of_the_cells(cells):
    first, second = (summarise(own, GROUPS, TARGETS, 0.95) for own in (cells, cells[::-1]))

    assert first["worst"] == second["worst"] and first["strongest"] == second["strongest"]


def test_only_undefined_cells_make_an_undefined_summary(cells):
    found = summarise(cells[-2:], GROUPS, TARGETS, 0.95)

    assert found["worst"] == []
    assert found["strongest"] == {"severity": 2, "lowering": None, "of": 0}
    assert found["flips"] == {"melanoma": None}
    assert found["mean_drop"]["all"]["accuracy_drop"] is None


def test_groups_are_averaged_by_severity(cells):
    rows = group_rows(cells, GROUPS, "macro_auroc", 0.95)

    found = {(row["group"], row["severity"]): row for row in rows}
    assert found["light", 2]["macro_auroc"] == pytest.approx(0.375)
    assert found["light", 2]["macro_auroc_drop"] == pytest.approx(0.625)
    assert found["cover", 1]["corruptions"] == 1


@pytest.mark.parametrize(("changes", "wrong"), [((1, 2, 3), []), ((1, 3, 2), ["dark"])])
def test_severities_that_are_mixed_up_are_named(changes, wrong):
    """Planted: severity 3 holds what severity 2 should."""
    parts = [rows_of("dark", i, PERFECT, change=c) for i, c in enumerate(changes, start=1)]
    parts.append(rows_of("same", 1, PERFECT, change=0.0))

    assert out_of_order(pictures_of(LABELS, rows_of(CLEAN, 0, PERFECT), *parts)) == wrong


def test_drawn_cases_hold_every_class_as_often_as_can_be():
    labels = np.array([NV] * 50 + [MEL] * 2 + [CLASSES.index("BCC")] * 10)
    names = [f"case_{i:02d}" for i in range(len(labels))]

    drawn = draw_cases(names, labels, most=12, seed=3)

    assert np.bincount(labels[drawn], minlength=3)[:3].tolist() == [2, 5, 5]
    assert sorted(drawn) == drawn.tolist()


def test_the_draw_depends_on_names_alone_and_on_the_seed():
    labels = np.array([NV] * 30)
    names = [f"case_{i:02d}" for i in range(30)]

    drawn = [names[i] for i in draw_cases(names, labels, most=9, seed=3)]

    turned = names[::-1]
    assert [turned[i] for i in draw_cases(turned, labels, most=9, seed=3)] == drawn
    assert [names[i] for i in draw_cases(names, labels, most=9, seed=4)] != drawn
    assert len(draw_cases(names, labels, most=0, seed=3)) == 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 8}, r"images must be 0, for all, or at least 9, one of each class\. Got: 8\.$"),
        ({"batch_size": 0}, r"batch_size must be at least 1\. Got: 0\.$"),
        ({"examples": 0}, r"examples must be at least 1\. Got: 0\.$"),
    ],
)
def test_params_out_of_range_are_refused(change, message):
    with pytest.raises(ParamsError, match=message):
        build(PARAMS | change, RobustnessParams, "params.yaml: section 'robustness'")
