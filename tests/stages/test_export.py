"""Tests of `stages.export`, on the sample's trained members."""

import numpy as np
import onnx
import pytest

from pipeline.classes import CLASSES
from pipeline.deploy.parity import open_session
from pipeline.storage import read_json

pytestmark = pytest.mark.slow

MEMBERS = ("b4", "b5", "b7")


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
