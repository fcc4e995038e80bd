"""Tests of `stages.train` and `stages.predict`: a process that is killed, and one that is not."""

import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline.classes import CLASSES
from pipeline.storage import read_json
from tests.network.networks import bright_ninths, settings, small_member

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
TRAIN = ["stages.train", "--member", "m", "--fold", "0", "manifest.csv", "arrays", "trained"]


@pytest.fixture
def project(tmp_path):
    """A folder with params, a table and arrays: all that the two stages read."""
    cases = bright_ninths(tmp_path / "arrays", count=63)
    write_params(tmp_path, epochs=3)
    aside = {0: "test", 3: "calibration"}
    folds = [aside.get(n % 7, str(n % 2)) for n in range(63)]
    columns = {
        "image_id": cases.image_ids,
        "diagnosis": [CLASSES[label] for label in cases.labels],
        "age_years": 50.0,
        "sex": "female",
        "site": "torso",
        "fold": folds,
    }
    from pipeline import manifest

    table = pd.DataFrame({name: "" for name in manifest.COLUMNS}, index=range(63))
    table = table.assign(width_px=32, height_px=32, group_id=cases.image_ids, **columns)
    table.to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path


def write_params(folder, **changes):
    member = dataclasses.asdict(small_member(demographics=False, **changes))
    train = dataclasses.asdict(settings(seed=5))
    values = {"member": {"m": member}, "train": train, "predict": {"batch_size": 16, "views": 1}}
    values = json.loads(json.dumps(values))  # tuples to lists
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False  # a line for each key
    with open(folder / "params.yaml", "w", encoding="utf-8") as file:
        yaml.dump(values, file)


def start(folder, *command):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(folder, *command):
    process = start(folder, *command)
    output, _ = process.communicate()
    return process.returncode, output


def weights_sha256(folder):
    return hashlib.sha256((folder / "trained" / "weights.weights.h5").read_bytes()).hexdigest()


def test_killed_stage_resumes_to_the_same_bytes(project):
    """`kill -9` once the first checkpoint is there, then the same command."""
    assert finish(project, *TRAIN)[0] == 0
    whole = weights_sha256(project)
    (project / "trained" / "weights.weights.h5").unlink()

    process = start(project, *TRAIN)
    pointer = project / ".resume" / "train" / "m-0" / "latest.json"
    while not pointer.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (project / "trained" / "weights.weights.h5").exists()
    status, output = finish(project, *TRAIN)

    assert status == 0, output
    assert weights_sha256(project) == whole
    assert not pointer.exists()


@pytest.mark.long
def test_stage_killed_at_random_instants_resumes_to_the_same_bytes(project):
    """Uniform over the whole run, start-up and writing of checkpoints included."""
    started = time.monotonic()
    assert finish(project, *TRAIN)[0] == 0
    seconds = time.monotonic() - started
    whole, rng, hits = weights_sha256(project), np.random.default_rng(0), 0
    for _ in range(10):
        shutil.rmtree(project / "trained")
        process = start(project, *TRAIN)
        time.sleep(rng.uniform(0, seconds))
        hits += process.poll() is None
        process.kill()
        process.communicate()
        shutil.rmtree(project / "trained", ignore_errors=True)  # as DVC does with a stage's outs
        status, output = finish(project, *TRAIN)
        assert status == 0, output
        assert weights_sha256(project) == whole
    assert hits >= 5


def test_summary_and_history_say_what_was_trained_and_predict_scores_each_case_once(project):
    assert finish(project, *TRAIN)[0] == 0
    status, output = finish(
        project,
        *["stages.predict", "--member", "m", "--fold", "0"],
        *["manifest.csv", "arrays", "trained", "predicted"],
    )
    assert status == 0, output

    summary = read_json(project / "trained" / "summary.json")
    table = pd.read_csv(project / "manifest.csv", dtype={"fold": str})
    assert summary["images"] == (table.fold == "1").sum()
    assert summary["weights_bytes"] == (project / "trained" / "weights.weights.h5").stat().st_size
    # Float32 weights and Adam's two moments of the trainable ones.
    moments = 4 * (summary["parameters"] + 2 * summary["trainable_parameters"])
    assert moments < summary["training_checkpoint_bytes"] < 1.1 * moments + 200_000
    assert len(pd.read_csv(project / "trained" / "history.csv")) == 3

    predictions = pd.read_csv(project / "predicted" / "predictions.csv")
    by_split = {name: set(part.image_id) for name, part in predictions.groupby("split")}
    assert by_split == {
        "out_of_fold": set(table.image_id[table.fold == "0"]),
        "test": set(table.image_id[table.fold == "test"]),
        "calibration": set(table.image_id[table.fold == "calibration"]),
    }
    assert not predictions.image_id.duplicated().any()
    scores = predictions[[f"p_{name}" for name in CLASSES]].to_numpy()
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    accuracy = read_json(project / "predicted" / "summary.json")
    assert accuracy["training_images"] == (table.fold == "1").sum()
    assert 0 <= accuracy["training_accuracy"] <= 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: 3", "epochs: 0", "epochs must be at least 1. Got: 0."),
        ("precision:", "precison:", "Missing: ['precision']. Unknown: ['precison']."),
        ("backbone: mobilenet_v2", "backbone: b9", "backbone must be one of"),
        ("weights: none", "weights: nowhere.h5", "noisy-student or a file. Got: nowhere.h5."),
    ],
)
def test_slip_in_params_ends_in_one_line(project, old, new, message):
    path = project / "params.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))

    status, output = finish(project, *TRAIN)

    assert status == 1
    assert "Traceback" not in output
    assert message in output.splitlines()[-1]
    assert not (project / "trained").exists()
