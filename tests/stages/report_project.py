"""A finished run of everything that stage `report` reads, in miniature, with predictions of choice.

Stages `ensemble` to `clinical` are run; what TensorFlow, the CAD or hours would be needed for is
written by hand in the form that its stage writes.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pipeline import manifest
from pipeline.classes import CLASSES
from pipeline.scoring.bootstrap import draw_counts
from pipeline.scoring.decisions import Resamples
from pipeline.scoring.map_checks import gain_rows
from pipeline.scoring.predictions import PROBABILITIES
from pipeline.scoring.robustness import summarise
from pipeline.scoring.robustness_cells import (
    Decision,
    Pictures,
    Scores,
    measure_cells,
    measure_clean,
)
from pipeline.storage import write_json
from stages import clinical, ensemble, evaluate, operating_points, report

MEMBERS = ("b4", "b5")
CASES = 108
KINDS = ("drawn", "constant", "inverted", "perfect", "single")
VALUES = {
    "ensemble": {
        "members": list(MEMBERS),
        "fold": 0,
        "deploy": "fold",
        "calibration": {"method": "temperature", "regularisation_c": 0.3, "folds": 3, "seed": 7},
    },
    "split": {"train_folds": [0]},
    "evaluate": {
        "bootstrap_repeats": 30,
        "interval": 0.95,
        "seed": 3,
        "too_good_auroc": 2.0,
        "costs": {"missed_malignant": 10.0, "needless_referral": 1.0, "same_side": 0.5},
    },
    "operating_points": {
        "malignant": ["MEL", "BCC", "SCC"],
        "decision_sensitivity": 0.9,
        "sensitivities": [0.8],
        "specificities": [0.9],
    },
    "clinical": {
        "bins": 4,
        "chance_repeats": 20,
        "prevalences": {"melanoma": [0.01], "malignant": [0.05]},
        "most_threshold_probability": 0.3,
        "age_edges_years": [40],
        "edges_px": [1_000_000],
        "least": 3,
    },
}
FOLDERS = (
    *("ingest", "split", "ensemble", "points", "gate", "bundle"),
    *("evaluate", "clinical", "benchmark", "robustness", "explain"),
)


def write_project(kind, source="clinic", path="photos"):
    """Write everything into the working directory.

    Args:
        kind: One of `KINDS`.
        source: Name of the only source.
        path: Folder of its images.
    """
    Path("params.yaml").write_text(json.dumps(VALUES))
    cases = pd.DataFrame(case_rows(kind, source, path))
    for folder in FOLDERS:
        Path(folder).mkdir()
    manifest.write(cases, Path("split/manifest.csv"))
    for seed, name in enumerate(MEMBERS):
        write_member(cases, name, seed, kind)
    Path("skin_tone").mkdir()
    tones = pd.DataFrame({"image_id": cases.image_id, "ita_degrees": 0, "ita_group": "light"})
    tones.to_csv("skin_tone/skin_tone.csv", index=False)
    table = "split/manifest.csv"
    ensemble.main([table, "predict", "ensemble"])
    operating_points.main([table, "ensemble", "points"])
    evaluate.main([table, "predict", "train", "ensemble", "evaluate"])
    clinical.main([table, "predict", "skin_tone", "ensemble", "points", "clinical"])
    write_data(cases, source)
    write_deployed()
    write_pictures(cases)


def run():
    """Run the stage and return the page."""
    report.main([*FOLDERS, "report.html"])
    return Path("report.html").read_text(encoding="utf-8")


def case_rows(kind, source, path):
    """A third out-of-fold, a third the test set, a third trained on; three images a patient."""
    columns = (*manifest.COLUMNS, *manifest.SPLIT_COLUMNS)
    for i in range(CASES):
        fold = ("0", "test", "1")[i // 3 % 3]
        label = CLASSES[i // 9 % 9] if i % 3 else CLASSES[i // 27 % 3]
        yield dict.fromkeys(columns, "") | {
            "image_id": f"case_{i:03d}",
            "source": source,
            "path": f"{path}/case_{i:03d}.jpg",
            "patient_id": f"patient_{i // 3}",
            "group_id": f"patient_{i // 3}",
            "sex": ("female", "male")[i // 9 % 2],
            "site": "torso",
            "fitzpatrick_skin_type": "III" if i < 6 else "",
            "age_years": float(20 + i // 3 % 60),
            "diagnosis": "MEL" if kind == "single" and fold == "test" else label,
            "licence": "CC-BY",
            "width_px": 600,
            "height_px": 450,
            "fold": fold,
        }


def member_scores(kind, truth, is_test, seed):
    """Give nine probabilities to each case, `(n, 9)`."""
    if kind == "constant":
        return np.full((len(truth), 9), 1 / 9)
    noise = np.random.default_rng(seed).dirichlet(np.ones(9), len(truth))
    right = 0.3 * np.eye(9)[truth] + 0.7 * noise
    sure = 0.9 * np.eye(9)[truth] + 0.1 / 9
    if kind == "perfect":
        return sure
    if kind == "inverted":  # of the test set: what was fitted out of fold does not mend it
        return np.where(is_test[:, None], (1 - sure) / 8, right)
    return right


def write_member(cases, name, seed, kind):
    own = cases[cases.fold != "1"]
    truth = own.diagnosis.map(CLASSES.index).to_numpy()
    values = member_scores(kind, truth, (own.fold == "test").to_numpy(), seed)
    split = own.fold.replace({"0": "out_of_fold"}).to_numpy()
    known = {"image_id": own.image_id.to_numpy(), "member": name, "fold": 0, "split": split}
    scores = pd.DataFrame(values.astype(np.float32), columns=list(PROBABILITIES))
    predicted, trained = (Path(folder) / f"{name}-0" for folder in ("predict", "train"))
    predicted.mkdir(parents=True)
    trained.mkdir(parents=True)
    table = pd.DataFrame(known).join(scores)
    table.to_csv(predicted / "predictions.csv", index=False, float_format="%.9g")
    write_json(predicted / "summary.json", {"training_accuracy": 0.9, "training_images": 36})
    sizes = {"backbone": name, "crop_px": 768, "input_px": 64, "batch_size": 16, "images": 36}
    write_json(trained / "summary.json", sizes)
    history = (
        "epoch,loss,accuracy,held_out_loss,held_out_accuracy\n1,2,0.2,2,0.1\n2,1,0.5,1.5,0.4\n"
    )
    (trained / "history.csv").write_text(history)


def write_data(cases, source):
    folds = {
        name: {
            "cases": len(own),
            "components": own.group_id.nunique(),
            "classes": {label: int((own.diagnosis == label).sum()) for label in CLASSES},
        }
        for name, own in cases.groupby("fold")
    }
    alone = {source: {"macro_auroc": {"all folds": None, "test": None}}}
    proof = {
        "folds": folds,
        "components": 36,
        "largest_component": 3,
        "crossings": dict.fromkeys(("component", "duplicate", "image", "lesion", "patient"), 0),
        "duplicate_pairs": {"equal_bytes": 1, "near": 2, "with_different_diagnosis": 0},
        "test_share": {"wanted": 0.3, "reached": 0.33},
        "metadata_alone": {"ceiling": 0.995, "sources": alone},
    }
    write_json(Path("split/proof.json"), proof)
    account = {"rows_in": CASES + 2, "kept": CASES, "quarantined": 2, "reasons": {"no image": 2}}
    write_json(Path("ingest") / source / "summary.json", account)


def write_deployed():
    """Write a bundle, a benchmark and a gate."""
    bundle = {"name": "tiny", "version": "0.1.0", "schema_version": 3}
    write_json(Path("bundle/manifest.json"), bundle)
    one = {"member": "ensemble", "engine": "onnxruntime"}
    timed = {"batch": 1, "p50_ms": 4.0, "p95_ms": 5.0, "images_per_s": 250.0, "calls": 20}
    less = {"member": "ensemble", "to": "onnx"}
    benchmark = {
        "machine": {"cpu": "A CPU", "cores": 2, "device": "cpu", "versions": {"keras": "3.0"}},
        "settings": {"rounds": 2, "repeats": 10, "threads": 2},
        "sizes": [{"member": "ensemble", "artefact": "onnx", "bytes": 2**20}],
        "latency": [one | timed],
        "cold_start": [one | {"seconds": 1.5}],
        "memory": [one | {"peak_mib": 300.0}],
        "parity": [
            {"member": "b4", "from": "a", "to": "b", "max_abs_difference": 1e-6, "images": 8}
        ],
        "reductions": [less | {"quantity": "bytes", "from": "savedmodel", "percent": 40.0}],
    }
    write_json(Path("benchmark/benchmark.json"), benchmark)
    for name in ("latency", "sizes"):
        draw(Path("benchmark") / f"{name}.png")
    write_json(Path("gate/gate.json"), {"images": 72, "false_positive_share": 0.02})
    share = {"share": 0.0, "share_low": 0.0, "share_high": 0.1}
    flagged = [{"reason": name, "n": 36, "flagged": 0} | share for name in ("any", "blurred")]
    pd.DataFrame(flagged).to_csv("gate/flagged.csv", index=False)


def write_pictures(cases):
    """Write what stages `robustness` and `explain` write, with blank pictures."""
    labels = np.arange(27) % 9
    chances = np.random.default_rng(0).dirichlet(np.ones(9), 27)
    clean = Scores(np.full(27, "scored"), np.zeros(27), chances, chances)
    worse = Scores(np.full(27, "scored"), np.ones(27), 1 - chances, chances[:, ::-1])
    units = np.arange(27)
    resamples = Resamples(units, draw_counts(units, repeats=20, seed=0), 0.95)
    pictures = Pictures(labels, clean, {("blur", 1): worse}, resamples)
    targets = {"malignant": Decision(("MEL", "BCC"), 0.2), "melanoma": Decision(("MEL",), None)}
    cells = measure_cells(pictures, targets)
    summary = summarise(cells, {"blur": "optics"}, targets, 0.95)
    path = {"cases": 27, "same_inputs": 27, "largest_score_difference": 0.0}
    summary |= {"clean": measure_clean(pictures, targets), "clean_path": path}
    write_json(Path("robustness/robustness.json"), summary | {"severities_out_of_order": []})
    table = pd.DataFrame([{"group": "optics"} | cell.row for cell in cells])
    table.to_csv("robustness/robustness.csv", index=False)
    for name in ("curves", "drops", "flips_malignant", "flips_melanoma", "examples"):
        draw(Path("robustness") / f"{name}.png")
    write_explained(cases)


def write_explained(cases):
    areas = [{"map": [0.2, 0.6], "random": [0.4, 0.3], "other_image": [0.3, 0.4]}] * 4
    found = [{name: np.array(values) for name, values in one.items()} for one in areas]
    counts = draw_counts(np.arange(4), repeats=20, seed=0)
    checks = pd.DataFrame(gain_rows("occlusion", found, counts=counts, interval=0.95))
    checks.to_csv("explain/checks.csv", index=False)
    shown = {"shown": 1, "found": 5}
    galleries = {"hits": shown, "misses": shown, "errors": {"shown": 0, "found": 0}}
    explained = {"galleries": galleries, "undefined_maps": {"occlusion": 1}, "mapped_cases": 4}
    write_json(Path("explain/explain.json"), explained)
    case = {"image_id": cases.image_id[0], "gallery": "hits", "truth": "MEL", "predicted": "MEL"}
    case |= {"probability": 0.9, "truth_probability": 0.9}
    pd.DataFrame([case]).to_csv("explain/cases.csv", index=False)
    for name in ("hits", "misses"):
        draw(Path("explain") / f"gallery_{name}.png")


def draw(path):
    Image.new("RGB", (40, 30), "white").save(path)
