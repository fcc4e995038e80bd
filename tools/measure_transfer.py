"""Measure what pretrained weights are worth: one member from them and from scratch, all else equal.

Usage: python -m tools.measure_transfer ../shared/data [--recipe transfer] [--member m160]
[--input-px 128] [--epochs 15] [--seeds 3] [--folder FOLDER]   (`make measure-transfer`)

A member of a recipe is trained twice on DATA/ham10000 in a copy of the project, with the recipe's
weights and with none: on every fold, with several seeds, over the same folds of the same lesions.
Prints the macro AUROC of the cases outside each fold (the test set is not looked at), one row per
seed and their mean, with 95 % intervals by resampling patients, lesions where no patient is known;
and the difference of the means, on the same resamples. With --folder the copy is kept, and a later
call goes on from what is there.
"""

import argparse
import copy
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import manifest, storage
from pipeline.command import run_stage
from pipeline.scoring.bootstrap import draw_counts, percentile_interval, resampling_units
from pipeline.scoring.metrics import ScoredCases, every_case_once, measure
from pipeline.scoring.predictions import PROBABILITIES, labels_of
from tools.recipe import PARAMS, apply_recipe, read_recipe, round_trip
from tools.scratch import copy_sources
from tools.train_parallel import train_stale

RECIPE = "measure-transfer"
FOLDS = 5
REPEATS = 1000
INTERVAL = 0.95
WAYS = ("pretrained", "scratch")


@dataclass(frozen=True, eq=False)
class Measured:
    """Macro AUROC of one way and seed.

    Attributes:
        value: On the cases as they are.
        resampled: On each resample, NaN where undefined, `(repeats,)`.
    """

    value: float
    resampled: np.ndarray


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if not (args.data / "ham10000").is_dir():
        raise ValueError(f"{args.data} must hold ham10000. Got: no such folder.")
    with tempfile.TemporaryDirectory(prefix="measure-transfer-") as temporary:
        root = args.folder or Path(temporary) / "project"
        if not (root / PARAMS).exists():
            prepare(root, args)
        tables = [train_all(root, seed) for seed in range(1, args.seeds + 1)]
        cases = manifest.read(root / "data" / "split" / "manifest.csv")
    cases = cases[cases.fold != "test"].reset_index(drop=True)
    print(report(cases, tables, args))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.measure_transfer", description=__doc__.split("\n")[0]
    )
    parser.add_argument("data", type=Path, help="folder that holds ham10000")
    parser.add_argument("--recipe", default="transfer", help="whose member is taken")
    parser.add_argument("--member", default="m160", help="of the recipe")
    parser.add_argument("--input-px", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="of the copy, kept; else a temporary one")
    return parser.parse_args(argv)


def prepare(root: Path, args: argparse.Namespace) -> None:
    """Copy the project and write the recipe of the two members."""
    copy_sources(Path(), root)
    recipe = read_recipe(root, args.recipe)
    pretrained = recipe["member"][args.member]
    pretrained |= {"input_px": args.input_px, "epochs": args.epochs}
    pretrained["weights"] = str(Path(pretrained["weights"]).resolve())
    scratch = copy.deepcopy(pretrained) | {"weights": "none", "weights_sha256": ""}
    gone = {name: None for name in ("b4", "b5", "b7")}
    recipe["member"] = gone | dict(zip(WAYS, (pretrained, scratch), strict=True))
    recipe["ensemble"] = {"members": list(WAYS)}
    recipe["split"] = {"folds": FOLDS, "train_folds": list(range(FOLDS))}
    with storage.atomic_write(root / "recipes" / f"{RECIPE}.yaml", "w") as file:
        round_trip().dump(recipe, file)
    apply_recipe(root, RECIPE, [str((args.data / "ham10000").resolve())], force=False)


def train_all(root: Path, seed: int) -> pd.DataFrame:
    """Train both ways on every fold with one seed; return the out-of-fold predictions."""
    kept = root / "measured" / f"seed-{seed}.csv"
    if not kept.exists():
        yaml = round_trip()
        values = yaml.load(root / PARAMS)
        values["train"]["seed"] = seed
        with storage.atomic_write(root / PARAMS, "w") as file:
            yaml.dump(values, file)
        train_stale(root, None)
        paths = sorted((root / "data" / "predict").glob("*/predictions.csv"))
        table = pd.concat([pd.read_csv(path, dtype={"image_id": str}) for path in paths])
        with storage.atomic_write(kept, "w") as file:
            table[table.split == "out_of_fold"].to_csv(file, index=False)
        shutil.rmtree(root / "models" / "train")
    return pd.read_csv(kept, dtype={"image_id": str})


def report(cases: pd.DataFrame, tables: list[pd.DataFrame], args: argparse.Namespace) -> str:
    """Lay out both ways, seed by seed, their means and the difference."""
    units = resampling_units(cases)
    counts = draw_counts(units, repeats=REPEATS, seed=0)
    found = {way: [measure_way(cases, table, way, counts) for table in tables] for way in WAYS}
    lines = [
        f"{args.member} of recipe {args.recipe} at {args.input_px} px, {args.epochs} epochs: "
        f"{len(cases)} cases outside the test set, {units.max() + 1} lesions or patients, "
        f"{FOLDS} folds, {cases.diagnosis.nunique()} classes",
        "",
        "| macro AUROC | " + " | ".join(WAYS) + " |",
        "|---|" + "---|" * len(WAYS),
    ]
    for number in range(len(tables)):
        row = [text(found[way][number]) for way in WAYS]
        lines.append(f"| seed {number + 1} | " + " | ".join(row) + " |")
    means = {way: mean_of(found[way]) for way in WAYS}
    lines.append("| mean of the seeds | " + " | ".join(text(means[way]) for way in WAYS) + " |")
    first, second = (means[way] for way in WAYS)
    gain = Measured(first.value - second.value, first.resampled - second.resampled)
    return "\n".join([*lines, "", f"difference: {text(gain)}"])


def measure_way(cases: pd.DataFrame, table: pd.DataFrame, way: str, counts: np.ndarray) -> Measured:
    """Measure one way's out-of-fold scores, one row per case.

    Raises:
        ValueError: A case is missing, or stands there twice.
    """
    rows = table[table.member == way].set_index("image_id")
    if sorted(rows.index) != sorted(cases.image_id):
        raise ValueError(
            f"{way} must score each of {len(cases)} cases once. Got: {len(rows)} rows, "
            f"{rows.index.nunique()} cases."
        )
    scores = rows.loc[cases.image_id, list(PROBABILITIES)].to_numpy()
    scored = ScoredCases(labels_of(cases), scores.argmax(axis=1), scores, None)
    (value,) = measure(scored, every_case_once(len(cases)))["macro_auroc"]
    return Measured(float(value), measure(scored, counts)["macro_auroc"])


def mean_of(seeds: list[Measured]) -> Measured:
    """Average the metric, not the scores, over the seeds."""
    values = [measured.value for measured in seeds]
    return Measured(float(np.mean(values)), np.mean([m.resampled for m in seeds], axis=0))


def text(measured: Measured) -> str:
    low, high, _ = percentile_interval(measured.resampled, INTERVAL)
    return f"{measured.value:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
