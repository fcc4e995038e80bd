"""Tests of stage `clinical`."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import manifest
from pipeline.classes import CLASSES
from pipeline.params import ParamsError, build
from pipeline.scoring.clinical import ClinicalParams
from pipeline.scoring.ensemble import EnsembleError
from pipeline.scoring.predictions import PROBABILITIES
from pipeline.storage import read_json
from stages import clinical, ensemble, operating_points

pytestmark = pytest.mark.slow

MEMBERS = ("b4", "b5")
CHANCES = list(PROBABILITIES)
CLINICAL = {
    "bins": 4,
    "chance_repeats": 20,
    "prevalences": {"melanoma": [0.01], "malignant": [0.05, 0.2]},
    "most_threshold_probability": 0.3,
    "age_edges_years": [40],
    "edges_px": [1_000_000],
    "least": 5,
}
VALUES = {
    "ensemble": {
        "members": list(MEMBERS),
        "fold": 0,
        "deploy": "fold",
        "calibration": {"method": "best", "regularisation_c": 0.3, "folds": 3, "seed": 0},
    },
    "split": {"train_folds": [0]},
    "evaluate": {"bootstrap_repeats": 40, "interval": 0.95, "seed": 3},
    "operating_points": {
        "malignant": ["MEL", "BCC", "SCC"],
        "decision_sensitivity": 0.9,
        "sensitivities": [0.8],
        "specificities": [0.9],
    },
    "clinical": CLINICAL,
}
CASES = 240


def case_rows():
    """Cases of which a third is out-of-fold, a third the test set, a third trained on."""
    rng = np.random.default_rng(1)
    columns = (*manifest.COLUMNS, *manifest.SPLIT_COLUMNS)
    for i in range(CASES):
        yield dict.fromkeys(columns, "") | {
            "image_id": f"case_{i:03d}",
            "source": "clinic",
            "patient_id": f"patient_{i // 3}",
            "group_id": f"patient_{i // 3}",
            "sex": ("female", "male", "")[i // 9 % 3],
            "site": "torso",
            "fitzpatrick_skin_type": ("II", "V", "")[i // 3 % 3],
            "age_years": float(20 + i // 3 % 60),
            "diagnosis": CLASSES[rng.choice(9, p=[0.2, 0.4, 0.1, 0.05, 0.05, 0.05, 0.05, 0, 0.1])],
            "width_px": 600,
            "height_px": 450,
            "fold": ("0", "test", "1")[i // 3 % 3],
        }


def write_member(cases, name, seed, knowing):
    """Predictions of which so much is the truth, and the rest noise."""
    rng = np.random.default_rng(seed)
    own = cases[cases.fold != "1"]
    truth = np.eye(9)[[CLASSES.index(label) for label in own.diagnosis]]
    values = rng.dirichlet(np.ones(9), len(own)) * (1 - knowing) + knowing * truth
    split = own.fold.replace({"0": "out_of_fold"}).to_numpy()
    known = {"image_id": own.image_id.to_numpy(), "member": name, "fold": 0, "split": split}
    table = pd.DataFrame(known).join(pd.DataFrame(values.astype(np.float32), columns=CHANCES))
    folder = Path(f"predict/{name}-0")
    folder.mkdir(parents=True)
    table.to_csv(folder / "predictions.csv", index=False, float_format="%.9g")


def run(target="report"):
    tested = ["split.csv", "predict", "skin_tone", "ensemble", "points", target]
    clinical.main(tested)
    return read_json(Path(target) / "clinical.json")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """One run for all tests that only look at it."""
    folder = tmp_path_factory.mktemp("clinical")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("params.yaml").write_text(json.dumps(VALUES))
        cases = pd.DataFrame(case_rows())
        manifest.write(cases, Path("split.csv"))
        for seed, name in enumerate(MEMBERS):
            write_member(cases, name, seed, knowing=0.25)
        tones = [("light", "dark", "")[i % 3] for i in range(CASES)]
        table = pd.DataFrame({"image_id": cases.image_id, "ita_degrees": 0, "ita_group": tones})
        Path("skin_tone").mkdir()
        table.to_csv("skin_tone/skin_tone.csv", index=False)
        ensemble.main(["split.csv", "predict", "ensemble"])
        operating_points.main(["split.csv", "ensemble", "points"])
        run()
    return folder, cases


@pytest.fixture
def report(project, monkeypatch):
    monkeypatch.chdir(project[0])
    return project[0] / "report"


def test_the_map_brings_the_log_loss_down(report):
    """The members say a quarter of the truth as if it were all: too flat, which a map mends."""
    found = read_json(report / "clinical.json")["calibration"]

    assert found["log_loss_after"] < found["log_loss_before"] - 0.1


def test_all_maps_are_measured_on_the_same_test_cases(report, project):
    table = pd.read_csv(report / "calibration.csv").set_index("map")

    maps = ["mean", "rank_logistic", "temperature", "dirichlet", "isotonic"]
    assert list(table.index) == maps
    assert (table.n == (project[1].fold == "test").sum()).all()
    deployed = read_json(Path("ensemble/probability_map.json"))["method"]
    assert list(table.index[table.is_deployed]) == [deployed]


def test_decisions_are_counted_on_the_test_set_at_the_frozen_threshold(report, project):
    found = read_json(report / "clinical.json")["malignant"]

    cases = project[1].set_index("image_id")
    table = pd.read_csv("ensemble/predictions.csv").set_index("image_id")
    table = table[table.split == "test"]
    scores = table[["p_MEL", "p_BCC", "p_SCC"]].sum(axis=1)
    positive = cases.diagnosis[table.index].isin(["MEL", "BCC", "SCC"])
    flagged = scores >= found["threshold"] - 1e-12
    assert found["n"] == len(table) == 81
    assert found["positives"] == positive.sum()
    assert found["sensitivity"] == pytest.approx(flagged[positive].mean())
    assert found["specificity"] == pytest.approx((~flagged[~positive]).mean())
    assert found["ppv"] == pytest.approx(positive[flagged].mean())
    points = read_json(Path("points/operating_points.json"))
    assert found["threshold"] == points["malignant"]["decision"]["threshold"]


def test_predictive_values_follow_the_stated_prevalence(report):
    table = pd.read_csv(report / "operating_points.csv")

    own = table[(table.target == "malignant") & table.decides].set_index("prevalence")
    for stated in (0.05, 0.2):
        row = own.loc[stated]
        right, wrong = row.sensitivity * stated, (1 - row.specificity) * (1 - stated)
        assert row.ppv == pytest.approx(right / (right + wrong))
    assert own.is_stated.sum() == 2


def test_subgroups_name_every_group_and_what_is_undefined_stays_empty(report):
    table = pd.read_csv(report / "subgroups.csv", keep_default_na=False)

    own = table[table.target == "melanoma"]
    assert list(own[own.attribute == "sex"].group) == ["female", "male", "unknown"]
    assert list(own[own.attribute == "skin_tone"].group) == ["light", "dark", "unknown"]
    assert list(own[own.attribute == "fitzpatrick_skin_type"].group) == ["V"]
    without = own[own.positives == 0]
    assert (without.sensitivity == "").all() and (without.auroc == "").all()
    assert own[own.attribute == "sex"].n.sum() == 81


def test_known_skin_types_of_all_folds_stand_beside_the_estimate(report):
    table = pd.read_csv(report / "skin_types.csv")

    assert table[["fitzpatrick_skin_type", "n"]].to_numpy().tolist() == [["II", 81], ["V", 81]]
    assert (table[["estimated", "median"]] == [81, 0]).all(axis=None)


def test_pictures_stand_beside_their_numbers(report):
    pictures = sorted(path.stem for path in report.glob("*.png"))

    assert pictures == sorted(
        f"{kind}_{target}{part}"
        for target in ("malignant", "melanoma")
        for kind, part in (
            ("decision_curve", ""),
            ("reliability", ""),
            ("thresholds", ""),
            ("subgroups", "_auroc"),
            ("subgroups", "_sensitivity"),
        )
    )
    for path in report.glob("*.png"):
        with Image.open(path) as image:
            assert len(image.convert("RGB").getcolors(1 << 24)) > 10, path.name
    for name in ("reliability_melanoma", "decision_curve_malignant", "calibration_by_chance"):
        assert not pd.read_csv(report / f"{name}.csv").empty


def test_a_map_that_was_fitted_on_the_test_set_stops_the_stage(report):
    """Planted: the stage before fits on all cases."""
    path = Path("ensemble/probability_map.json")
    written = path.read_text()
    changed = json.loads(written)
    changed["coefficients"] = (np.array(changed["coefficients"]) * 1.3).tolist()
    path.write_text(json.dumps(changed))
    try:
        with pytest.raises(EnsembleError, match=r"on no test case\. Fitted again"):
            run("other")
    finally:
        path.write_text(written)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bins": 0}, r"bins must be at least 1\. Got: 0\.$"),
        ({"prevalences": {"melanoma": [1.0]}}, r"prevalences of melanoma must be in \(0, 1\)"),
        ({"most_threshold_probability": 1.0}, r"most_threshold_probability must be in \(0, 1\)"),
    ],
)
def test_params_out_of_range_are_refused(change, message):
    with pytest.raises(ParamsError, match=message):
        build(CLINICAL | change, ClinicalParams, "params.yaml: section 'clinical'")
