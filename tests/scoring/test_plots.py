"""Tests of `pipeline.scoring.plots`: that figures are drawn and whole; people look at them."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.scoring import curve_plots, plots, tables
from pipeline.scoring.bootstrap import draw_counts, estimate
from pipeline.scoring.metrics import ScoredCases

pytestmark = pytest.mark.slow

HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "loss": [2.0, 1.5, 1.2],
        "accuracy": [0.2, 0.4, 0.5],
        "held_out_loss": [2.1, 1.7, 1.6],
        "held_out_accuracy": [0.2, 0.3, 0.35],
    }
)


def drawn_model(seed, classes):
    rng = np.random.default_rng(seed)
    labels = np.random.default_rng(99).integers(0, classes, size=60)
    scores = rng.dirichlet(np.ones(9), 60)
    scores[np.arange(60), labels] += 0.2
    return ScoredCases(labels, scores.argmax(axis=1), scores, None)


def draw_confusion(path, classes):
    table = np.zeros((9, 9), int)
    table[:classes, :classes] = np.arange(classes**2).reshape(classes, classes)
    plots.plot_confusion(path, table, "Ensemble")


def draw_curves(path, classes, trace, plot):
    models = {name: drawn_model(i, classes) for i, name in enumerate(["ensemble", "b4", "b5"])}
    counts = draw_counts(np.arange(60), repeats=10, seed=0)
    found = {name: estimate(model, counts, 0.95) for name, model in models.items()}
    curves = {name: trace(model) for name, model in models.items()}
    plot(path, curves, found, models["ensemble"].labels, "Test set")


def draw_roc(path, classes):
    draw_curves(path, classes, tables.roc_curves, curve_plots.plot_roc)


def draw_precision_recall(path, classes):
    curves = tables.precision_recall_curves
    draw_curves(path, classes, curves, curve_plots.plot_precision_recall)


def draw_per_class(path, classes):
    models = {name: drawn_model(i, classes) for i, name in enumerate(["ensemble", "b4", "b5"])}
    counts = draw_counts(np.arange(60), repeats=10, seed=0)
    found = {name: estimate(model, counts, 0.95) for name, model in models.items()}
    plots.plot_per_class(path, found, models["ensemble"].labels, "Test set")


def draw_history(path, classes):
    # One epoch must draw as well as three, and several folds as well as one.
    several = {"b4, 2 folds": [HISTORY, HISTORY], "b5": [HISTORY[:1]]}
    plots.plot_history(path, several if classes == 9 else {"b4": [HISTORY]})


def draw_table(path, classes):
    rows = pd.DataFrame([["b4", "380"]] * classes, columns=["Member", "Input\npx"])
    plots.plot_table(path, rows, "Recipe")


def check_png(path):
    """A PNG of a size to read, with ink on it, and neither time nor version inside."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
        assert image.format == "PNG"
        assert set(image.info) <= {"dpi"}
    assert min(pixels.shape) >= 200
    assert (pixels < 128).mean() > 0.002


DRAWN = pytest.mark.parametrize(
    "draw",
    [draw_confusion, draw_roc, draw_precision_recall, draw_per_class, draw_history, draw_table],
)


@DRAWN
def test_the_same_figure_is_the_same_whole_png(tmp_path, draw):
    draw(tmp_path / "first.png", 9)
    draw(tmp_path / "second.png", 9)

    check_png(tmp_path / "first.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"first.png", "second.png"}


@DRAWN
def test_absent_classes_and_single_members_are_drawn(tmp_path, draw):
    draw(tmp_path / "figure.png", 3)

    check_png(tmp_path / "figure.png")


def test_a_figure_that_fails_leaves_no_file(tmp_path):
    with pytest.raises(KeyError):
        plots.plot_history(
            tmp_path / "history.png", {"b4": [HISTORY.drop(columns="held_out_loss")]}
        )

    assert not list(tmp_path.iterdir())


def test_more_members_than_colours_are_drawn(tmp_path):
    models = {f"m{i}": drawn_model(i, 9) for i in range(8)} | {"ensemble": drawn_model(9, 9)}
    counts = draw_counts(np.arange(60), repeats=4, seed=0)
    found = {name: estimate(model, counts, 0.95) for name, model in models.items()}

    plots.plot_per_class(tmp_path / "figure.png", found, models["ensemble"].labels, "Test set")

    assert (tmp_path / "figure.png").exists()
