"""Tests of `pipeline.scoring.robustness_plots`: what is undefined does not stop a picture."""

import numpy as np
import pytest
from PIL import Image

from pipeline.scoring import robustness_plots
from pipeline.scoring.robustness import group_rows
from pipeline.scoring.robustness_cells import (
    CLEAN,
    UNCHANGED,
    Decision,
    measure_cells,
    measure_clean,
)
from tests.scoring.test_robustness_cells import LABELS, NV, PERFECT, TARGETS, pictures_of, rows_of

pytestmark = pytest.mark.slow

GROUPS = {"dark": "light", "hairs": "cover"}
MACRO = "macro_auroc"


def draw(folder, labels=LABELS, *, second=PERFECT[::-1], targets=TARGETS, status=None):
    parts = [rows_of("dark", 1, PERFECT), rows_of("dark", 2, second, status=status)]
    parts.append(rows_of("hairs", 2, PERFECT))
    pictures = pictures_of(labels, rows_of(CLEAN, 0, PERFECT), *parts)
    cells = measure_cells(pictures, targets)
    rows = [{"group": GROUPS[cell.corruption]} | cell.row for cell in cells]
    groups = group_rows(cells, GROUPS, MACRO, 0.95)
    clean = measure_clean(pictures, targets)
    robustness_plots.plot_curves(
        folder / "curves.png", MACRO, rows, groups, clean=clean, title="a test"
    )
    robustness_plots.plot_drops(folder / "drops.png", MACRO, rows, "a test")
    robustness_plots.plot_flips(folder / "flips.png", rows, "melanoma", "a test")
    return {path.stem: np.asarray(Image.open(path).convert("RGB")) for path in folder.glob("*.png")}


def count(picture, colour):
    """Pixels of a colour, `#rrggbb`."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(picture.astype(int) - wanted).max(axis=2) <= 2).sum())


def test_missed_positives_are_drawn_in_their_colour(tmp_path):
    (tmp_path / "turned").mkdir()
    (tmp_path / "same").mkdir()

    turned = draw(tmp_path / "turned")["flips"]
    same = draw(tmp_path / "same", second=PERFECT)["flips"]

    # What the legend takes of the colour is in both.
    assert count(turned, robustness_plots.ORANGE) > 4 * count(same, robustness_plots.ORANGE) > 0


@pytest.mark.parametrize(
    "facts",
    [
        {"labels": [NV] * 4},  # no AUROC
        {"status": [UNCHANGED] * 4},  # a cell without a case
        {"targets": {"melanoma": Decision(("MEL",), None)}},  # no decision
    ],
)
def test_undefined_figures_are_drawn_without_an_error(tmp_path, facts):
    found = draw(tmp_path, **facts)

    assert set(found) == {"curves", "drops", "flips"}
    assert all(len(np.unique(picture)) > 10 for picture in found.values())


def test_a_picture_has_the_same_bytes_again(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    draw(tmp_path / "a")
    draw(tmp_path / "b")

    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("macro_auroc", "Macro AUROC"),
        ("accuracy", "Accuracy"),
        ("auroc_malignant", "AUROC of malignant"),
    ],
)
def test_figures_are_worded(name, words):
    assert robustness_plots.axis_name(name) == words
