"""Compare ways to join several models' melanoma scores, on the same out-of-fold cases.

Usage: python -m tools.compare_ensembles ../shared/data/predictions/oof_melanoma_3_models.csv
[--repeats 500] [--seed 20200601] [--interval 0.95] [--folds 5] [--out reports/ensembles]

The table has a row per image: `image_id`, `patient_id` (may be empty), `source`, `target` (1 is
melanoma) and two or more columns `model_…`, scores in [0, 1] of networks trained without the image.
Prints, and with --out writes as CSV and JSON:

- each model, and their mean, rank average, mean of logits and nested weighting: AUROC, and AUROC
  above 80 % sensitivity, with intervals by resampling patients (lesions, then images, where there
  is none); the files have every metric of `pipeline.scoring.ranking`.
- the difference of each to the rank average, by DeLong's test with patients, and by the bootstrap.
- for how many cases the rank average is another when the case comes alone: none.

Ranks are against the models' scores of all these cases, as stored; resampling draws cases that are
scored already. Weights are by log loss: scores that are no probabilities lose theirs, however well
they rank.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pipeline.command import run_stage
from pipeline.scoring.bootstrap import (
    Values,
    draw_counts,
    estimate_of,
    resampling_units,
)
from pipeline.scoring.delong import compare_aurocs
from pipeline.scoring.ensemble import average_members, rank_against
from pipeline.scoring.ensembles import mean_logits, mean_probabilities, nested_weighted_scores
from pipeline.scoring.paired import measure_ranking, subtract
from pipeline.scoring.tables import estimate_columns
from pipeline.storage import atomic_write, sha256_of, write_json

COLUMNS = ["image_id", "patient_id", "source", "target"]
MODEL = "model_"
BASELINE = "rank_average"
LESIONS_ONLY = ("ISIC19",)  # ISIC 2019 names no patients: `patient_id` is the lesion's there

Scores = Mapping[str, np.ndarray]  # by model or way, each `(n,)`


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    table = read_table(args.table)
    cases, positive = name_units(table), table.target.to_numpy() == 1
    units = resampling_units(cases)
    models = {name: table[name].to_numpy() for name in table if name.startswith(MODEL)}
    ways, weights = join(models, positive, units, folds=args.folds, seed=args.seed)
    differing = differing_alone(models, ways[BASELINE])
    counts = draw_counts(units, repeats=args.repeats, seed=args.seed)
    measured = {
        name: measure_ranking(positive, scores, counts)
        for name, scores in tqdm(ways.items(), desc="resample", unit="way")
    }
    known = {"n": len(table), "positives": int(positive.sum()), "units": int(units.max()) + 1}
    kinds = count_units(cases)
    ensembles = ensemble_table(measured, args.interval).assign(**known)
    differences = difference_table(
        ways, measured, positive=positive, units=units, interval=args.interval
    ).assign(**known)

    print(f"{args.table.name}: {known}, resampled: {kinds}; intervals {args.interval:.0%}")
    print(f"\n{word_ensembles(ensembles)}\n\n{word_differences(differences)}\n")
    for fold, row in enumerate(weights):
        print(f"nested weights of {', '.join(models)} without fold {fold}: {row.round(3)}")
    print(f"{BASELINE} of a case alone and among all: {differing} of {len(table)} cases differ")
    if args.out:
        written = {name: vars(args)[name] for name in ("repeats", "seed", "interval", "folds")}
        written |= {"table_sha256": sha256_of(args.table), "differing_alone": differing} | kinds
        written |= {"nested_weights": {"models": list(models), "by_fold": weights.tolist()}}
        write(args.out, written, ensembles=ensembles, differences=differences)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.compare_ensembles",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", type=Path, help="CSV of out-of-fold scores")
    parser.add_argument("--repeats", type=int, default=500, help="resamples of patients")
    parser.add_argument("--seed", type=int, default=20200601, help="of resamples and folds")
    parser.add_argument("--interval", type=float, default=0.95, help="share inside, in (0, 1)")
    parser.add_argument("--folds", type=int, default=5, help="of the nested weighting")
    parser.add_argument("--out", type=Path, help="folder to write")
    args = parser.parse_args(argv)
    if args.repeats < 1 or args.seed < 0 or not 0 < args.interval < 1:
        parser.error("--repeats must be at least 1, --seed at least 0, --interval in (0, 1)")
    return args


def read_table(path: Path) -> pd.DataFrame:
    """Read the scores; refuse columns and values that are not as the module says."""
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(COLUMNS[:3], str), keep_default_na=False)
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} must be a table. Got: an empty file.") from None
    models = [name for name in table if name.startswith(MODEL)]
    if sorted(table) != sorted([*COLUMNS, *models]) or len(models) < 2:
        raise ValueError(
            f"{path}: columns must be {COLUMNS} and two or more {MODEL}…. Got: {list(table)}."
        )
    twice = table.image_id[table.image_id.duplicated()].tolist()
    if twice:
        raise ValueError(
            f"{path}: image_id must be unique. Got: {len(twice)} again, first {twice[:5]}."
        )
    if set(table.target) != {0, 1}:
        raise ValueError(
            f"{path}: target must be 0 or 1, and both. Got: {table.target.unique()[:5].tolist()}."
        )
    scores = table[models].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    wrong = table.image_id[~((scores >= 0) & (scores <= 1)).all(axis=1)].tolist()
    if wrong:
        raise ValueError(
            f"{path}: scores must be in [0, 1]. Got others for {len(wrong)}, first {wrong[:5]}."
        )
    return table.assign(**scores)


def name_units(table: pd.DataFrame) -> pd.DataFrame:
    """Say of each case which patient, or else which lesion, it is of; empty where unknown."""
    is_lesion = table.source.isin(LESIONS_ONLY)
    # An image's own name stands where the archive gave no other.
    known = table.patient_id.mask(table.patient_id == table.image_id, "")
    return table[["image_id"]].assign(
        patient_id=known.mask(is_lesion, ""), lesion_id=known.where(is_lesion, "")
    )


def count_units(cases: pd.DataFrame) -> dict[str, int]:
    """Count what is resampled, by kind."""
    named = {f"{name}s": cases[f"{name}_id"] for name in ("patient", "lesion")}
    counted = {kind: int(ids[ids != ""].nunique()) for kind, ids in named.items()}
    return counted | {"images_alone": int((cases.patient_id + cases.lesion_id == "").sum())}


def join(
    models: Scores, positive: np.ndarray, units: np.ndarray, *, folds: int, seed: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Join the models' scores in every way; return them after the models, and the nested weights.

    Returns:
        By model and way, each `(n,)`, and `(folds, models)`.
    """
    # Melanoma and the rest, in two columns.
    members = {name: np.stack([1 - s, s], axis=1) for name, s in models.items()}
    nested = nested_weighted_scores(
        members, positive.astype(np.int64), units, folds=folds, seed=seed
    )
    ways = {
        "mean": mean_probabilities(members)[:, 1],
        BASELINE: average_members([rank_against(np.sort(s), s) for s in models.values()]),
        "mean_logits": mean_logits(members)[:, 1],
        "nested_weights": nested.scores[:, 1],
    }
    return {**models, **ways}, nested.weights


def differing_alone(models: Scores, averaged: np.ndarray) -> int:
    """Count the cases whose rank average is another when the case comes alone."""
    references = {name: np.sort(scores) for name, scores in models.items()}
    differing = 0
    for i in tqdm(range(len(averaged)), desc="one at a time", unit="case"):
        ranks = [rank_against(references[name], s[i : i + 1]) for name, s in models.items()]
        differing += int(average_members(ranks)[0] != averaged[i])
    return differing


def ensemble_table(measured: Mapping[str, Values], interval: float) -> pd.DataFrame:
    """List every way's metrics with their intervals."""
    rows = []
    for way, values in measured.items():
        row: dict[str, Any] = {"way": way}
        for name, (value, resampled) in values.items():
            row |= estimate_columns(name, estimate_of(value, resampled, interval))
        rows.append(row)
    return pd.DataFrame(rows)


def difference_table(
    ways: Scores,
    measured: Mapping[str, Values],
    *,
    positive: np.ndarray,
    units: np.ndarray,
    interval: float,
) -> pd.DataFrame:
    """Compare every way with the rank average, by both tests."""
    base, rows = ways[BASELINE], []
    figures = ("value", "low", "high", "p_value")
    for way in (name for name in ways if name != BASELINE):
        tested = compare_aurocs(positive, ways[way], base, units=units, interval=interval)
        found: list[tuple[str, str, Any]] = [("auroc", "delong", tested)]
        for metric, values in measured[way].items():
            difference = subtract(values, measured[BASELINE][metric], interval)
            found.append((metric, "bootstrap", difference))
        for metric, test, one in found:
            known = {"first": way, "second": BASELINE, "metric": metric, "test": test}
            rows.append(known | {name: getattr(one, name) for name in figures})
    return pd.DataFrame(rows).astype(dict.fromkeys(figures, np.float64))


def word_ensembles(table: pd.DataFrame) -> str:
    """Word AUROC and AUROC above 80 % sensitivity, one line per way."""
    lines = [f"{'':<16} {'AUROC':<26} AUROC above 80 % sensitivity"]
    for row in table.to_dict("records"):
        figures = []
        for name in ("auroc", "auroc_above_80_sensitivity"):
            ends = [text(row[name + end], ".4f") for end in ("", "_low", "_high")]
            figures.append("{} [{}, {}]".format(*ends))
        lines.append("{:<16} {:<26} {}".format(row["way"], *figures))
    return "\n".join(lines)


def word_differences(table: pd.DataFrame) -> str:
    """Word the differences of AUROC, one line per way and test."""
    line = "{:<16} {:<10} {:<28} {}"
    lines = [line.format(f"less {BASELINE}", "test", "difference of AUROC", "p")]
    for row in table[table.metric == "auroc"].to_dict("records"):
        value, low, high = (text(row[name], "+.4f") for name in ("value", "low", "high"))
        figures = f"{value} [{low}, {high}]"
        lines.append(line.format(row["first"], row["test"], figures, text(row["p_value"], ".2g")))
    return "\n".join(lines)


def text(value: float | None, form: str) -> str:
    """Word a figure; a dash where it is undefined."""
    return "-" if pd.isna(value) else format(value, form)


def write(folder: Path, written: dict[str, Any], **tables: pd.DataFrame) -> None:
    """Write the tables as CSV, and together with all else as JSON."""
    for name, table in tables.items():
        with atomic_write(folder / f"{name}.csv", "w") as file:
            table.to_csv(file, index=False)
        # NaN is not JSON; an object column keeps `None`.
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        written |= {name: rows}
    write_json(folder / "ensembles.json", written)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
