"""Tests of `stages.train` and `stages.predict`: a process that is killed, and one that is not."""

import dataclasses
import hashlib
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
from pipeline.network.resume_folder import hold_resume_folder
from pipeline.shards.arrays import ArrayShards
from pipeline.storage import read_json, sha256_of
from tests.network.networks import bright_ninths, build_lively, settings, small_member
from tools.measure_kills import project as kill_project
from tools.measure_kills.__main__ import run_kills
from tools.measure_kills.runs import run_whole, train_command

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
RESUME = Path(".resume/train/m-0")
POINTER = RESUME / "latest.json"
TRAIN = ["stages.train", "--member", "m", "--fold", "0", "manifest.csv", "arrays", "trained"]


@pytest.fixture
def project(tmp_path):
    """A folder with params, a table and arrays: all that the two stages read."""
    return write_project(tmp_path)


def write_project(folder):
    cases = bright_ninths(folder / "arrays", count=63)
    write_params(folder, epochs=3)
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
    table = pd.DataFrame({name: "" for name in manifest.COLUMNS}, index=range(63))
    table = table.assign(width_px=32, height_px=32, group_id=cases.image_ids, **columns)
    table.to_csv(folder / "manifest.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """SHA-256 of the weights of a run that nothing happened to."""
    folder = write_project(tmp_path_factory.mktemp("whole"))
    assert finish(folder, *TRAIN)[0] == 0
    return weights_sha256(folder)


def write_params(folder, **changes):
    member = dataclasses.asdict(small_member(backbone="small", demographics=False, **changes))
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
        # A shell's background job ignores Ctrl-C, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finish(folder, *command):
    process = start(folder, *command)
    output, _ = process.communicate()
    return process.returncode, output


def weights_sha256(folder):
    return hashlib.sha256((folder / "trained" / "weights.weights.h5").read_bytes()).hexdigest()


def last_line(output):
    """Return the last line of an output, and see that no traceback is in it."""
    assert "Traceback" not in output, output
    return output.splitlines()[-1]


def stop(project, number):
    """Start the stage and send it a signal after its first checkpoint."""
    process = start(project, *TRAIN)
    while not (project / POINTER).exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    sent = time.monotonic()
    output, _ = process.communicate()
    return process.returncode, output, time.monotonic() - sent


def check_resuming(project, whole):
    assert not (project / "trained" / "weights.weights.h5").exists()
    assert (project / POINTER).exists()
    status, output = finish(project, *TRAIN)
    assert status == 0, output
    assert weights_sha256(project) == whole
    assert not list((project / RESUME).parent.iterdir())
    assert not list((project / "trained").glob(".*"))


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_killed_stage_resumes_to_the_same_bytes(project, whole, number):
    """`kill -9`, and what a cluster sends before it takes a machine away."""
    status, _, seconds = stop(project, number)

    assert status == -number
    assert seconds < 30
    check_resuming(project, whole)


def test_interrupted_stage_says_so_in_one_line_and_resumes_to_the_same_bytes(project, whole):
    status, output, seconds = stop(project, signal.SIGINT)

    assert status == 130
    assert last_line(output) == "error: interrupted"
    assert seconds < 30
    check_resuming(project, whole)


def test_second_process_on_one_resume_folder_is_refused_in_one_line(project):
    with hold_resume_folder(project / RESUME):
        status, output = finish(project, *TRAIN)

    assert status == 1
    assert "m-0 must be of one process at a time" in last_line(output)
    assert not (project / "trained").exists()


# Runs the stage on a disk that fills up: from some call of a function on, no file may grow beyond
# a few bytes. The kernel refuses the write, as on a full disk.
FULL_DISK = """
import resource, sys
from pipeline.command import run_stage
import stages.train, pipeline.network.train

def fill_up_before(module, name, call):
    function, calls = getattr(module, name), []
    def wrapped(*args):
        calls.append(name)
        if len(calls) == call:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
        return function(*args)
    setattr(module, name, wrapped)

place, name, call, *arguments = sys.argv[1:]
fill_up_before({"stage": stages.train, "loop": pipeline.network.train}[place], name, int(call))
sys.exit(run_stage(lambda: stages.train.main(arguments)))
"""


@pytest.mark.parametrize(
    ("place", "name", "call", "message"),
    [
        ("loop", "save_checkpoint", 2, "make room and run the same command again"),
        ("stage", "write_results", 1, "trained must be written"),
    ],
)
def test_full_disk_ends_in_one_line_and_with_room_in_the_same_bytes(
    project, whole, place, name, call, message
):
    (project / "full.py").write_text(FULL_DISK)

    status, output = finish(project, "full", place, name, str(call), *TRAIN[1:])

    assert status == 1, output
    assert last_line(output).startswith("error: ")
    assert message in last_line(output)
    entries = read_json(project / POINTER)["entries"]
    assert all(sha256_of(project / RESUME / e["file"]) == e["sha256"] for e in entries)
    assert not list((project / RESUME).glob(".*"))
    check_resuming(project, whole)


@pytest.mark.long
def test_stage_killed_at_random_instants_resumes_to_the_same_bytes(tmp_path):
    """A few of the kills of `make test-kill`."""
    folders = [tmp_path / "0", tmp_path / "1"]
    for folder in folders:
        kill_project.write_project(folder, kill_project.EXAMPLES["small"], ROOT / "params.yaml")
    untouched = run_whole(folders, train_command())

    kills = run_kills(folders, train_command(), untouched, kills=6, seed=3)

    assert [kill for kill in kills if not kill.is_good] == []
    assert sum(kill.is_live for kill in kills) >= 4


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


def test_views_are_averaged_for_what_is_scored_and_training_accuracy_is_of_one(project):
    from pipeline.network.views import average_views  # imports Keras

    network = build_lively(0, backbone="small", demographics=False)
    (project / "trained").mkdir()
    network.save_weights(project / "trained" / "weights.weights.h5")
    table = pd.read_csv(project / "manifest.csv", dtype={"fold": str})
    parts = {name: table[table.fold == fold] for name, fold in (("train", "1"), ("test", "test"))}
    arrays = ArrayShards(project / "arrays")
    pixels = {name: arrays.read(rows.image_id.tolist()) for name, rows in parts.items()}
    right = parts["train"].diagnosis.map(CLASSES.index).to_numpy()
    accuracy, scores = {}, {}
    for views in (1, 8):
        seen = average_views(network, views)
        accuracy[views] = (seen.predict(pixels["train"], verbose=0).argmax(axis=1) == right).mean()
        scores[views] = seen.predict(pixels["test"], verbose=0)
    # Else either would pass for the other.
    assert accuracy[1] != accuracy[8]
    assert np.abs(scores[1] - scores[8]).max() > 1e-3
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("views: 1", "views: 8"))

    arguments = ["--member", "m", "--fold", "0", "manifest.csv", "arrays", "trained", "predicted"]
    status, output = finish(project, "stages.predict", *arguments)

    assert status == 0, output
    summary = read_json(project / "predicted" / "summary.json")
    assert summary["training_accuracy"] == pytest.approx(accuracy[1])
    found = pd.read_csv(project / "predicted" / "predictions.csv").set_index("image_id")
    found = found.loc[parts["test"].image_id, [f"p_{name}" for name in CLASSES]]
    np.testing.assert_allclose(found.to_numpy(), scores[8], atol=1e-5)


def test_member_trained_on_jax_scores_the_same_on_both_backends(project, monkeypatch):
    """Same params, another backend; the weights go on to TensorFlow's export."""
    scores = ["stages.predict", "--member", "m", "--fold", "0", "manifest.csv", "arrays", "trained"]
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    for command in (TRAIN, [*scores, "on-jax"]):
        status, output = finish(project, *command)
        assert status == 0, output
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    status, output = finish(project, *scores, "on-tensorflow")
    assert status == 0, output

    columns = [f"p_{name}" for name in CLASSES]
    on_jax, on_tensorflow = (
        pd.read_csv(project / folder / "predictions.csv")[columns].to_numpy()
        for folder in ("on-jax", "on-tensorflow")
    )
    np.testing.assert_allclose(on_jax, on_tensorflow, atol=1e-5)
    assert np.ptp(on_jax, axis=0).max() > 1e-3  # it tells cases apart
    history = pd.read_csv(project / "trained" / "history.csv")
    assert len(history) == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: 3", "epochs: 0", "epochs must be at least 1. Got: 0."),
        ("precision:", "precison:", "Missing: ['precision']. Unknown: ['precison']."),
        ("backbone: small", "backbone: b9", "backbone must be one of"),
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
