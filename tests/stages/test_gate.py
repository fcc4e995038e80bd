"""Tests of stage `gate`."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import manifest
from pipeline.images.gate.descriptors import describe
from pipeline.images.gate.json_form import from_json
from pipeline.images.png import encode_png
from pipeline.images.synthetic import render
from pipeline.shards.archives import EncodedWriter
from pipeline.storage import read_json
from stages.gate import main

pytestmark = pytest.mark.slow

VALUES = {
    "gate": {"false_positive_share": 0.1},
    "parallel": {"engine": "local", "workers": 0, "ray_address": ""},
    "evaluate": {"bootstrap_repeats": 30, "interval": 0.95, "seed": 3},
}
CASES, SIDE_PX = 60, 64


def draw(index):
    """A lesion; every sixth, of the test set, is a page of noise in its place."""
    if index % 6 == 5:
        return np.random.default_rng(index).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
    return render("NV", index, SIDE_PX, SIDE_PX, view=0, skin_type=2)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A run on sixty cases, a third of them the test set; half of that is noise."""
    folder = tmp_path_factory.mktemp("gate")
    (folder / "params.yaml").write_text(json.dumps(VALUES))
    columns = (*manifest.COLUMNS, *manifest.SPLIT_COLUMNS)
    known = dict.fromkeys(columns, "") | {"diagnosis": "NV", "width_px": 96, "height_px": 64}
    rows = [
        known
        | {
            "image_id": f"case_{i:02d}",
            "group_id": f"group_{i:02d}",
            "age_years": float("nan"),
            "fold": "test" if i % 3 == 2 else "0",
        }
        for i in range(CASES)
    ]
    manifest.write(pd.DataFrame(rows), folder / "manifest.csv")
    with EncodedWriter(folder / f"crop/{SIDE_PX}", suffix=".png") as writer:
        writer.start_shard("only")
        for i in range(CASES):
            writer.add(f"case_{i:02d}", encode_png(draw(i)), "")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(["manifest.csv", "crop", "found", "--workers", "1"])
    return folder


def test_noise_in_the_test_set_is_flagged_and_lesions_are_not(project):
    gate = from_json(read_json(project / "found/gate.json"))

    flagged = {
        i: bool(gate.reasons(describe(draw(i), width_px=96, height_px=64)))
        for i in range(2, CASES, 3)
    }

    noise = [found for i, found in flagged.items() if i % 6 == 5]
    lesions = [found for i, found in flagged.items() if i % 6 != 5]
    assert all(noise)
    assert sum(lesions) <= 3


def test_what_is_counted_is_the_test_set(project):
    table = pd.read_csv(project / "found/flagged.csv").set_index("reason")

    assert (table.n == 20).all()
    assert table.flagged["any"] >= 10
    assert table.share["any"] == table.flagged["any"] / 20
    assert table.share_low["any"] < table.share["any"]
    assert table.flagged["not_a_lesion"] + table.flagged["unlike_training"] >= 10


def test_the_gate_is_not_fitted_on_the_test_set(project):
    """Planted: with the noise among what is genuine, it would not be flagged."""
    assert read_json(project / "found/gate.json")["images"] == 40


def test_two_processes_write_the_same_bytes(project, monkeypatch):
    monkeypatch.chdir(project)
    main(["manifest.csv", "crop", "again", "--workers", "2"])

    for name in ("gate.json", "flagged.csv"):
        assert Path("again", name).read_bytes() == Path("found", name).read_bytes()
