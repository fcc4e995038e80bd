"""Tests of stage `bundle`."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import manifest, params, storage
from pipeline.cad.golden import check_golden
from pipeline.cad.inference import Patient, Scorer
from pipeline.classes import CLASSES
from pipeline.command import run_stage
from pipeline.deploy.bundle import MODEL_FILE, Deployed, list_files, load
from pipeline.scoring.ensemble import save_reference
from stages.bundle import main
from tests.deploy.tiny_bundle import (
    DEPLOYED,
    MEMBERS,
    PREPROCESSING,
    REFERENCE_ROWS,
    SETTINGS,
    references_of,
    tiny_manifest,
    write_gate,
    write_model,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = (
    *("data/split/manifest.csv", "models/export", "models/ensemble"),
    *("models/operating_points", "models/gate"),
    *("reports/evaluate", "reports/benchmark", "models/bundle"),
)
CALIBRATION = {"method": "best", "regularisation_c": 1.0, "folds": 3, "seed": 0}
SMALL = {
    "ingest": dataclasses.asdict(PREPROCESSING.decode),
    "crop": dataclasses.asdict(PREPROCESSING.crop),
    "resize": {"resample": PREPROCESSING.resample, "shard_images": 8},
    "ensemble": {"members": list(MEMBERS), "fold": 0, "deploy": "fold", "calibration": CALIBRATION},
    "split": {"train_folds": [0]},
    "predict": {"views": 1},
    "evaluate": {"bootstrap_repeats": 50, "interval": 0.95, "seed": 3},
    "bundle": dataclasses.asdict(SETTINGS) | {"golden_cases": 2},
}
CASES = 80


def small_params():
    """The project's own params in the small: a new key of a member needs no change here."""
    members = params.read_section("member", ROOT / "params.yaml")
    changed = {name: members[name] | dataclasses.asdict(MEMBERS[name]) for name in MEMBERS}
    return SMALL | {"member": changed}


def write_params(values):
    """Write `params.yaml`: JSON is YAML too."""
    Path("params.yaml").write_text(json.dumps(values))


def cases_table(folds=("0", "0", "test", "1"), folder="data/sample/isic_2019/images"):
    """Forty out-of-fold cases, twenty of the test set, twenty of another fold."""
    rng = np.random.default_rng(4)
    rows = [
        {
            "image_id": f"case_{i:03d}",
            "source": "isic_2019" if i % 2 else "clinic",
            "path": f"{folder}/case_{i:03d}.jpg" if i % 2 else f"data/raw/clinic/case_{i:03d}.jpg",
            "patient_id": f"patient_{i // 2}",
            "age_years": float("nan"),
            "diagnosis": CLASSES[rng.integers(9)],
            "licence": "CC-BY-NC" if i % 2 else "CC-0",
            "width_px": 90,
            "height_px": 60,
            "group_id": f"case_{i:03d}",
            "fold": folds[i % 4],
        }
        for i in range(CASES)
    ]
    columns = (*manifest.COLUMNS, *manifest.SPLIT_COLUMNS)
    return pd.DataFrame([dict.fromkeys(columns, "") | row for row in rows])


def write_thresholds(root, threshold):
    """What stage `operating_points` chose, by a policy that leaves AK out."""
    point = dataclasses.asdict(tiny_manifest(MEMBERS, threshold=threshold).thresholds["melanoma"])
    found = {"melanoma": point, "malignant": point | {"classes": ["MEL", "BCC", "SCC"]}}
    storage.write_json(root / "models/operating_points/operating_points.json", found)


def write_reports(root):
    figures = {"n": 20, "resampling_units": 18, "majority_accuracy": 0.3}
    figures |= {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6}
    metrics = {name: figures for name in ("ensemble", *MEMBERS)}
    storage.write_json(root / "reports/evaluate/metrics.json", metrics)
    (root / "reports/evaluate/per_class.csv").write_text(
        "model,class,n,positives\nensemble,MEL,20,4\n"
    )
    storage.write_json(root / "reports/benchmark/benchmark.json", {"sizes": []})


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """What the stages before have written, in the small."""
    root = tmp_path_factory.mktemp("project")
    manifest.write(cases_table(), root / "data/split/manifest.csv")
    write_thresholds(root, threshold=0.5)
    write_gate(root / "models/gate/gate.json")
    save_reference(root / "models/ensemble/reference.npz", references_of(MEMBERS))
    write_model(root / "models/export/ensemble.onnx", MEMBERS)
    parity = {name: {"difference": 1e-6, "images": 24} for name in MEMBERS}
    storage.write_json(root / "models/export/parity.json", parity)
    write_reports(root)
    return root


@pytest.fixture
def project(inputs, tmp_path, monkeypatch):
    root = shutil.copytree(inputs, tmp_path / "project")
    monkeypatch.chdir(root)
    write_params(small_params())
    return root


def test_the_bundle_holds_the_contract_and_scores_its_golden_cases(project, capsys):
    main(ARGUMENTS)

    bundle = load(project / "models/bundle")
    assert sorted(bundle.manifest.files) == [
        "MODEL_CARD.md",
        "benchmark.json",
        "gate.json",
        "golden/case_00.png",
        "golden/case_01.png",
        "golden/golden.json",
        "labels.json",
        "model/ensemble.onnx",
    ]
    assert bundle.manifest.members == MEMBERS
    assert bundle.manifest.reference_rows == REFERENCE_ROWS
    assert check_golden(Scorer(bundle, threads=1)).cases == 2
    assert capsys.readouterr().out.startswith("bundle: 8 files, model of 0 MiB, 2 golden cases")


def test_the_bundle_is_the_same_byte_for_byte_when_built_twice(project):
    main(ARGUMENTS)
    main([*ARGUMENTS[:-1], "models/again"])

    first, again = (
        {name: (folder / name).read_bytes() for name in list_files(folder)}
        for folder in (project / "models/bundle", project / "models/again")
    )
    assert first == again


def test_the_thresholds_are_those_of_the_stage_that_chose_them(project):
    main(ARGUMENTS)

    sealed = load(project / "models/bundle").manifest
    chosen = storage.read_json(project / "models/operating_points/operating_points.json")
    assert json.loads(json.dumps(dataclasses.asdict(sealed)))["thresholds"] == chosen
    labels = storage.read_json(project / "models/bundle/labels.json")["classes"]
    assert [label["class"] for label in labels if label["malignant"]] == ["MEL", "BCC", "SCC"]


def test_bundle_says_which_networks_are_deployed(project):
    main(ARGUMENTS)

    sealed = load(project / "models/bundle")
    assert sealed.manifest.deployed == DEPLOYED
    card = (project / "models/bundle/MODEL_CARD.md").read_text()
    assert "Each member is one network, trained without fold 0. Rank scores are against" in card


def test_bundle_of_an_average_says_what_is_averaged(project):
    cases = cases_table(("0", "calibration", "test", "1"))
    manifest.write(cases, project / "data/split/manifest.csv")
    ensemble = SMALL["ensemble"] | {"deploy": "fold_average"}
    changed = {"ensemble": ensemble, "split": {"train_folds": [1, 0]}, "predict": {"views": 8}}
    write_params(small_params() | changed)

    main(ARGUMENTS)

    described = load(project / "models/bundle").manifest
    assert described.deployed == Deployed("fold_average", (0, 1), 8, "calibration")
    card = (project / "models/bundle/MODEL_CARD.md").read_text()
    assert "the mean of the probabilities of its 2 networks" in card
    assert "each trained without one of the folds 0, 1. A network averages 8 views" in card
    assert f"the scores of {REFERENCE_ROWS} calibration images" in card


def test_without_a_threshold_there_is_no_decision(project):
    write_thresholds(project, threshold=None)

    main(ARGUMENTS)

    bundle = load(project / "models/bundle")
    result = Scorer(bundle, threads=1).score(
        bundle.folder / "golden/case_00.png", Patient(None, None, None)
    )
    assert result["malignant"]["decision"] is None


def test_the_card_tells_generated_images_from_real_ones(project):
    main(ARGUMENTS)

    card = (project / "models/bundle/MODEL_CARD.md").read_text()
    assert "| clinic | 40 | CC-0 |" in card
    assert "| isic_2019 | 40 | none: generated |" in card


def test_images_of_the_samples_name_but_of_another_folder_are_real(project):
    cases = cases_table(folder="data/raw/isic_2019/images")
    manifest.write(cases, project / "data/split/manifest.csv")

    main(ARGUMENTS)

    card = (project / "models/bundle/MODEL_CARD.md").read_text()
    assert "| isic_2019 | 40 | CC-BY-NC |" in card
    assert "synthetic" not in card


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda: Path("models/export/ensemble.onnx").unlink(), "models/export/ensemble.onnx"),
        (lambda: Path("reports/benchmark/benchmark.json").unlink(), "benchmark.json"),
        (
            lambda: write_model(Path("models/export/ensemble.onnx"), {"b5": MEMBERS["b5"]}),
            f"{MODEL_FILE}: inputs must be",
        ),
        (
            lambda: Path("models/export/ensemble.onnx").write_bytes(b"no graph"),
            "must be a graph that ONNX Runtime loads",
        ),
        (
            lambda: Path("models/operating_points/operating_points.json").write_text(
                '{"melanoma": {"classes": ["MEL"]}}'
            ),
            "operating_points.json: melanoma must have exactly the keys",
        ),
        (
            lambda: write_params(small_params() | {"bundle": SMALL["bundle"] | {"golden_sed": 1}}),
            "Unknown: ['golden_sed'].",
        ),
    ],
)
def test_bad_input_ends_in_one_line_and_leaves_nothing(project, capsys, spoil, message):
    spoil()

    status = run_stage(lambda: main(ARGUMENTS))

    error = capsys.readouterr().err
    assert status == 1
    assert message in error and error.count("\n") == 1
    left = sorted(path.name for path in Path("models").iterdir())
    assert left == ["ensemble", "export", "gate", "operating_points"]


def test_a_bundle_is_never_written_over(project, capsys):
    Path("models/bundle").mkdir()
    Path("models/bundle/mine.txt").touch()

    status = run_stage(lambda: main(ARGUMENTS))

    assert status == 1
    assert "models/bundle must be absent or empty" in capsys.readouterr().err
    assert list_files(Path("models/bundle")) == {"mine.txt"}
