"""Tests of `stages.export`, on the sample's trained members."""

import numpy as np
import onnx
import pytest

from pipeline.classes import CLASSES
from pipeline.deploy.parity import open_session
from pipeline.storage import read_json

pytestmark = pytest.mark.slow

MEMBERS = ("b4", "b5", "b7")
CALIBRATION = {"method": "rank_logistic", "regularisation_c": 1.0, "folds": 3, "seed": 0}


def test_gate_was_passed_on_trained_weights_and_real_images(sample_run):
    parity = read_json(sample_run / "models/export/parity.json")

    for member in MEMBERS:
        assert parity[member]["images"] >= 20
        assert parity[member]["difference"] <= 1e-4
    assert parity["ensemble"]["rank_difference"] <= parity["ensemble"]["rank_tolerance"]


def test_merged_graph_has_exactly_the_contract_of_the_cad(sample_run):
    session = open_session(sample_run / "models/export/ensemble.onnx")

    inputs = {i.name: (i.shape, i.type) for i in session.get_inputs()}
    assert inputs == {
        "image_768_64": (["batch", 64, 64, 3], "tensor(uint8)"),
        "image_512_80": (["batch", 80, 80, 3], "tensor(uint8)"),
        "demographics": (["batch", 10], "tensor(float)"),
    }
    outputs = {o.name: (o.shape, o.type) for o in session.get_outputs()}
    names = ["probabilities", "rank_scores", *(f"probabilities_{m}" for m in MEMBERS)]
    assert outputs == dict.fromkeys(names, (["batch", 9], "tensor(float)"))
    facts = {
        p.key: p.value for p in onnx.load(sample_run / "models/export/ensemble.onnx").metadata_props
    }
    assert facts["members"] == '["b4", "b5", "b7"]'


@pytest.mark.parametrize("member", MEMBERS)
def test_graph_is_float32_weights_and_little_else(sample_run, member):
    parameters = read_json(sample_run / f"models/train/{member}-0/summary.json")["parameters"]

    size = (sample_run / f"models/export/{member}.onnx").stat().st_size

    assert abs(size / (4 * parameters) - 1) <= 0.02


def test_merged_graph_answers_as_the_table_of_predictions(sample_run):
    """Graph, on arrays from stage resize, against stage ensemble's own file."""
    import pandas as pd

    from pipeline import manifest
    from pipeline.demographics import encode_demographics
    from pipeline.shards.arrays import ArrayShards

    cases = manifest.read(sample_run / "data/split/manifest.csv")
    cases = cases[cases.fold == "test"].head(16)
    rows = cases[["age_years", "sex", "site"]].itertuples(index=False)
    ids = cases.image_id.tolist()
    session = open_session(sample_run / "models/export/ensemble.onnx")
    feeds = {
        "image_768_64": ArrayShards(sample_run / "data/resize/b4").read(ids),
        "image_512_80": ArrayShards(sample_run / "data/resize/b5").read(ids),
        "demographics": np.stack([encode_demographics(*row) for row in rows]),
    }

    ranks, probabilities = session.run(["rank_scores", "probabilities"], feeds)

    table = pd.read_csv(sample_run / "models/ensemble/predictions.csv").set_index("image_id")
    step = 2 / read_json(sample_run / "models/export/parity.json")["ensemble"]["reference_cases"]
    wanted = table.loc[ids, [f"r_{name}" for name in CLASSES]].to_numpy()
    assert np.abs(ranks - wanted).max() <= step
    wanted = table.loc[ids, [f"p_{name}" for name in CLASSES]].to_numpy()
    assert np.abs(probabilities - wanted).max() <= 0.05


def write_project(root):
    """Two untrained networks of one member, of two folds, with all that the stages read."""
    import dataclasses
    import json

    import pandas as pd

    from pipeline import manifest
    from tests.network.networks import bright_ninths, build_lively, small_member

    cases = bright_ninths(root / "data/resize/m", count=72)
    columns = {
        "image_id": cases.image_ids,
        "group_id": cases.image_ids,
        "diagnosis": [CLASSES[label] for label in cases.labels],
        "fold": [("0", "1", "test", "calibration")[n // 9 % 4] for n in range(72)],
        "age_years": [float(n % 9 * 10) for n in range(72)],
    }
    table = pd.DataFrame({name: "" for name in manifest.COLUMNS}, index=range(72))
    manifest.write(table.assign(width_px=32, height_px=32, **columns), root / "manifest.csv")
    for fold in (0, 1):
        folder = root / f"models/train/m-{fold}"
        folder.mkdir(parents=True)
        build_lively(fold).save_weights(folder / "weights.weights.h5")
    values = {
        "member": {"m": dataclasses.asdict(small_member())},
        "predict": {"batch_size": 16, "views": 8},
        "split": {"train_folds": [0, 1]},
        "ensemble": {
            "members": ["m"],
            "fold": 0,
            "deploy": "fold_average",
            "calibration": CALIBRATION,
        },
        "export": {"opset": 18, "parity_images": 18, "probability_tolerance": 1e-4},
    }
    (root / "params.yaml").write_text(json.dumps(values))
    return cases, table.assign(**columns)


def test_what_is_deployed_of_an_average_is_what_was_scored(tmp_path, monkeypatch):
    """From two folds' weights to the merged graph: eight views, mean of networks, calibration."""
    import pandas as pd

    from stages import ensemble, export, predict

    monkeypatch.chdir(tmp_path)
    cases, table = write_project(tmp_path)
    for fold in ("0", "1"):
        predict.main(
            [
                *("--member", "m", "--fold", fold, "manifest.csv", "data/resize/m"),
                *(f"models/train/m-{fold}", f"data/predict/m-{fold}"),
            ]
        )
    ensemble.main(["manifest.csv", "data/predict", "models/ensemble"])
    export.main(["manifest.csv", "data/resize", "models/train", "models/ensemble", "models/export"])

    rows = np.flatnonzero(table.fold.isin(["test", "calibration"]))
    known = table.age_years.to_numpy()[rows]
    demographics = np.zeros((len(rows), 10), np.float32)
    demographics[:, 0], demographics[:, 1] = known / 90, 1
    session = open_session(tmp_path / "models/export/ensemble.onnx")
    ranks, members = session.run(
        ["rank_scores", "probabilities_m"],
        {"image_64_32": cases.pixels(rows), "demographics": demographics},
    )
    ids = [cases.image_ids[row] for row in rows]
    scored = pd.read_csv("models/ensemble/predictions.csv").set_index("image_id").loc[ids]
    assert np.abs(ranks - scored[[f"r_{name}" for name in CLASSES]].to_numpy()).max() <= 2 / 18
    columns = [f"p_{name}" for name in CLASSES]
    each = pd.read_csv("models/ensemble/members.csv").set_index("image_id")
    means = each.groupby(level=0)[columns].mean().loc[ids]
    np.testing.assert_allclose(members, means, atol=1e-4)
    assert each.loc[ids].groupby(level=0)[columns].agg(np.ptp).to_numpy().max() > 1e-2
