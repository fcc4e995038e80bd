"""About 100 real images through the graph: one epoch, real backbones, to the checked ONNX."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.classes import CLASSES
from pipeline.deploy.parity import open_session
from pipeline.shards.arrays import ArrayShards
from pipeline.storage import read_json
from tools.recipe import apply_recipe, read_recipe, round_trip
from tools.scratch import copy_sources

ROOT = Path(__file__).resolve().parents[1]
HAM = ROOT.parent / "shared" / "data" / "ham10000"
RECIPE = "real-short"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.skipif(not HAM.exists(), reason="needs ../shared/data/ham10000"),
]


def take_lesions(target, count):
    """Lay some whole lesions out as a folder of isic-cli; links, so that no image is copied."""
    table = pd.read_csv(HAM / "metadata.csv", dtype=str, keep_default_na=False)
    # The same share of every diagnosis, lesions kept whole.
    lesions = table.drop_duplicates("lesion_id")
    share = count / len(table)
    chosen = lesions.groupby(["diagnosis_1", "diagnosis_2", "diagnosis_3"]).sample(
        frac=share, random_state=0
    )
    rows = table[table.lesion_id.isin(chosen.lesion_id)]
    (target / "images").mkdir(parents=True)
    for image_id in rows.isic_id:
        (target / "images" / f"{image_id}.jpg").symlink_to(HAM / "images" / f"{image_id}.jpg")
    rows.to_csv(target / "metadata.csv", index=False)
    return rows


@pytest.fixture(scope="module")
def real_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    root, source = folder / "project", folder / "ham"
    copy_sources(ROOT, root)
    rows = take_lesions(source, 110)
    recipe = read_recipe(root, "real")
    # B7 is exported by the sample's run, and is the slowest of all.
    recipe["ensemble"] = {**recipe.get("ensemble", {}), "members": ["b4", "b5"]}
    recipe["member"]["b7"] = None
    for name in recipe["ensemble"]["members"]:
        recipe["member"][name].update({"epochs": 1, "warmup_epochs": 0})
    with open(root / "recipes" / f"{RECIPE}.yaml", "w", encoding="utf-8") as file:
        round_trip().dump(recipe, file)
    apply_recipe(root, RECIPE, [str(source)], force=False)
    command = "import sys; from pathlib import Path; from tools.dvc import dvc; "
    command += "sys.exit(dvc(Path(), 'repro', 'evaluate', 'export').returncode)"
    subprocess.run([sys.executable, "-c", command], cwd=root, check=True)
    yield root, rows
    shutil.rmtree(root)


def test_every_row_is_kept_and_scored(real_run):
    root, rows = real_run
    summary = read_json(root / "data/ingest/ham/summary.json")

    assert summary["rows_in"] == summary["kept"] + summary["quarantined"] == len(rows)
    assert summary["kept"] >= 90
    metrics = read_json(root / "reports/evaluate/metrics.json")
    table = pd.read_csv(root / "data/split/manifest.csv", dtype=str, keep_default_na=False)
    assert metrics["ensemble"]["n"] == (table.fold == "test").sum()
    assert (table.groupby("lesion_id").fold.nunique() == 1).all()


def test_class_without_a_case_is_reported_as_undefined(real_run):
    root, _ = real_run
    metrics = read_json(root / "reports/evaluate/metrics.json")["ensemble"]

    assert metrics["n_UNK"] == 0
    assert metrics["auroc_UNK"] is None
    assert metrics["macro_auroc_classes"] < len(CLASSES)


def test_gate_was_passed_and_the_graph_scores_a_real_image(real_run):
    root, rows = real_run
    assert read_json(root / "models/export/parity.json")["ensemble"]["images"] >= 20
    session = open_session(root / "models/export/ensemble.onnx")
    ids = rows.isic_id.tolist()[:3]
    feeds = {
        "image_768_64": ArrayShards(root / "data/resize/b4").read(ids),
        "image_512_80": ArrayShards(root / "data/resize/b5").read(ids),
        "demographics": np.zeros((3, 10), np.float32),
    }

    (probabilities,) = session.run(["probabilities"], feeds)

    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities[:, CLASSES.index("UNK")] == 0).all()
