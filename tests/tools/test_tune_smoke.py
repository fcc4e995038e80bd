"""Tests of `tools.tune_smoke`: a difference between two searches is seen."""

from dataclasses import replace

import pytest

from pipeline.network.tune.study import Trial
from tools.tune_smoke import TUNE, compare, lay_out, spread

VALUES = dict.fromkeys(TUNE["space"], 0.25)
TRIALS = [
    Trial(0, VALUES, "complete", 2.0, [[2.5, 2.0]], "", 1.0),
    Trial(1, VALUES, "pruned", None, [[3.0]], "", 1.0),
    Trial(2, VALUES, "complete", 1.0, [[2.5, 1.0]], "", 1.0),
]


def test_trials_that_took_other_times_are_the_same():
    assert compare(TRIALS, [replace(trial, seconds=9.0) for trial in TRIALS]) == [True] * 3


@pytest.mark.parametrize(
    "fault",
    [
        {"value": 2.0 + 1e-15, "state": "complete"},
        {"state": "complete"},
        {"losses": [[3.0, 3.0]]},
        {"params": VALUES | {"member.head.dropout": 0.2500001}},
        {"reason": "loss must be finite."},
    ],
)
def test_trial_that_differs_is_seen(fault):
    again = [TRIALS[0], replace(TRIALS[1], **fault), TRIALS[2]]

    assert compare(TRIALS, again) == [True, False, True]


def test_trial_that_is_missing_is_seen():
    assert compare(TRIALS, TRIALS[:2]) == [True, True, False]


def test_table_and_spread_say_what_came_out():
    lines = lay_out(TRIALS, [True, False, True]).splitlines()

    assert lines[2].split() == ["1", "pruned", "–", "1", "0.25", "0.25", "0.25", "no"]
    assert spread(TRIALS).startswith("best 1.0000 against median 1.5000, worst 2.0000, of 2")
