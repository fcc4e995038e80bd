"""Tests of `stages.split`, from the manifests of several sources to the proof."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import manifest
from pipeline.cases.proof import LeakError
from pipeline.cases.split import SplitError
from pipeline.command import run_stage
from pipeline.images.hashing import perceptual_hashes
from stages import split
from tests.cases.tables import make_manifest

PARAMS = """
ensemble: {deploy: fold}
split:
  seed: 7
  test_share: 0.2
  calibration_share: 0.0
  folds: 3
  train_folds: [0]
  near_duplicate_bits: 24
  keep: ""
  keep_sha256: ""
  too_good_auroc: 0.995
  too_good_cases: 10
"""
NO_SOURCE = "sources: {}\n"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_text(PARAMS + NO_SOURCE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_picture(seed):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (8, 8, 3))
    return np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)


def write_source(name, frame):
    manifest.write(frame.assign(source=name), Path("data/ingest", name, "manifest.csv"))
    names = sorted(path.name for path in Path("data/ingest").iterdir())
    Path("params.yaml").write_text(f"{PARAMS}sources: {{{', '.join(f'{n}: 1' for n in names)}}}\n")


def run():
    split.main(["data/ingest", "data/split"])
    folder = Path("data/split")
    return manifest.read(folder / "manifest.csv"), json.loads((folder / "proof.json").read_text())


def patients(prefix, count, **changes):
    return make_manifest(
        *(
            {"image_id": f"{prefix}{n}", "patient_id": f"{prefix}P{n // 2}", **changes}
            for n in range(count)
        )
    )


def test_cases_of_all_sources_get_group_and_fold(capsys):
    write_source("b", patients("b", 40, diagnosis="MEL"))
    write_source("a", patients("a", 60))

    cases, proof = run()

    assert len(cases) == proof["cases"] == 100
    assert cases.image_id.is_monotonic_increasing
    assert cases.fold.value_counts().to_dict() == {
        fold: part["cases"] for fold, part in proof["folds"].items()
    }
    assert proof["folds"]["test"]["cases"] == 20
    assert proof["folds"]["test"]["classes"]["MEL"] == 8
    assert proof["components"] == 50
    assert set(proof["crossings"].values()) == {0}
    assert capsys.readouterr().out == (
        "split: 100 cases in 50 components, 20 in the test set, 3 folds, no crossing, "
        "in data/split\n"
    )


def test_turned_and_mirrored_copies_stay_together_across_sources():
    pictures = [make_picture(seed) for seed in range(12)]
    turned = [np.rot90(picture, n)[:, :: (-1) ** n] for n, picture in enumerate(pictures)]
    for name, images in (("a", pictures), ("b", turned)):
        rows = [
            {"image_id": f"{name}{n:02d}", "perceptual_hash": perceptual_hashes(image)}
            for n, image in enumerate(images)
        ]
        write_source(name, make_manifest(*rows))

    cases, proof = run()

    fold = cases.set_index("image_id").fold
    assert [fold[f"a{n:02d}"] for n in range(12)] == [fold[f"b{n:02d}"] for n in range(12)]
    assert proof["components"] == 12
    assert proof["duplicate_pairs"]["near"] == 12


def test_image_of_two_sources_is_written_once_and_counted():
    first = patients("a", 20)
    write_source("first", first)
    write_source("second", first.iloc[[3, 5]].assign(patient_id=""))

    cases, proof = run()

    assert len(cases) == 20
    assert set(cases.source) == {"first"}
    assert proof["repeated_rows_dropped"] == 2


def test_image_of_two_diagnoses_keeps_that_of_the_first_source_and_is_named(capsys):
    first = patients("a", 20)
    write_source("first", first)
    write_source("second", first.iloc[[3, 5]].assign(diagnosis=[first.diagnosis[3], "VASC"]))

    cases, proof = run()

    assert proof["repeated_with_different_diagnosis"] == [first.image_id[5]]
    assert cases.set_index("image_id").diagnosis[first.image_id[5]] == first.diagnosis[5] != "VASC"
    assert (
        "split: images to which a second source gives another diagnosis: 1, first "
        f"{first.image_id[5]}; that of the first source by name is kept\n"
    ) in capsys.readouterr().out


def test_one_id_for_two_files_is_refused_and_nothing_is_written():
    write_source("first", patients("a", 20))
    write_source("second", patients("a", 1, sha256="00" * 32))

    with pytest.raises(SplitError, match=r"Got: 'a0' for different files in \['first', 'second'\]"):
        run()
    assert not Path("data/split").exists()


def test_order_of_rows_in_a_manifest_changes_no_byte():
    frame = patients("a", 60)
    write_source("a", frame)
    run()
    expected = Path("data/split/manifest.csv").read_bytes()

    write_source("a", frame.sample(frac=1, random_state=1))
    run()

    assert Path("data/split/manifest.csv").read_bytes() == expected


def test_leak_planted_into_the_stage_leaves_no_manifest(monkeypatch):
    """A fault in the dealing must not get past the proof."""
    write_source("a", patients("a", 60))

    def deal_by_row(frame, duplicates, params, earlier):
        folds = ["test", "0", "1", "2"] * (len(frame) // 4)
        return frame.assign(group_id=frame.image_id, fold=folds)

    monkeypatch.setattr(split, "split", deal_by_row)

    with pytest.raises(LeakError, match=r"^each patient must be in one fold\. Got: 30 in several"):
        run()
    assert not Path("data/split").exists()


def test_folder_without_manifests_says_which_stage_to_run():
    Path("data/ingest").mkdir(parents=True)

    with pytest.raises(
        ValueError,
        match=r"^data/ingest must hold a manifest\.csv for each of params.yaml's sources\. ",
    ):
        run()


@pytest.mark.slow
def test_manifest_of_the_sample_is_parted_without_a_crossing(sample_run):
    cases = pd.read_csv(sample_run / "data/split/manifest.csv", dtype=str, keep_default_na=False)

    for column in ("patient_id", "lesion_id", "group_id", "sha256"):
        known = cases[cases[column] != ""]
        assert known.groupby(column).fold.nunique().max() == 1


def test_source_left_from_another_recipe_is_not_read():
    """DVC leaves the outs of a stage that params.yaml no longer names where they are."""
    write_source("left", patients("x", 30))
    write_source("now", patients("a", 60))
    Path("params.yaml").write_text(PARAMS + "sources: {now: 1}\n")

    cases, _ = run()

    assert set(cases.source) == {"now"}


def test_average_over_folds_without_a_calibration_part_is_refused_before_anything_is_read(capsys):
    text = Path("params.yaml").read_text().replace("deploy: fold", "deploy: fold_average")
    Path("params.yaml").write_text(text)

    status = run_stage(lambda: split.main(["data/ingest", "data/split"]))

    assert status == 1
    assert capsys.readouterr().err == (
        "error: ensemble.deploy fold_average must have a split.calibration_share above 0. "
        "Got: 0.0.\n"
    )


def test_calibration_part_stands_in_manifest_proof_and_message(capsys):
    write_source("a", patients("a", 100))
    text = Path("params.yaml").read_text().replace("deploy: fold", "deploy: fold_average")
    Path("params.yaml").write_text(text.replace("calibration_share: 0.0", "calibration_share: 0.1"))

    cases, proof = run()

    assert (cases.fold == "calibration").sum() == proof["folds"]["calibration"]["cases"] == 10
    assert proof["calibration_share"] == {"wanted": 0.1, "reached": 0.1}
    assert "20 in the test set, 10 in the calibration part, 3 folds" in capsys.readouterr().out
