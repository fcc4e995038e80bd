"""Tests of stage `operating_points`."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import manifest
from pipeline.classes import CLASSES
from pipeline.scoring.predictions import PROBABILITIES, RANK_SCORES
from pipeline.storage import read_json
from stages.operating_points import main

MALIGNANT = ["MEL", "BCC", "SCC"]
VALUES = {
    "ensemble": {
        "members": ["b4"],
        "fold": 0,
        "deploy": "fold",
        "calibration": {"method": "best", "regularisation_c": 1.0, "folds": 3, "seed": 0},
    },
    "evaluate": {"bootstrap_repeats": 50, "interval": 0.95, "seed": 3},
    "operating_points": {
        "malignant": MALIGNANT,
        "decision_sensitivity": 0.9,
        "sensitivities": [],
        "specificities": [0.5],
    },
}
CASES = 120


def write_cases(held_out="0"):
    """Out-of-fold cases and the test set, with predictions that know a little of the truth."""
    rng = np.random.default_rng(4)
    columns = (*manifest.COLUMNS, *manifest.SPLIT_COLUMNS)
    cases = pd.DataFrame(
        [
            dict.fromkeys(columns, "")
            | {
                "image_id": f"case_{i:03d}",
                "patient_id": f"patient_{i // 2}",
                "age_years": float("nan"),
                "diagnosis": CLASSES[rng.integers(9)],
                "width_px": 90,
                "height_px": 60,
                "group_id": f"patient_{i // 2}",
                "fold": (held_out, held_out, "test", "1")[i % 4],
            }
            for i in range(CASES)
        ]
    )
    manifest.write(cases, Path("manifest.csv"))
    predicted = cases[cases.fold != "1"]
    truth = np.eye(9)[[CLASSES.index(name) for name in predicted.diagnosis]]
    values = rng.dirichlet(np.ones(9), len(predicted)) * 0.8 + 0.2 * truth
    split = predicted.fold.replace({"0": "out_of_fold"}).to_numpy()
    table = pd.DataFrame({"image_id": predicted.image_id.to_numpy(), "split": split})
    numbers = pd.DataFrame(np.hstack([values, values]), columns=[*RANK_SCORES, *PROBABILITIES])
    Path("ensemble").mkdir()
    table.join(numbers).to_csv("ensemble/predictions.csv", index=False)
    return predicted.set_index("image_id"), table.join(numbers).set_index("image_id")


def run():
    main(["manifest.csv", "ensemble", "points"])
    return read_json(Path("points/operating_points.json"))


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(json.dumps(VALUES))


@pytest.mark.parametrize(
    ("deploy", "held_out", "words"),
    [("fold", "0", "out-of-fold"), ("fold_average", "calibration", "calibration")],
)
def test_a_threshold_keeps_its_sensitivity_on_cases_not_trained_on(
    project, deploy, held_out, words
):
    cases, found = write_cases(held_out)
    changed = VALUES | {"ensemble": VALUES["ensemble"] | {"deploy": deploy}}
    Path("params.yaml").write_text(json.dumps(changed))

    point = run()["malignant"]["decision"]

    own = found[cases.fold == held_out]
    scores = own[[f"p_{name}" for name in MALIGNANT]].sum(axis=1)
    positive = cases.diagnosis[own.index].isin(MALIGNANT)
    assert point["n"] == len(own) == 60
    assert point["positives"] == positive.sum()
    assert (scores[positive] >= point["threshold"] - 1e-12).mean() >= 0.9
    assert (scores[positive] > point["threshold"] + 1e-12).mean() < 0.9
    assert point["rule"].endswith(f" on {words} images")
    for rate in (point["sensitivity"], point["specificity"]):
        assert rate["low"] < rate["value"] < rate["high"]


def test_the_test_set_does_not_move_a_threshold(project):
    """Planted: test cases that would lower it."""
    write_cases()
    first = run()
    table = pd.read_csv("ensemble/predictions.csv")
    chances = list(PROBABILITIES)
    table.loc[table.split == "test", chances] = np.eye(9)[1]
    table.to_csv("ensemble/predictions.csv", index=False)

    assert run() == first
