"""Tests of `pipeline.scoring.tables`."""

import json

import numpy as np
import pandas as pd
import pytest

from pipeline.classes import CLASSES
from pipeline.scoring import tables
from pipeline.scoring.bootstrap import draw_counts, estimate
from pipeline.scoring.metrics import PER_CLASS, ScoredCases

UNITS = np.repeat(np.arange(40), 2)


def drawn_model(seed=0, classes=9, scored=True):
    rng = np.random.default_rng(seed)
    labels = np.random.default_rng(99).integers(0, classes, size=80)
    scores = rng.dirichlet(np.ones(9), 80)
    scores[np.arange(80), labels] += 0.2
    scores /= scores.sum(axis=1, keepdims=True)
    shown = scores if scored else None
    return ScoredCases(labels, scores.argmax(axis=1), shown, shown)


def estimates_of(model):
    return estimate(model, draw_counts(UNITS, repeats=60, seed=0), 0.95)


def test_a_row_of_the_json_is_flat_and_complete():
    model = drawn_model()

    row = tables.metrics_row(model.labels, UNITS, estimates_of(model))

    assert {"n", "macro_auroc", "macro_auroc_low", "macro_auroc_high", "macro_auroc_classes"} < {
        *row
    }
    assert row["n"] == 80
    assert row["resampling_units"] == 40
    assert row["macro_auroc_classes"] == 9
    assert row["macro_auroc_low"] < row["macro_auroc"] < row["macro_auroc_high"]
    assert row["accuracy"] < row["top_2_accuracy"] < 1
    assert 0 < row["brier_score_low"] < row["brier_score"] < 2
    assert "cost_weighted_error" not in row
    assert row["majority_accuracy"] == np.bincount(model.labels).max() / 80
    assert sum(row[f"n_{name}"] for name in CLASSES) == 80
    assert all(isinstance(value, float | int) for value in row.values())


def test_an_absent_class_is_null_in_the_json():
    model = drawn_model(classes=8)

    row = tables.metrics_row(model.labels, UNITS, estimates_of(model))

    assert json.loads(json.dumps(row, allow_nan=False))["auroc_UNK"] is None
    assert row["average_precision_UNK"] is None
    assert row["n_UNK"] == 0
    assert row["macro_auroc_classes"] == 8
    assert row["macro_auroc"] is not None


def test_a_model_without_scores_has_no_auroc_in_the_json():
    model = drawn_model(scored=False)

    row = tables.metrics_row(model.labels, UNITS, estimates_of(model))

    unscored = ("auroc", "precision", "brier", "top_2")
    assert not [name for name in row if any(word in name for word in unscored)]
    assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]


def test_per_class_table_opens_with_the_values():
    models = {"ensemble": drawn_model(), "rank_argmax": drawn_model(scored=False)}

    table = tables.per_class_table(
        drawn_model().labels, {name: estimates_of(model) for name, model in models.items()}
    )

    first = ["model", "class", "n", "positives", *PER_CLASS]
    assert table.columns[: len(first)].tolist() == first
    assert len(table) == 18
    assert table[table.model == "rank_argmax"].auroc.isna().all()
    assert table.auroc_resamples.dtype == "Int64"
    assert (table.recall_low.dropna() <= table.recall_high.dropna()).all()


def test_confusion_table_has_one_row_per_case():
    model = ScoredCases(np.array([0, 8, 1]), np.array([0, 1, 1]), None, None)

    table = tables.confusion_table(pd.Series(["a", "b", "c"], index=[7, 8, 9]), model)

    assert table.to_numpy().tolist() == [["a", "MEL", "MEL"], ["b", "UNK", "NV"], ["c", "NV", "NV"]]


def test_roc_table_leaves_out_an_absent_class():
    curves = {"b4": tables.roc_curves(drawn_model(classes=8))}

    table = tables.roc_table(curves)

    assert set(table["class"]) == set(CLASSES[:8])
    assert list(table.columns) == ["model", "class", "false_positive_rate", "sensitivity"]


def test_precision_recall_table_leaves_out_an_absent_class():
    curves = {"b4": tables.precision_recall_curves(drawn_model(classes=8))}

    table = tables.precision_recall_table(curves)

    assert set(table["class"]) == set(CLASSES[:8])
    assert list(table.columns) == ["model", "class", "sensitivity", "precision"]


def member_row(member, training_accuracy):
    return {
        "member": member,
        "backbone": member,
        "crop_px": 768,
        "input_px": 380,
        "batch_size": 8,
        "training_accuracy": training_accuracy,
        "training_images": 320,
    }


@pytest.fixture
def recipe():
    members = [member_row("b4", 0.81), member_row("b5", 0.85)]
    found = {name: estimates_of(drawn_model(i)) for i, name in enumerate(["b4", "b5", "ensemble"])}
    return tables.recipe_table(members, found, 80), found


def test_recipe_ends_with_the_ensemble_that_has_no_training_accuracy(recipe):
    table, found = recipe

    assert table.member.tolist() == ["b4", "b5", "ensemble"]
    assert table.backbone.iloc[2] == "b4 + b5"
    assert table.training_accuracy.tolist()[:2] == [0.81, 0.85]
    assert pd.isna(table.training_accuracy.iloc[2])
    assert table.held_out_accuracy.tolist() == [one["accuracy"].value for one in found.values()]
    assert (table.held_out_cases == 80).all()


def test_sizes_stay_whole_numbers_beside_an_empty_cell(recipe):
    """pandas makes floats of them otherwise: a crop of 768.0 px."""
    lines = recipe[0].to_csv(index=False).splitlines()

    assert lines[1].startswith("b4,b4,768,380,8,0.81,320,")
    assert lines[3].startswith("ensemble,b4 + b5,,,,,,0.")


def test_recipe_in_words_shows_the_interval(recipe):
    shown = tables.recipe_text(recipe[0])

    assert shown.iloc[0, :6].tolist() == ["b4", "b4", "768", "380", "8", "0.810"]
    assert shown.iloc[2, 2:6].tolist() == [""] * 4
    assert shown.iloc[2, 6].count(".") == 3


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((0.5, 0.25, 0.75), "0.500 [0.250, 0.750]"),
        ((0.5, None, None), "0.500"),
        ((None, None, None), "-"),
    ],
)
def test_a_figure_in_words(ends, text):
    assert tables.interval_text(*ends) == text


def test_headlines_have_one_line_per_model():
    models = {"ensemble": drawn_model(), "rank_argmax": drawn_model(scored=False)}
    rows = {n: tables.metrics_row(m.labels, UNITS, estimates_of(m)) for n, m in models.items()}

    lines = tables.headline_text(rows).splitlines()

    assert lines[0].split()[:4] == ["model", "n", "macro", "AUROC"]
    assert lines[1].split()[:2] == ["ensemble", "80"]
    assert lines[2].split()[:3] == ["rank_argmax", "80", "-"]
    assert f"{rows['ensemble']['accuracy']:.3f}" in lines[1]
    assert len({len(line) for line in lines}) == 1
