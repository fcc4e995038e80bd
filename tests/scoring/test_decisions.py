"""Tests of `pipeline.scoring.decisions`."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta
from sklearn.metrics import class_likelihood_ratios, precision_score

from pipeline.scoring.bootstrap import Estimate, draw_counts, with_width
from pipeline.scoring.decisions import (
    Resamples,
    as_table,
    decision_rows,
    measure_decision,
    net_benefit_rows,
    share_estimate,
)
from pipeline.scoring.operating_point import BinaryCases, choose_thresholds

# At 0.2: three of four positives found, two of six negatives flagged.
CASES = BinaryCases(
    np.array([True] * 4 + [False] * 6),
    np.array([0.9, 0.6, 0.3, 0.1, 0.7, 0.2, 0.1, 0.1, 0.05, 0.0]),
)


def resampled(units, repeats=400, seed=0):
    units = np.asarray(units)
    return Resamples(units, draw_counts(units, repeats=repeats, seed=seed), 0.95)


def drawn(count=600, seed=0, prevalence=0.3):
    rng = np.random.default_rng(seed)
    positive = rng.random(count) < prevalence
    return BinaryCases(positive, 1 / (1 + np.exp(1.5 - rng.normal(2 * positive, 1))))


def values(found):
    return {name: estimate.value for name, estimate in found.items()}


def test_figures_of_ten_cases_worked_out_by_hand():
    found = values(measure_decision(CASES, 0.2, None, resampled(np.arange(10))))

    assert found == pytest.approx(
        {
            "sensitivity": 3 / 4,
            "specificity": 4 / 6,
            "likelihood_ratio_positive": 2.25,  # 0.75 / 0.3333
            "likelihood_ratio_negative": 0.375,  # 0.25 / 0.6667
            "ppv": 3 / 5,
            "npv": 4 / 5,
            "number_needed_to_refer": 5 / 3,
            "flagged_share": 0.5,
        }
    )


def test_predictive_values_follow_the_stated_prevalence():
    """Of 1,000 patients at 10 %, 75 of 100 positives and 300 of 900 negatives are flagged."""
    found = values(measure_decision(CASES, 0.2, 0.1, resampled(np.arange(10))))

    assert found["ppv"] == pytest.approx(75 / 375)
    assert found["npv"] == pytest.approx(600 / 625)
    assert found["number_needed_to_refer"] == pytest.approx(5)
    assert found["flagged_share"] == pytest.approx(0.375)
    assert found["sensitivity"] == 0.75


def test_figures_agree_with_scikit_learn():
    cases = drawn()
    flagged = cases.scores >= 0.4

    found = values(measure_decision(cases, 0.4, None, resampled(np.arange(600), repeats=5)))

    ratios = class_likelihood_ratios(cases.positive, flagged)
    assert found["likelihood_ratio_positive"] == pytest.approx(ratios[0])
    assert found["likelihood_ratio_negative"] == pytest.approx(ratios[1])
    assert found["ppv"] == pytest.approx(precision_score(cases.positive, flagged))
    assert found["npv"] == pytest.approx(precision_score(~cases.positive, ~flagged))


def test_order_of_cases_changes_nothing():
    cases, units = drawn(200), np.arange(200) // 2
    rows = np.random.default_rng(1).permutation(200)
    first = resampled(units, repeats=50)
    moved = Resamples(units[rows], first.counts[:, rows], 0.95)

    found = measure_decision(cases, 0.4, 0.05, first)

    assert measure_decision(cases.only(rows), 0.4, 0.05, moved) == found


def test_perfect_scores_have_perfect_figures_and_honest_ends():
    """Four of four found is no proof: with 97.5 % a test of sensitivity 0.4 misses one."""
    cases = BinaryCases(CASES.positive, CASES.positive.astype(float))

    found = measure_decision(cases, 0.5, 0.01, resampled(np.arange(10)))

    assert found["sensitivity"].value == found["ppv"].value == found["npv"].value == 1.0
    assert found["sensitivity"].low == pytest.approx(beta.ppf(0.025, 4, 1))
    assert found["specificity"].low == pytest.approx(beta.ppf(0.025, 6, 1))
    assert found["ppv"].low < 0.02
    assert 0.98 < found["npv"].low < 1.0
    assert found["likelihood_ratio_positive"] == Estimate(None, None, None, 400)
    assert found["likelihood_ratio_negative"].value == 0.0
    assert found["likelihood_ratio_negative"].high > 0.5


def test_patients_not_images_are_the_trials_of_a_share_of_one():
    """Twelve images of three patients say what three patients say."""
    every, units = np.ones(12, bool), np.repeat(np.arange(3), 4)

    found = share_estimate(every, every, resampled(units))

    assert found.value == 1.0
    assert found.low == pytest.approx(beta.ppf(0.025, 3, 1))


def test_a_share_of_none_ends_above_zero():
    nothing, every = np.zeros(30, bool), np.ones(30, bool)

    found = share_estimate(nothing, every, resampled(np.arange(30)))

    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(beta.ppf(0.975, 1, 30))


def test_an_undefined_figure_gets_no_width():
    undefined = Estimate(None, None, None, 0)

    assert with_width(undefined, 0, 0.95) is undefined


def test_images_of_one_patient_widen_the_interval():
    """Four copies of each of 150 cases know no more than 150: image-level resampling hides that."""
    cases = drawn(150).only(np.repeat(np.arange(150), 4))
    widths = []
    for units in (np.arange(600), np.repeat(np.arange(150), 4)):
        found = measure_decision(cases, 0.4, 0.1, resampled(units, repeats=1500))
        widths.append({n: e.high - e.low for n, e in found.items()})

    for name in ("sensitivity", "ppv", "npv", "number_needed_to_refer"):
        assert widths[1][name] == pytest.approx(2 * widths[0][name], rel=0.2), name


def test_an_end_that_is_infinite_is_none():
    """One alarm in 40 negatives: in a third of the resamples there is none."""
    positive = np.arange(60) < 20
    scores = np.where(positive, 0.9, 0.1)
    scores[-1] = 0.9

    found = measure_decision(BinaryCases(positive, scores), 0.5, None, resampled(np.arange(60)))

    ratio = found["likelihood_ratio_positive"]
    assert ratio.value == pytest.approx(40)
    assert ratio.low < 40
    assert ratio.high is None
    assert ratio.resamples == 400


def test_nobody_flagged_has_no_predictive_value():
    found = values(measure_decision(CASES, 0.95, 0.02, resampled(np.arange(10))))

    assert (found["sensitivity"], found["specificity"], found["npv"]) == (0.0, 1.0, 0.98)
    assert found["ppv"] is None
    assert found["number_needed_to_refer"] is None
    assert found["likelihood_ratio_positive"] is None


def test_a_constant_score_tells_nothing():
    cases = BinaryCases(CASES.positive, np.full(10, 0.3))

    found = values(measure_decision(cases, 0.3, 0.1, resampled(np.arange(10))))

    assert (found["sensitivity"], found["specificity"]) == (1.0, 0.0)
    assert found["ppv"] == pytest.approx(0.1)
    assert found["likelihood_ratio_positive"] == pytest.approx(1)
    assert found["npv"] is None


@pytest.mark.parametrize("is_positive", [False, True])
def test_one_class_alone_leaves_what_needs_both_undefined(is_positive):
    cases = BinaryCases(np.full(10, is_positive), CASES.scores)

    found = values(measure_decision(cases, 0.2, 0.1, resampled(np.arange(10))))

    known = "sensitivity" if is_positive else "specificity"
    assert found.pop(known) == pytest.approx(0.5)
    assert set(found.values()) == {None}


def test_no_threshold_has_no_figures():
    found = measure_decision(CASES, None, 0.1, resampled(np.arange(10)))

    assert set(found.values()) == {Estimate(None, None, None, 0)}
    assert len(found) == 8


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1])
def test_a_prevalence_outside_its_range_is_refused(prevalence):
    with pytest.raises(ValueError, match=r"^prevalence must be in \(0, 1\)\. Got: "):
        measure_decision(CASES, 0.2, prevalence, resampled(np.arange(10)))


def test_interval_of_a_sensitivity_is_the_binomials():
    positive = np.ones(400, bool)
    cases = BinaryCases(positive, (np.arange(400) < 320).astype(float))

    found = measure_decision(cases, 0.5, 0.1, resampled(np.arange(400), repeats=3000))

    assert found["sensitivity"].low == pytest.approx(0.8 - 1.96 * 0.02, abs=0.004)
    assert found["sensitivity"].high == pytest.approx(0.8 + 1.96 * 0.02, abs=0.004)


def test_net_benefit_of_ten_cases_worked_out_by_hand():
    """At 0.2 a needless treatment weighs a quarter, at 0.5 as much as a found case."""
    rows = net_benefit_rows(CASES, [0.2, 0.5], resampled(np.arange(10)))

    assert [row["net_benefit"] for row in rows] == pytest.approx([0.3 - 0.2 / 4, 0.2 - 0.1])
    assert [row["treat_all"] for row in rows] == pytest.approx([0.4 - 0.6 / 4, 0.4 - 0.6])


def test_perfect_probabilities_are_worth_the_prevalence_everywhere():
    cases = BinaryCases(CASES.positive, CASES.positive.astype(float))

    rows = net_benefit_rows(cases, [0.01, 0.3, 0.99], resampled(np.arange(10)))

    assert [row["net_benefit"] for row in rows] == pytest.approx([0.4] * 3)


def test_calibrated_probabilities_are_never_worth_less_than_all_or_none():
    """An inverted model is: what the curve is drawn to show."""
    rng = np.random.default_rng(0)
    risk = rng.beta(1, 4, 40000)
    positive = rng.random(40000) < risk
    at, units = [0.05, 0.2, 0.5], np.arange(40000) // 4
    good, inverted = (
        net_benefit_rows(BinaryCases(positive, scores), at, resampled(units, repeats=2))
        for scores in (risk, 1 - risk)
    )

    for row, wrong in zip(good, inverted, strict=True):
        best = max(row["treat_all"], 0)
        assert row["net_benefit"] > best - 0.002
        assert wrong["net_benefit"] < best


def test_treating_all_is_a_model_that_is_sure_of_everybody():
    cases = BinaryCases(CASES.positive, np.ones(10))

    for row in net_benefit_rows(cases, [0.1, 0.6], resampled(np.arange(10))):
        assert row["net_benefit"] == row["treat_all"]
        assert row["net_benefit_low"] == row["treat_all_low"] < row["treat_all_high"]


def test_net_benefit_of_scores_that_are_no_probabilities_is_refused():
    with pytest.raises(ValueError, match=r"^scores must be probabilities, in \[0, 1\]"):
        net_benefit_rows(BinaryCases(CASES.positive, np.arange(10.0)), [0.1], None)


def test_a_threshold_probability_of_one_is_refused():
    with pytest.raises(ValueError, match=r"^threshold probabilities must be in \(0, 1\)\. Got: "):
        net_benefit_rows(CASES, [0.1, 1.0], None)


def test_rows_name_how_a_threshold_was_chosen_and_what_it_reaches_elsewhere():
    elsewhere = drawn(seed=5)
    chosen = choose_thresholds(CASES, sensitivities=[0.75], specificities=[1.0])
    rows = decision_rows(chosen, elsewhere, [0.02], resampled(np.arange(600), repeats=20))

    assert [row["is_stated"] for row in rows] == [False, True, False, True]
    assert rows[0]["prevalence"] == elsewhere.positive.mean()
    assert rows[1]["prevalence"] == 0.02
    first = rows[0]
    assert (first["chosen_quantity"], first["chosen_wanted"], first["threshold"]) == (
        "sensitivity",
        0.75,
        0.3,
    )
    assert (first["chosen_n"], first["chosen_positives"]) == (10, 4)
    assert (first["n"], first["positives"]) == (600, int(elsewhere.positive.sum()))
    assert first["flagged"] == (elsewhere.scores >= 0.3).sum()
    assert first["sensitivity_low"] < first["sensitivity"] < first["sensitivity_high"]


def test_rows_are_json_and_a_table_whose_counts_are_whole():
    chosen = choose_thresholds(
        BinaryCases(np.zeros(3, bool), np.ones(3)), sensitivities=[0.9], specificities=[]
    )
    chosen += choose_thresholds(CASES, sensitivities=[0.9], specificities=[])

    rows = decision_rows(chosen, CASES, [0.1], resampled(np.arange(10), repeats=20))
    table = as_table(rows)

    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert rows[0]["sensitivity"] is None
    assert rows[0]["flagged"] is None
    assert table.flagged.dtype == table.ppv_resamples.dtype == pd.Int64Dtype()
    assert table.sensitivity.isna().tolist() == [True, True, False, False]
