"""Promises of the whole graph, held against one run of the embedded sample."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline.classes import CLASSES
from pipeline.demographics import DEMOGRAPHICS_WIDTH
from pipeline.deploy import bundle
from pipeline.deploy.parity import open_session
from pipeline.images.preprocess import preprocess
from pipeline.storage import read_json

pytestmark = pytest.mark.slow

MEMBERS = ("b4", "b5", "b7")


def dvc_status(root):
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    result = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return json.loads(result.stdout)


def golden_images(root):
    return sorted((root / "models/bundle/golden").glob("*.png"))


def predict(root, *options, image=None):
    image = image or golden_images(root)[0]
    command = [sys.executable, "-m", "pipeline.cad", "predict", "--bundle", "models/bundle"]
    result = subprocess.run(
        [*command, str(image), *options], cwd=root, check=True, capture_output=True, text=True
    )
    return json.loads(result.stdout)


def test_second_run_has_nothing_to_do(sample_run):
    assert dvc_status(sample_run) == {}


def test_git_sees_nothing_but_the_lock(sample_run):
    command = ["git", "status", "--porcelain"]
    found = subprocess.run(command, cwd=sample_run, check=True, capture_output=True, text=True)

    assert found.stdout.splitlines() in ([], ["?? dvc.lock"])


def test_changed_learning_rate_of_one_member_retrains_that_member_alone(sample_run):
    path = sample_run / "params.yaml"
    before = path.read_bytes()
    yaml = YAML()
    values = yaml.load(path)
    values["member"]["b7"]["peak_learning_rate"] = 9e-4
    try:
        with open(path, "w", encoding="utf-8") as file:
            yaml.dump(values, file)
        stale = set(dvc_status(sample_run))
    finally:
        path.write_bytes(before)

    assert "train@b7-0" in stale
    assert not stale & {f"{stage}@{m}" for stage in ("train", "predict") for m in ("b4-0", "b5-0")}
    assert not stale & {"crop", "split", *(f"resize@{m}" for m in MEMBERS)}


def test_ensemble_learnt_the_sample_from_scratch(sample_run):
    metrics = read_json(sample_run / "reports/evaluate/metrics.json")

    assert metrics["ensemble"]["macro_auroc"] >= 0.85
    assert metrics["ensemble"]["macro_auroc_classes"] == len(CLASSES)
    assert metrics["ensemble"]["accuracy"] > metrics["ensemble"]["majority_accuracy"]
    for member in MEMBERS:
        assert metrics[member]["n"] == metrics["ensemble"]["n"]


def test_no_patient_lesion_or_duplicate_crosses_the_split(sample_run):
    """Counted anew from the table, without the stage's own proof."""
    table = pd.read_csv(sample_run / "data/split/manifest.csv", dtype=str, keep_default_na=False)

    for column in ("patient_id", "lesion_id", "sha256", "group_id"):
        known = table[table[column] != ""]
        assert (known.groupby(column).fold.nunique() == 1).all(), column
    assert 0.17 <= (table.fold == "test").mean() <= 0.23


def test_every_row_of_every_source_is_accounted_for(sample_run):
    for folder in sorted((sample_run / "data/ingest").iterdir()):
        summary = read_json(folder / "summary.json")
        assert summary["rows_in"] == summary["kept"] + summary["quarantined"], folder.name


def test_each_graph_is_much_smaller_than_its_training_checkpoint(sample_run):
    report = read_json(sample_run / "reports/benchmark/benchmark.json")
    sizes = {(row["member"], row["artefact"]): row["bytes"] for row in report["sizes"]}

    for member in MEMBERS:
        saved = 1 - sizes[member, "onnx"] / sizes[member, "training_checkpoint"]
        assert saved >= 0.65
        row = next(
            row
            for row in report["reductions"]
            if (row["member"], row["quantity"], row["from"])
            == (member, "bytes", "training_checkpoint")
        )
        assert row["percent"] == pytest.approx(100 * saved, abs=0.01)


def test_reports_have_their_pictures(sample_run):
    for name in ("confusion_matrix", "roc", "per_class", "history"):
        content = (sample_run / f"reports/evaluate/{name}.png").read_bytes()
        assert content.startswith(b"\x89PNG")
    for name in ("latency", "sizes"):
        assert (sample_run / f"reports/benchmark/{name}.png").is_file()


def test_age_moves_a_probability_of_a_trained_bundle(sample_run):
    """Of one golden case at least: where the answer is next to certain, nothing can move it far."""
    moved = []
    for image in golden_images(sample_run):
        young, old = (predict(sample_run, "--age", age, image=image) for age in ("20", "80"))
        apart = (abs(young["probabilities"][c] - old["probabilities"][c]) for c in CLASSES)
        moved.append(max(apart))
        assert young["demographics_used"] is True

    assert min(moved) > 1e-4
    assert max(moved) > 5e-3


def test_leaving_demographics_out_equals_the_unknown_vector(sample_run):
    """The graph itself, fed zeros, answers as the command without options."""
    folder = sample_run / "models/bundle"
    preprocessing = bundle.load(folder).manifest.preprocessing
    prepared = preprocess(
        sorted((folder / "golden").glob("*.png"))[0],
        decode_params=preprocessing.decode,
        crop_params=preprocessing.crop,
        resample=preprocessing.resample,
        inputs=[(768, 64), (512, 80)],
    )
    feeds = {f"image_{crop}_{px}": a[None] for (crop, px), a in prepared.arrays.items()}
    feeds["demographics"] = np.zeros((1, DEMOGRAPHICS_WIDTH), np.float32)

    (probabilities,) = open_session(folder / "model/ensemble.onnx").run(["probabilities"], feeds)

    answer = list(predict(sample_run)["probabilities"].values())
    assert answer == pytest.approx(list(probabilities[0]), abs=1e-6)
