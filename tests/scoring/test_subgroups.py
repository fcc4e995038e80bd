"""Tests of `pipeline.scoring.subgroups`."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.scoring.bootstrap import draw_counts
from pipeline.scoring.decisions import Resamples, as_table
from pipeline.scoring.operating_point import BinaryCases
from pipeline.scoring.subgroups import (
    EVERY,
    FIGURES,
    UNKNOWN,
    Target,
    attributes_of,
    compare_skin_types,
    measure_subgroups,
)


def resampled(units, repeats=300):
    units = np.asarray(units)
    return Resamples(units, draw_counts(units, repeats=repeats, seed=0), 0.95)


def named(*groups):
    return pd.DataFrame({"sex": pd.Categorical(groups)})


def drawn(count, seed=0):
    rng = np.random.default_rng(seed)
    positive = rng.random(count) < 0.4
    return BinaryCases(positive, 1 / (1 + np.exp(1 - rng.normal(2 * positive, 1))))


def measured(attributes, cases, threshold=0.5, least=1, resamples=None):
    resamples = resampled(np.arange(len(cases))) if resamples is None else resamples
    return measure_subgroups(attributes, {"any": Target(cases, threshold)}, resamples, least=least)


def by_group(rows):
    return {row["group"]: row for row in rows}


def by_figure(gaps):
    return {row["figure"]: row for row in gaps}


EIGHT = BinaryCases(
    np.array([True, True, True, False, False, True, True, False]),
    np.array([0.9, 0.8, 0.4, 0.6, 0.1, 0.7, 0.2, 0.3]),
)


def test_figures_of_two_groups_worked_out_by_hand():
    rows, gaps = measured(named(*"fffffmmm"), EIGHT)

    found = by_group(rows)
    assert [row["group"] for row in rows] == [EVERY, "f", "m"]
    female = {name: found["f"][name] for name in FIGURES}
    assert female == pytest.approx(
        {
            "sensitivity": 2 / 3,
            "specificity": 1 / 2,
            "auroc": 5 / 6,  # the positive at 0.4 is below the negative at 0.6
            "observed_expected": 3 / 2.8,
            "brier_score": (0.01 + 0.04 + 0.36 + 0.36 + 0.01) / 5,
        }
    )
    assert (found["m"]["sensitivity"], found["m"]["specificity"], found["m"]["auroc"]) == (
        0.5,
        1,
        0.5,
    )
    assert (found["f"]["n"], found["f"]["positives"], found["f"]["units"]) == (5, 3, 5)
    gap = by_figure(gaps)["auroc"]
    assert (gap["lowest_group"], gap["highest_group"], gap["groups"]) == ("m", "f", 2)
    assert gap["gap"] == pytest.approx(5 / 6 - 1 / 2)


def test_all_cases_stand_first():
    rows, _ = measured(named(*"fffffmmm"), EIGHT)

    assert (rows[0]["attribute"], rows[0]["n"]) == (EVERY, 8)
    assert rows[0]["auroc"] == roc_auc_score(EIGHT.positive, EIGHT.scores)


def test_a_group_without_a_positive_shows_neither_one_nor_zero():
    """The planted fault: a share of nothing reported as perfect, or as nothing."""
    cases = BinaryCases(np.array([True, False, True, False, False, False]), EIGHT.scores[:6])

    rows, gaps = measured(named(*"aaaabb"), cases)

    row = by_group(rows)["b"]
    assert row["positives"] == 0
    for name in ("sensitivity", "auroc", "observed_expected"):
        ends = [row[f"{name}{end}"] for end in ("", "_low", "_high")]
        assert ends == [None, None, None], name
    assert row["specificity"] == 0.5
    assert row["is_small"]
    assert by_figure(gaps)["sensitivity"]["groups"] == 1


def test_a_group_without_a_negative_has_no_specificity():
    rows, _ = measured(named(*"aaab"), BinaryCases(np.array([1, 0, 1, 1], bool), EIGHT.scores[:4]))

    row = by_group(rows)["b"]
    assert (row["specificity"], row["auroc"]) == (None, None)
    assert row["sensitivity"] == 1.0
    assert row["sensitivity_low"] == pytest.approx(0.025)


def test_small_and_unknown_groups_are_shown_but_not_ranked():
    """The small group is the worst and the unknown the best; neither makes the gap."""
    groups = ["big"] * 60 + ["other"] * 60 + ["small"] * 6 + [UNKNOWN] * 60
    positive = np.arange(186) % 2 == 0
    scores = np.where(positive, 0.6, 0.4)
    scores[:12:2] = 0.3  # six of thirty positives of `big` are missed
    scores[60:66:2] = 0.3  # three of `other`
    scores[120:126:2] = 0.1  # all of `small`

    rows, gaps = measured(named(*groups), BinaryCases(positive, scores), least=5)

    found = by_group(rows)
    assert [name for name, row in found.items() if row["is_small"]] == ["small"]
    assert (found["small"]["sensitivity"], found[UNKNOWN]["sensitivity"]) == (0.0, 1.0)
    gap = by_figure(gaps)["sensitivity"]
    assert (gap["lowest_group"], gap["highest_group"], gap["groups"]) == ("big", "other", 2)
    assert gap["gap"] == pytest.approx(0.1)


def test_one_ranked_group_has_no_gap():
    _, gaps = measured(named(*"fffffmmm"), EIGHT, least=2)

    gap = by_figure(gaps)["auroc"]
    assert gap["groups"] == 1
    assert (gap["gap"], gap["lowest_group"], gap["gap_by_chance"]) == (None, None, None)


def test_a_gap_is_paired_on_the_same_patients():
    """Two photographs of each lesion, alike but for the source, differ less than two patients."""
    half = drawn(150)
    cases = BinaryCases(np.tile(half.positive, 2), np.tile(half.scores, 2))
    attributes = pd.DataFrame({"source": pd.Categorical(["a"] * 150 + ["b"] * 150)})
    together, apart = np.tile(np.arange(150), 2), np.arange(300)

    paired, unpaired = (
        by_figure(measured(attributes, cases, resamples=resampled(units))[1])["sensitivity"]
        for units in (together, apart)
    )

    assert paired["gap"] == unpaired["gap"] == 0
    assert (paired["gap_low"], paired["gap_high"], paired["gap_by_chance"]) == (0, 0, 0)
    assert unpaired["gap_low"] < -0.05 < 0.05 < unpaired["gap_high"]


def test_a_gap_of_equal_groups_is_within_chance_and_a_true_one_beyond():
    rng = np.random.default_rng(0)
    groups = rng.choice(list("abcd"), 2000)
    cases = drawn(2000, seed=4)
    worse = BinaryCases(cases.positive, np.where(groups == "b", cases.scores * 0.6, cases.scores))

    equal, different = (
        by_figure(measured(named(*groups), given)[1])["sensitivity"] for given in (cases, worse)
    )

    assert 0 < equal["gap"] < equal["gap_by_chance"]
    assert different["lowest_group"] == "b"
    assert different["gap"] > 2 * different["gap_by_chance"]
    assert different["gap_low"] > different["gap_by_chance"]


def test_images_of_one_patient_widen_the_interval():
    cases = drawn(100).only(np.repeat(np.arange(100), 4))
    groups = named(*np.repeat(["f", "m"], 200))
    widths = []
    for units in (np.arange(400), np.repeat(np.arange(100), 4)):
        rows, _ = measured(groups, cases, resamples=resampled(units, repeats=1000))
        row = by_group(rows)["f"]
        widths.append([row[f"{name}_high"] - row[f"{name}_low"] for name in FIGURES])

    assert widths[1] == pytest.approx(2 * np.array(widths[0]), rel=0.25)


def test_order_of_cases_changes_nothing():
    cases, groups = drawn(90), np.array(list("abc") * 30)
    rows = np.random.default_rng(0).permutation(90)
    first = resampled(np.arange(90) // 3)
    moved = Resamples(first.units[rows], first.counts[:, rows], 0.95)

    tables = [
        as_table(measured(named(*names), given, resamples=resamples)[0])
        for names, given, resamples in (
            (groups, cases, first),
            (groups[rows], cases.only(rows), moved),
        )
    ]

    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize(
    ("scores", "auroc", "sensitivity"),
    [
        (np.where(EIGHT.positive, 1.0, 0.0), 1.0, 1.0),
        (np.where(EIGHT.positive, 0.0, 1.0), 0.0, 0.0),
        (np.full(8, 0.5), 0.5, 1.0),
    ],
    ids=["perfect", "inverted", "constant"],
)
def test_extreme_models_have_extreme_figures_with_honest_ends(scores, auroc, sensitivity):
    rows, _ = measured(named(*"fffffmmm"), BinaryCases(EIGHT.positive, scores))

    for row in rows:
        assert (row["auroc"], row["sensitivity"]) == (auroc, sensitivity)
        assert row["sensitivity_low"] < row["sensitivity_high"]
        if auroc != 0.5:
            assert row["auroc_low"] < row["auroc_high"]


def test_no_threshold_leaves_what_needs_none():
    rows, gaps = measured(named(*"fffffmmm"), EIGHT, threshold=None)

    assert rows[0]["sensitivity"] is rows[0]["specificity"] is None
    assert rows[0]["auroc"] is not None
    assert by_figure(gaps)["specificity"]["gap"] is None


def test_rows_are_json():
    rows, gaps = measured(named(*"fffffmmm"), EIGHT)

    assert json.loads(json.dumps([rows, gaps], allow_nan=False)) == [rows, gaps]


def test_attributes_of_other_cases_are_refused():
    with pytest.raises(
        ValueError, match=r"^attributes must have a row per case of any, 8\. Got: 3"
    ):
        measured(named(*"fmf"), EIGHT)


def cases_of(**columns):
    known = {"sex": "", "age_years": np.nan, "site": "", "source": "s", "width_px": 1}
    known |= {"fitzpatrick_skin_type": ""} | columns
    return pd.DataFrame({"height_px": [1000] * 4} | known)


def attributes(cases, skin_tone=None):
    return attributes_of(
        cases, age_edges_years=[40, 60], edges_px=[500_000, 4_000_000], skin_tone=skin_tone
    )


def test_a_band_holds_its_lower_edge_and_unknown_age_is_its_own_group():
    found = attributes(cases_of(age_years=[39.5, 40.0, 60.0, np.nan])).age

    assert found.tolist() == ["under 40", "40 to under 60", "60 and over", UNKNOWN]
    assert list(found.cat.categories) == ["under 40", "40 to under 60", "60 and over", UNKNOWN]


def test_image_size_is_of_the_originals_pixels():
    found = attributes(cases_of(width_px=[499, 500, 3999, 4000])).image_size

    middle = "0.5 to under 4 MP"
    assert found.tolist() == ["under 0.5 MP", middle, middle, "4 MP and over"]


def test_empty_words_are_unknown_and_come_last():
    found = attributes(cases_of(sex=["male", "", "female", "male"]))

    assert found.sex.tolist() == ["male", UNKNOWN, "female", "male"]
    assert list(found.sex.cat.categories) == ["female", "male", UNKNOWN]
    assert set(found.site) == {UNKNOWN}
    assert "skin_tone" not in found


def test_skin_tones_keep_their_order_whatever_the_index():
    order = ["very light", "dark"]
    tones = pd.Series(["dark", None, "very light", "dark"], index=[7, 8, 9, 10])

    sorted_ = attributes(cases_of(), tones).skin_tone
    ordered = attributes(cases_of(), tones.astype(pd.CategoricalDtype(order))).skin_tone

    assert sorted_.tolist() == ordered.tolist() == ["dark", UNKNOWN, "very light", "dark"]
    assert list(sorted_.cat.categories) == ["dark", "very light", UNKNOWN]
    assert list(ordered.cat.categories) == [*order, UNKNOWN]


def test_skin_types_that_nobody_saw_are_unknown():
    found = attributes(cases_of(fitzpatrick_skin_type=["VI", "", "II", "II"]))

    assert found.fitzpatrick_skin_type.tolist() == ["VI", UNKNOWN, "II", "II"]
    assert list(found.fitzpatrick_skin_type.cat.categories) == ["II", "VI", UNKNOWN]


def test_known_skin_types_stand_beside_the_angles_of_the_same_cases():
    types = pd.Series({"a": "II", "b": "", "c": "VI", "d": "II", "e": "II"})
    angles = pd.Series({"e": np.nan, "d": 20.0, "c": np.nan, "b": 80.0, "a": 50.0})

    found = compare_skin_types(types, angles).set_index("fitzpatrick_skin_type")

    assert found.loc["II"].tolist() == [3, 2, 20.0, 35.0, 50.0]
    assert found.loc["VI", ["n", "estimated"]].tolist() == [1, 0]
    assert found.loc["VI", ["lowest", "median", "highest"]].isna().all()
    assert list(found.index) == ["II", "VI"]


def test_no_known_skin_type_gives_an_empty_table():
    found = compare_skin_types(pd.Series({"a": ""}), pd.Series({"a": 4.0}))

    assert len(found) == 0
    assert "estimated" in found


def test_skin_tones_of_other_cases_are_refused():
    with pytest.raises(ValueError, match=r"^skin_tone must name 4 cases\. Got: 2\.$"):
        attributes(cases_of(), pd.Series(["I", "II"]))


@pytest.mark.parametrize("edges", [[], [60, 40], [40, 40]])
def test_edges_that_do_not_rise_are_refused(edges):
    with pytest.raises(ValueError, match=r"^edges must rise, and be at least one\. Got: \["):
        attributes_of(cases_of(), age_edges_years=edges, edges_px=[1], skin_tone=None)
