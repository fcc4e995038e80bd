"""Tests of `stages.benchmark`: how it chooses cases, and its report on the sample's members."""

from argparse import Namespace

import numpy as np
import pytest

from pipeline import manifest
from pipeline.deploy.artefacts import ARTEFACTS, MemberArtefacts
from pipeline.deploy.benchmark import BenchmarkError
from pipeline.deploy.engines import ENGINES
from pipeline.shards.array_writer import write_array_shards
from pipeline.storage import read_json
from stages.benchmark import find_member, main, pick_cases, read_inputs
from tests.network.networks import small_member

MEMBERS = ("b4", "b5", "b7", "ensemble")


def write_table(path, folds):
    """A manifest whose cases are told apart by their fold and age."""
    import pandas as pd

    cells = {"diagnosis": "NV", "width_px": "8", "height_px": "8", "sex": "female"}
    rows = [
        dict.fromkeys((*manifest.COLUMNS, *manifest.SPLIT_COLUMNS), "")
        | cells
        | {
            "image_id": f"case{number}",
            "sha256": f"{number:064x}",
            "perceptual_hash": "-".join(["0" * 64] * 8),
            "group_id": f"case{number}",
            "fold": fold,
            "age_years": str(10 * number),
        }
        for number, fold in enumerate(folds)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def member_artefacts(tmp_path, **changes):
    recipe = small_member(**({"crop_px": 8, "input_px": 4} | changes))
    return MemberArtefacts("m", recipe, 1, 1, (tmp_path,), 1, tmp_path, tmp_path)


def test_first_test_cases_are_taken_and_taken_again_where_they_are_few(tmp_path):
    table = write_table(tmp_path / "manifest.csv", ["0", "test", "1", "test"])

    cases = pick_cases(table, 5)

    assert cases.image_id.tolist() == ["case1", "case3", "case1", "case3", "case1"]


def test_split_without_test_cases_is_refused(tmp_path):
    table = write_table(tmp_path / "manifest.csv", ["0", "1"])

    with pytest.raises(
        BenchmarkError, match=r"manifest\.csv must have a case whose fold is 'test'"
    ):
        pick_cases(table, 1)


def test_inputs_are_the_cases_own_pixels_and_demographics(tmp_path):
    table = write_table(tmp_path / "manifest.csv", ["test", "test"])
    images = [(f"case{n}", np.full((4, 4, 3), n + 1, np.uint8)) for n in range(2)]
    write_array_shards(tmp_path / "arrays" / "m", images, shard_images=2)
    cases = pick_cases(table, 3)

    inputs = read_inputs(cases, [member_artefacts(tmp_path)], tmp_path / "arrays")

    assert sorted(inputs) == ["demographics", "image_8_4"]
    assert inputs["image_8_4"][:, 0, 0, 0].tolist() == [1, 2, 1]
    assert inputs["image_8_4"].dtype == np.uint8
    assert inputs["demographics"][:, 0].tolist() == pytest.approx([0, 10 / 90, 0])
    assert inputs["demographics"].dtype == np.float32


def test_member_that_was_not_trained_is_named(tmp_path):
    with pytest.raises(OSError, match=r"b4-0/summary\.json"):
        find_member("b4", (0,), Namespace(trained=tmp_path, exported=tmp_path))


def test_params_of_another_project_end_in_a_clear_message(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("benchmark: {threads: 2}\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"section 'benchmark' must have exactly the keys"):
        main(["table", "arrays", "trained", "ensemble", "exported", "target"])


@pytest.mark.slow
def test_every_member_and_engine_was_measured(sample_run):
    found = read_json(sample_run / "reports/benchmark/benchmark.json")

    pairs = [(member, engine) for member in MEMBERS for engine in ENGINES]
    first, last = found["settings"]["batches"]
    for batch in (first, last):
        assert [
            (r["member"], r["engine"]) for r in found["latency"] if r["batch"] == batch
        ] == pairs
    for name in ("cold_start", "memory"):
        assert [(row["member"], row["engine"]) for row in found[name]] == pairs
    assert [(row["member"], row["artefact"]) for row in found["sizes"]] == [
        (member, artefact) for member in MEMBERS for artefact in ARTEFACTS
    ]
    assert found["command"].startswith("python -m stages.benchmark ")
    assert {row["threads"] for row in found["latency"]} == {found["machine"]["threads"]}


@pytest.mark.slow
def test_engines_that_were_compared_gave_the_same_answers(sample_run):
    """A faster engine that answers something else has gained nothing."""
    found = read_json(sample_run / "reports/benchmark/benchmark.json")

    members = [row for row in found["parity"] if row["member"] != "ensemble"]
    assert len(members) == 9
    assert max(row["max_abs_difference"] for row in members) <= 1e-4
    # A rank may move by a step of 1/n, and the map's slope is steep: not 1e-4.
    assert max(row["max_abs_difference"] for row in found["parity"]) <= 0.05


@pytest.mark.slow
def test_onnx_is_small_quick_to_start_and_light(sample_run):
    found = read_json(sample_run / "reports/benchmark/benchmark.json")

    reductions = {
        (row["member"], row["quantity"], row["from"]): row["percent"] for row in found["reductions"]
    }
    seconds = {(row["member"], row["engine"]): row["seconds"] for row in found["cold_start"]}
    peaks = {(row["member"], row["engine"]): row["peak_mib"] for row in found["memory"]}
    for member in MEMBERS:
        assert reductions[member, "bytes", "training_checkpoint"] >= 65
        assert seconds[member, "onnxruntime"] < seconds[member, "tf.function"]
        assert peaks[member, "onnxruntime"] < peaks[member, "tf.function"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["latency.png", "sizes.png"])
def test_charts_were_drawn(sample_run, name):
    assert (sample_run / "reports/benchmark" / name).read_bytes().startswith(b"\x89PNG")
