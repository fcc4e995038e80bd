"""Tests of `pipeline.network.tune`: whole searches over a tiny member.

The arrays hold none of the images of the test set and of the outer fold: a search that read one
would end in an error.
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline import manifest
from pipeline.classes import CLASSES
from pipeline.network.tune.space import nest
from pipeline.network.tune.state import checkpoints_of, read_trials
from pipeline.shards.array_writer import write_array_shards
from tests.network.networks import bright_ninths, settings, small_member

ROOT = Path(__file__).resolve().parents[3]
COMMAND = ["--member", "m", "manifest.csv", "arrays", "report"]
STATE = Path(".resume/tune/m")
TUNE = {
    "seed": 2,
    "trials": 3,
    "startup_trials": 2,
    "inner_folds": [1, 2],
    "pruner": {"kind": "percentile", "percentile": 50.0, "startup_trials": 1, "warmup_epochs": 0},
    "space": {
        # With the largest number of float32 as rate no loss stays finite.
        "member.peak_learning_rate": {"choices": [1e-3, 3e38]},
        "member.head.dropout": {"low": 0.0, "high": 0.5},
    },
}


def write_project(folder):
    """Write params, a manifest, and the arrays of the folds that may be read."""
    cases = bright_ninths(folder / "all", count=90)
    folds = np.array([("test", "0", "1", "2", "3")[number // 9 % 5] for number in range(90)])
    seen = np.flatnonzero(np.isin(folds, ["1", "2", "3"]))
    ids = [cases.image_ids[row] for row in seen]
    pixels = zip(ids, cases.pixels(seen), strict=True)
    write_array_shards(folder / "arrays", pixels, shard_images=16)
    table = pd.DataFrame(dict.fromkeys(manifest.COLUMNS, ""), index=range(90))
    table = table.assign(
        image_id=cases.image_ids,
        diagnosis=[CLASSES[label] for label in cases.labels],
        age_years=np.nan,
        width_px=32,
        height_px=32,
        group_id=cases.image_ids,
        fold=folds,
    )
    manifest.write(table, folder / "manifest.csv")
    member = small_member(demographics=False, epochs=2)
    write_params(folder, dataclasses.asdict(member), TUNE)


def write_params(folder, member, tune):
    sections = {
        "member": {"m": member},
        "train": dataclasses.asdict(settings()),
        "ensemble": {"fold": 0},
        "tune": tune,
    }
    with open(folder / "params.yaml", "w", encoding="utf-8") as file:
        YAML(typ="safe").dump(json.loads(json.dumps(sections)), file)  # tuples to lists


def start(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.network.tune", *COMMAND, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(folder, *arguments):
    process = start(folder, *arguments)
    output, _ = process.communicate()
    return process.returncode, output


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder in which a search has run to its end."""
    folder = tmp_path_factory.mktemp("tune")
    write_project(folder)
    status, output = finish(folder)
    assert status == 0, output
    return folder


@pytest.mark.slow
def test_search_needs_no_image_of_the_test_set_nor_of_the_outer_fold(project):
    trials = read_trials(project / STATE)

    assert len(trials) == TUNE["trials"]
    assert any(trial.state == "complete" for trial in trials)


@pytest.mark.slow
def test_search_over_the_outer_fold_would_miss_its_images(project, tmp_path):
    """The fault that the arrays are there to catch: with another outer fold, fold 0 is read."""
    for name in ("manifest.csv", "params.yaml"):
        (tmp_path / name).write_text((project / name).read_text())
    (tmp_path / "arrays").symlink_to(project / "arrays")
    params = tmp_path / "params.yaml"
    params.write_text(params.read_text().replace("{fold: 0}", "{fold: 3}"))
    assert "{fold: 3}" in params.read_text()

    status, output = finish(tmp_path)

    assert status == 1
    assert "must hold every image of the table's rows. Missing 18" in output.splitlines()[-1]


@pytest.mark.slow
def test_value_is_the_mean_of_the_inner_folds_after_their_last_epoch(project):
    complete = [trial for trial in read_trials(project / STATE) if trial.state == "complete"]

    for trial in complete:
        assert [len(losses) for losses in trial.losses] == [2, 2]
        assert trial.value == np.mean([losses[-1] for losses in trial.losses])
        assert trial.losses[0] != trial.losses[1]


@pytest.mark.slow
def test_trial_that_diverges_failed_and_does_not_end_the_search(project):
    trials = read_trials(project / STATE)

    failed = [trial for trial in trials if trial.params["member.peak_learning_rate"] == 3e38]
    assert 0 < len(failed) < len(trials)
    for trial in failed:
        assert (trial.state, trial.value) == ("failed", None)
        assert "must be finite" in trial.reason
    assert trials[-1].number > failed[0].number


@pytest.mark.slow
def test_tables_of_the_report_hold_every_trial(project):
    trials = read_trials(project / STATE)
    table = pd.read_csv(project / "report/trials.csv", index_col="trial")
    losses = pd.read_csv(project / "report/losses.csv")

    assert list(table.state) == [trial.state for trial in trials]
    assert list(table["member.head.dropout"]) == [t.params["member.head.dropout"] for t in trials]
    assert len(losses) == sum(len(fold) for trial in trials for fold in trial.losses)


@pytest.mark.slow
def test_page_says_what_its_best_trial_is_worth(project):
    html = (project / "report/index.html").read_text()

    assert "no case of the test set and none of fold 0" in html
    assert "The best of 3 trials is optimistic" in html
    assert "inner fold 1 (n = 18) and 2 (n = 18); the median trial has" in html
    assert html.count("data:image/png;base64,") >= 3
    assert "http" not in html


@pytest.mark.slow
def test_best_values_can_be_put_into_params(project):
    trials = read_trials(project / STATE)
    best = min((t for t in trials if t.value is not None), key=lambda trial: trial.value)
    values = YAML(typ="safe").load(project / "report/best.yaml")

    named = {name.replace("member.", "member.m."): value for name, value in best.params.items()}
    assert values == nest(named, {})


@pytest.mark.slow
def test_search_that_has_ended_runs_no_trial_again_and_writes_the_same_tables(project):
    table = (project / "report/trials.csv").read_bytes()

    status, output = finish(project, "--trials", "1")

    assert status == 0, output
    assert (project / "report/trials.csv").read_bytes() == table
    assert "trial 0" not in output


@pytest.mark.slow
def test_other_space_refuses_to_resume_in_one_line(project):
    params = project / "params.yaml"
    text = params.read_text()
    assert "high: 0.5" in text
    params.write_text(text.replace("high: 0.5", "high: 0.4"))

    status, output = finish(project)

    params.write_text(text)
    assert status == 1
    assert "Traceback" not in output
    assert "Got: other ['tune.space']. Restore them" in output.splitlines()[-1]


@pytest.mark.slow
def test_killed_search_goes_on_to_the_same_trials(project, tmp_path):
    """`kill -9` of the search, in its second trial, once the first inner fold has an epoch."""
    write_project(tmp_path)
    process = start(tmp_path, "--trials", "2")
    second = checkpoints_of(tmp_path / STATE, 1)
    while not list(second.rglob("latest.json")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(read_trials(tmp_path / STATE)) == 1

    status, output = finish(tmp_path, "--trials", "2")

    assert status == 0, output
    whole = read_trials(project / STATE)[:2]
    resumed = read_trials(tmp_path / STATE)
    assert [dataclasses.replace(trial, seconds=0) for trial in resumed] == [
        dataclasses.replace(trial, seconds=0) for trial in whole
    ]
    assert not second.exists()


@pytest.mark.slow
def test_slip_in_the_space_ends_in_one_line_before_any_trial(tmp_path):
    write_project(tmp_path)
    member = dataclasses.asdict(small_member(demographics=False))
    write_params(tmp_path, member, TUNE | {"space": {"member.hed": {"choices": [1, 2]}}})

    status, output = finish(tmp_path)

    assert status == 1
    assert "Traceback" not in output
    assert "must name parameters. Got: member.hed; known below member" in output.splitlines()[-1]
    assert not (tmp_path / ".resume").exists()
