"""Tests of `pipeline.network.tune.state`: what a search goes on from."""

import re
from dataclasses import replace

import pytest

from pipeline.network.tune.state import (
    SearchError,
    begin_or_resume,
    checkpoints_of,
    holding,
    read_trials,
    save_trial,
)
from pipeline.network.tune.study import Trial

RECIPE = {"tune.seed": 1, "tune.space": {"a": {"low": 0.0, "high": 1.0}}, "cases": "ab"}
TRIAL = Trial(0, {"a": 0.1 + 0.2}, "complete", 1 / 3, [[2 / 3, 1 / 3]], "", 1.5)


def test_trials_are_read_as_they_were_saved_to_the_last_bit(tmp_path):
    trials = [TRIAL, replace(TRIAL, number=1, state="pruned", value=None)]
    begin_or_resume(tmp_path, RECIPE, "command")
    for trial in trials:
        save_trial(tmp_path, trial)

    assert begin_or_resume(tmp_path, RECIPE, "command") == trials


def test_checkpoints_go_when_their_trial_is_saved(tmp_path):
    checkpoints_of(tmp_path, 0).mkdir(parents=True)

    save_trial(tmp_path, TRIAL)

    assert [path.name for path in tmp_path.iterdir()] == ["trial-0000.json"]


def test_kill_between_record_and_removal_leaves_the_checkpoints_of_the_next_trial_alone(tmp_path):
    begin_or_resume(tmp_path, RECIPE, "command")
    save_trial(tmp_path, TRIAL)
    for number in (0, 1):
        checkpoints_of(tmp_path, number).mkdir()

    begin_or_resume(tmp_path, RECIPE, "command")

    assert not checkpoints_of(tmp_path, 0).exists()
    assert checkpoints_of(tmp_path, 1).exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"tune.space": {"a": {"low": 0.0, "high": 2.0}}},
        {"cases": "cd"},
        {"train.new_key": 1},
    ],
)
def test_search_of_another_recipe_is_refused_and_what_differs_is_named(tmp_path, changed):
    begin_or_resume(tmp_path, RECIPE, "command")

    message = re.escape(f"other {list(changed)}") + ".*delete the folder"
    with pytest.raises(SearchError, match=message):
        begin_or_resume(tmp_path, RECIPE | changed, "command")


def test_gap_between_trials_is_refused(tmp_path):
    save_trial(tmp_path, TRIAL)
    save_trial(tmp_path, replace(TRIAL, number=2))

    with pytest.raises(SearchError, match=r"without a gap. Got: \[0, 2\]"):
        read_trials(tmp_path)


def test_second_search_of_a_member_is_refused_while_the_first_runs(tmp_path):
    lock = tmp_path / "search.lock"

    with (
        holding(lock, waits=False),
        pytest.raises(SearchError, match="one search at a time"),
        holding(lock, waits=False),
    ):
        pass

    with holding(lock, waits=False):
        assert lock.exists()
