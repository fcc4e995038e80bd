"""Tests of `pipeline.deploy.operating_points`."""

import numpy as np
import pytest

from pipeline.deploy.bundle import Estimate
from pipeline.deploy.operating_points import OperatingPointsParams, choose_points
from pipeline.params import ParamsError, build
from pipeline.scoring.decisions import Resamples

# Probability of MEL, and truth: four of six are melanoma, the others SCC and NV.
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
LABELS = np.array([0, 7, 0, 0, 1, 0])
VALUES = {
    "malignant": ["MEL", "BCC", "SCC"],
    "decision_sensitivity": 0.75,
    "sensitivities": [1.0],
    "specificities": [0.5],
}


def settings(**changes):
    return build(VALUES | changes, OperatingPointsParams, "params.yaml")


def choose(labels, counts, **changes):
    probabilities = np.zeros((6, 9))
    probabilities[:, 0], probabilities[:, 1] = SCORES, 1 - SCORES
    return choose_points(
        labels,
        probabilities,
        Resamples(np.arange(6), counts, 0.5),
        settings=settings(**changes),
        images="calibration",
    )


def test_a_threshold_is_measured_on_the_cases_and_on_the_resamples():
    counts = np.array([[1, 1, 1, 1, 1, 1], [2, 0, 0, 1, 3, 1], [1, 2, 1, 1, 0, 0]])

    point = choose(LABELS, counts)["melanoma"].decision

    assert (point.threshold, point.n, point.positives) == (0.6, 6, 4)
    assert (point.quantity, point.wanted) == ("sensitivity", 0.75)
    assert point.rule == "highest threshold with sensitivity >= 0.75 on calibration images"
    # Resampled sensitivities 0.75, 0.75, 1 and specificities 0.5, 1, 0; quartiles of each.
    assert point.sensitivity == Estimate(0.75, 0.75, 0.875)
    assert point.specificity == Estimate(0.5, 0.25, 0.75)


def test_further_thresholds_follow_the_one_that_decides():
    found = choose(LABELS, np.ones((2, 6), int))["melanoma"]

    assert [point.threshold for point in found.others] == [0.4, 0.6]
    assert found.others[1].rule == (
        "lowest threshold with specificity >= 0.5 on calibration images"
    )


def test_what_is_malignant_is_the_policys():
    """SCC is positive of `malignant` alone; with AK in the policy, AK too."""
    labels = np.where(LABELS == 1, 3, LABELS)

    without = choose(labels, np.ones((2, 6), int))
    with_ak = choose(labels, np.ones((2, 6), int), malignant=["MEL", "BCC", "AK", "SCC"])

    assert without["melanoma"].decision.positives == 4
    assert without["malignant"].decision.positives == 5
    assert with_ak["malignant"].decision.positives == 6
    assert with_ak["malignant"].classes == ("MEL", "BCC", "AK", "SCC")


def test_without_a_positive_nothing_is_defined():
    point = choose(np.ones(6, int), np.ones((2, 6), int))["melanoma"].decision

    assert point.threshold is None
    assert point.sensitivity == point.specificity == Estimate(None, None, None)


def test_without_a_negative_the_specificity_is_undefined():
    found = choose(np.zeros(6, int), np.ones((2, 6), int))["melanoma"]

    assert found.others[0].threshold == 0.4
    assert found.others[0].specificity == Estimate(None, None, None)
    assert found.others[1].threshold is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"malignant": ["MEL"]}, r"malignant must be one of .*Got: \('MEL',\)\.$"),
        ({"decision_sensitivity": 0.0}, r"decision_sensitivity must be in \(0, 1\]\. Got: 0\.0"),
        ({"sensitivities": [0.9, 1.5]}, r"sensitivities must be in \(0, 1\]\. Got: \(0\.9, 1"),
        ({"specificities": [0.0]}, r"specificities must be in \(0, 1\]\. Got: \(0\.0,\)"),
    ],
)
def test_params_out_of_range_are_refused(change, message):
    with pytest.raises(ParamsError, match=message):
        settings(**change)
