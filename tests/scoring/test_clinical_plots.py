"""Tests of `pipeline.scoring.clinical_plots`: what is drawn and said; people look at the rest."""

from contextlib import contextmanager
from functools import partial

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image

from pipeline.scoring import clinical_plots
from pipeline.scoring.bootstrap import draw_counts
from pipeline.scoring.clinical_plots import NEVER_USEFUL, ReliabilityPanel
from pipeline.scoring.decisions import Resamples, net_benefit_rows
from pipeline.scoring.operating_point import BinaryCases, choose_thresholds
from pipeline.scoring.reliability import reliability_rows
from pipeline.scoring.subgroups import UNKNOWN, Target, measure_subgroups

pytestmark = pytest.mark.slow

COUNT = 90
UNITS = np.arange(COUNT) // 3
RESAMPLES = Resamples(UNITS, draw_counts(UNITS, repeats=40, seed=0), 0.95)
POSITIVE = np.arange(COUNT) % 3 == 0
GOOD = np.where(POSITIVE, 0.35, 0.15) + np.random.default_rng(0).random(COUNT) * 0.3
KINDS = {
    "good": BinaryCases(POSITIVE, GOOD),
    "constant": BinaryCases(POSITIVE, np.full(COUNT, 0.2)),
    "inverted": BinaryCases(POSITIVE, 1 - GOOD),
    "perfect": BinaryCases(POSITIVE, POSITIVE.astype(float)),
    "no positive": BinaryCases(np.zeros(COUNT, bool), GOOD),
    "all positive": BinaryCases(np.ones(COUNT, bool), GOOD),
}


class Drawing:
    """Draws each figure once, and keeps it, which a PNG does not give back."""

    def __init__(self, folder):
        self.folder, self.kept = folder, {}

    def __call__(self, draw, kind):
        if (draw, kind) not in self.kept:
            path = self.folder / f"{draw.__name__} {kind}.png"
            self.kept[draw, kind] = path, self.keep(draw, path, KINDS[kind])
        return self.kept[draw, kind]

    def keep(self, draw, *args):
        figures, drawn_to = [], clinical_plots.drawn_to

        @contextmanager
        def keeping(*size):
            with drawn_to(*size) as figure:
                figures.append(figure)
                yield figure

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(clinical_plots, "drawn_to", keeping)
            draw(*args)
        (figure,) = figures
        return figure


@pytest.fixture(scope="module")
def drawing(tmp_path_factory):
    return Drawing(tmp_path_factory.mktemp("drawn"))


def draw_reliability(path, cases):
    rows = reliability_rows(cases, 6, RESAMPLES)
    panels = [ReliabilityPanel("before", rows, "ECE 0.1"), ReliabilityPanel("after", rows, "")]
    clinical_plots.plot_reliability(path, panels, "Melanoma")


def draw_decision_curve(path, cases):
    rows = net_benefit_rows(cases, np.arange(0.02, 0.6, 0.02), RESAMPLES)
    clinical_plots.plot_decision_curve(path, rows, "Melanoma")


def chosen_of(cases):
    return choose_thresholds(cases, sensitivities=[0.8, 0.81], specificities=[0.9])


def draw_thresholds(path, cases):
    clinical_plots.plot_thresholds(path, cases, chosen_of(cases), "Melanoma")


def groups_of(cases):
    groups = np.repeat(["alpha", "beta_two", "gamma", UNKNOWN], [40, 30, 5, 15])
    attributes = pd.DataFrame({"skin_tone": pd.Categorical(groups)})
    return measure_subgroups(attributes, {"any": Target(cases, 0.4)}, RESAMPLES, least=3)[0]


def draw_subgroups(path, cases):
    clinical_plots.plot_subgroups(path, groups_of(cases), "auroc", title="Melanoma", least=3)


DRAWN = [draw_reliability, draw_decision_curve, draw_thresholds, draw_subgroups]


def texts(figure):
    return [one.get_text() for one in figure.findobj(Text) if one.get_text()]


def line(axes, label):
    (found,) = (one for one in axes.get_lines() if one.get_label() == label)
    return found


def check_png(path):
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
        assert image.format == "PNG"
        assert set(image.info) <= {"dpi"}
        # At the width of a phone, 390 points, 8-point type is still above 8 pixels.
        assert image.width / image.info["dpi"][0] <= 5.01
    assert (pixels < 128).mean() > 0.002


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("draw", DRAWN)
def test_every_kind_of_model_is_drawn_whole(drawing, draw, kind):
    path, _ = drawing(draw, kind)

    check_png(path)


@pytest.mark.parametrize("draw", DRAWN)
def test_the_same_figure_is_the_same_bytes(drawing, tmp_path, draw):
    path, _ = drawing(draw, "good")

    draw(tmp_path / "again.png", KINDS["good"])

    assert (tmp_path / "again.png").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("draw", DRAWN)
def test_no_text_lies_outside_the_figure(drawing, draw):
    _, figure = drawing(draw, "good")

    figure.draw_without_rendering()  # at its own resolution again, not the PNG's
    written = [*figure.texts, *(one for legend in figure.legends for one in legend.get_texts())]
    for axes in figure.axes:
        written += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
    for one in written:
        seen = one.get_window_extent()
        assert figure.bbox.x0 - 1 <= seen.x0, one.get_text()
        assert seen.x1 <= figure.bbox.x1 + 1, one.get_text()
        assert figure.bbox.y0 - 1 <= seen.y0, one.get_text()
        assert seen.y1 <= figure.bbox.y1 + 1, one.get_text()


def test_reliability_draws_what_was_observed_and_how_many(drawing):
    rows = reliability_rows(KINDS["good"], 6, RESAMPLES)

    _, figure = drawing(draw_reliability, "good")

    before, after, bins, _ = figure.axes
    assert (before.get_title(), after.get_title()) == ("before", "after")
    for axes in (before, after):
        curve = axes.get_lines()[1].get_xydata()
        np.testing.assert_allclose(curve, [(row["predicted"], row["observed"]) for row in rows])
    assert [bar.get_height() for bar in bins.patches] == [row["n"] for row in rows]
    assert "ECE 0.1" in bins.get_xlabel()


def test_reliability_of_a_constant_is_one_point_off_the_diagonal(drawing):
    _, figure = drawing(draw_reliability, "constant")

    curve, bins = figure.axes[0], figure.axes[2]
    np.testing.assert_allclose(curve.get_lines()[1].get_xydata(), [(0.2, 1 / 3)])
    (bar,) = bins.patches
    assert (bar.get_height(), bar.get_x() + bar.get_width() / 2) == pytest.approx((COUNT, 0.2))


@pytest.mark.parametrize(
    ("kind", "said"),
    [("good", False), ("perfect", False), ("all positive", False), ("no positive", True)],
)
def test_decision_curve_says_where_a_model_is_never_of_use(drawing, kind, said):
    _, figure = drawing(draw_decision_curve, kind)

    assert (NEVER_USEFUL in texts(figure)) is said


def test_decision_curve_of_a_constant_is_that_of_all_and_then_of_none(drawing):
    _, figure = drawing(draw_decision_curve, "constant")

    (axes,) = figure.axes
    at, model = line(axes, "treat by the model").get_data()
    everybody = line(axes, "treat all").get_ydata()
    below = at <= 0.2
    np.testing.assert_allclose(model[below], everybody[below])
    assert (model[~below] == 0).all()


def test_decision_curve_of_an_inverted_model_is_below_the_better_of_all_and_none(drawing):
    _, figure = drawing(draw_decision_curve, "inverted")

    (axes,) = figure.axes
    model = line(axes, "treat by the model").get_ydata()
    better = np.maximum(line(axes, "treat all").get_ydata(), 0)
    assert (model <= better + 1e-12).all()
    assert (model < better - 0.2).any()


def test_chosen_thresholds_are_marked_and_worded(drawing):
    chosen = chosen_of(KINDS["good"])

    _, figure = drawing(draw_thresholds, "good")

    (axes,) = figure.axes
    marks = {tuple(one.get_xdata()) for one in axes.get_lines() if one.get_linestyle() == ":"}
    assert marks == {(one.threshold, one.threshold) for one in chosen}
    dots = [one.get_xydata()[0] for one in axes.get_lines() if one.get_marker() == "o"]
    first = chosen[0]
    assert dots[0].tolist() == pytest.approx([first.threshold, first.sensitivity])
    assert dots[1].tolist() == pytest.approx([first.threshold, first.specificity])
    said = f"here {first.sensitivity:.2f} and {first.specificity:.2f}"
    worded = f"1  at {first.threshold:.3g}, for sensitivity ≥ 0.8: {said}"
    assert worded in texts(figure)


def test_thresholds_that_are_the_same_share_a_number(drawing):
    _, figure = drawing(draw_thresholds, "constant")

    said = texts(figure)
    assert "1, 2" in said
    assert "3  for specificity ≥ 0.9: no threshold reaches it" in said


@pytest.mark.parametrize(
    ("kind", "said", "undrawn"),
    [
        ("no positive", "sensitivity is undefined: no positive case", "sensitivity"),
        ("all positive", "specificity is undefined: no negative case", "specificity"),
    ],
)
def test_a_rate_without_cases_is_said_not_drawn(drawing, kind, said, undrawn):
    _, figure = drawing(draw_thresholds, kind)

    (axes,) = figure.axes
    assert said in texts(figure)
    assert len(line(axes, said).get_xdata()) == 0
    assert undrawn not in [one.get_label() for one in axes.get_lines()]


def test_forest_lists_every_group_with_its_numbers(drawing):
    rows = groups_of(KINDS["good"])

    _, figure = drawing(draw_subgroups, "good")

    said = texts(figure)
    assert "Skin tone" in said
    for row in rows:
        assert row["group"].replace("_", " ") in said
        assert f"{row['positives']} of {row['n']}" in said
        ends = f"[{row['auroc_low']:.2f}, {row['auroc_high']:.2f}]"
        assert f"{row['auroc']:.2f} {ends}" in said
    points = [one for one in figure.axes[1].get_lines() if one.get_marker() == "s"]
    drawn = [one.get_xdata()[0] for one in points]
    assert drawn == pytest.approx([row["auroc"] for row in rows])


def test_forest_draws_small_groups_grey(drawing):
    _, figure = drawing(draw_subgroups, "good")

    colours = {one.get_text(): one.get_color() for one in figure.findobj(Text)}
    assert colours["gamma"] == clinical_plots.GREY
    assert colours["alpha"] == colours["beta two"] == "black"


@pytest.mark.parametrize(
    ("kind", "reason"), [("no positive", "no positive case"), ("all positive", "no negative case")]
)
def test_forest_says_what_is_undefined_and_draws_no_point(drawing, kind, reason):
    _, figure = drawing(draw_subgroups, kind)

    assert texts(figure).count(f"undefined: {reason}") == 5
    assert not [one for one in figure.axes[1].get_lines() if one.get_marker() == "s"]


def test_forest_says_that_there_is_no_threshold(drawing, tmp_path):
    attributes = pd.DataFrame({"sex": pd.Categorical(["female"] * COUNT)})
    targets = {"any": Target(KINDS["good"], None)}
    rows, _ = measure_subgroups(attributes, targets, RESAMPLES, least=3)

    draw = partial(clinical_plots.plot_subgroups, title="", least=3)
    figure = drawing.keep(draw, tmp_path / "f.png", rows, "sensitivity")

    assert texts(figure).count("undefined: no threshold") == 2


@pytest.mark.parametrize("name", ["observed_expected", "brier_score"])
def test_forest_holds_every_interval_of_figures_beyond_one(drawing, tmp_path, name):
    rows = groups_of(KINDS["good"])

    draw = partial(clinical_plots.plot_subgroups, title="", least=3)
    figure = drawing.keep(draw, tmp_path / "f.png", rows, name)

    right = figure.axes[1].get_xlim()[1]
    assert all(row[f"{name}_high"] <= right for row in rows)


def test_a_figure_that_fails_leaves_no_file(tmp_path):
    with pytest.raises(KeyError):
        clinical_plots.plot_subgroups(tmp_path / "f.png", [{}], "auroc", title="", least=3)

    assert not list(tmp_path.iterdir())
