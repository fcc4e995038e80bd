"""Tests of `pipeline.scoring.ensemble_params`."""

import pytest

from pipeline.params import ParamsError, build
from pipeline.scoring.ensemble_params import EnsembleParams, check_calibration

CALIBRATION = {"method": "best", "regularisation_c": 1.0, "folds": 3, "seed": 0}


def make_params(**changes):
    usual = {"members": ["b4", "b5"], "fold": 1, "deploy": "fold", "calibration": CALIBRATION}
    return build(usual | changes, EnsembleParams, "params.yaml: section 'ensemble'")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": []}, r"members must be one or more different names\. Got: \(\)\.$"),
        ({"members": ["b4", "b4"]}, r"members must be one or more different names"),
        ({"fold": -1}, r"fold must be at least 0\. Got: -1\.$"),
        ({"deploy": "folds"}, r"deploy must be fold or fold_average\. Got: 'folds'\.$"),
        ({"calibration": CALIBRATION | {"method": "platt"}}, r"method must be best or one of \("),
        (
            {"calibration": CALIBRATION | {"regularisation_c": 0.0}},
            r"regularisation_c must be > 0\. Got: 0\.0\.$",
        ),
        ({"calibration": CALIBRATION | {"folds": 1}}, r"folds must be at least 2\. Got: 1\.$"),
        ({"calibration": CALIBRATION | {"seed": -1}}, r"seed must be at least 0\. Got: -1\.$"),
    ],
)
def test_params_out_of_range_are_refused(change, message):
    with pytest.raises(ParamsError, match=message):
        make_params(**change)


def test_one_fold_deploys_its_networks_and_is_itself_the_reference():
    settings = make_params()

    assert settings.deployed_folds([0, 1, 2]) == (1,)
    assert settings.held_out == "1"
    assert settings.held_out_words == "out-of-fold"


def test_average_deploys_all_trained_folds_and_refers_to_what_none_trained_on():
    settings = make_params(deploy="fold_average")

    assert settings.deployed_folds([3, 0, 2]) == (0, 2, 3)
    assert settings.held_out == settings.held_out_words == "calibration"


def test_fold_that_is_not_trained_cannot_be_deployed():
    with pytest.raises(
        ValueError, match=r"^ensemble\.fold must be one of split\.train_folds \[0, 2\]\. Got: 1\.$"
    ):
        make_params().deployed_folds([2, 0])


def test_average_needs_a_part_that_is_set_aside():
    check_calibration("fold_average", 0.05)
    check_calibration("fold", 0.0)

    with pytest.raises(
        ValueError,
        match=r"fold_average must have a split\.calibration_share above 0\. Got: 0\.0\.$",
    ):
        check_calibration("fold_average", 0.0)
    with pytest.raises(ValueError, match=r"^deploy must be fold or fold_average\. Got: 'all'\.$"):
        check_calibration("all", 0.1)
