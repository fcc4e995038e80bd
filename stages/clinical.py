"""Stage `clinical`: can the probabilities be believed, what do decisions cost, and for whom.

Usage: python -m stages.clinical data/split/manifest.csv data/predict data/skin_tone models/ensemble
models/operating_points reports/clinical

All of it on the test set, with maps and thresholds from cases that no deployed network trained on.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pipeline import manifest, params
from pipeline.command import run_stage
from pipeline.images.skin_tone import ITA_GROUPS
from pipeline.manifest import TEST
from pipeline.scoring import clinical, clinical_plots
from pipeline.scoring.calibration import fit_map, refuse_other_fit
from pipeline.scoring.clinical import MEAN, ClinicalParams, Outcome, Tested
from pipeline.scoring.decisions import (
    Rows,
    as_table,
    decision_rows,
    draw_resamples,
    net_benefit_rows,
)
from pipeline.scoring.ensemble import combine, load_reference
from pipeline.scoring.ensemble_params import EnsembleParams
from pipeline.scoring.ensembles import mean_probabilities
from pipeline.scoring.fold_predictions import choose_deployed, read_folds
from pipeline.scoring.predictions import labels_of
from pipeline.scoring.probability_map import METHODS, load_probability_map
from pipeline.scoring.reliability import ERROR, reliability_rows
from pipeline.scoring.subgroups import (
    Target,
    attributes_of,
    compare_skin_types,
    measure_subgroups,
)
from pipeline.storage import read_json, write_csv, write_json

DRAWN = ("sensitivity", "auroc")  # of the subgroups
LIGHT_TO_DARK = [name for name, _ in ITA_GROUPS]


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("clinical", ClinicalParams)
    cases = manifest.read(args.table)
    tested = read_tested(args, cases)
    outcomes = clinical.read_outcomes(read_json(args.thresholds / "operating_points.json"))
    calibration = clinical.calibration_table(tested, settings.bins)
    seed = params.read_section("evaluate.seed")
    targets = clinical.target_table(tested, outcomes, settings.bins)
    decided = decide(tested, outcomes, settings)
    write_tables(
        args.target,
        calibration=calibration,
        calibration_by_chance=clinical.chance_table(tested, settings, seed),
        calibration_of_targets=targets,
        operating_points=decided,
    )
    for name, outcome in tqdm(outcomes.items(), desc="clinical", unit="target"):
        draw_target(args.target, tested, name, outcome, targets=targets, settings=settings)
    report_subgroups(args, cases, tested, outcomes, settings)
    write_json(args.target / "clinical.json", summarise(calibration, decided, tested.deployed))
    print(f"clinical: {len(tested.labels)} test cases, {len(outcomes)} targets in {args.target}")


def read_tested(args: argparse.Namespace, cases: pd.DataFrame) -> Tested:
    """Read the test set and its probabilities, and fit the maps that were not deployed."""
    ensemble = params.load("ensemble", EnsembleParams)
    folds = tuple(params.read_section("split.train_folds"))
    by_fold = read_folds(args.predictions, ensemble.members, folds, cases)
    predicted = choose_deployed(by_fold, ensemble)
    joined = combine(load_reference(args.ensemble / "reference.npz"), predicted.scores)
    known, test = ~predicted.is_test, predicted.only(TEST)
    own, labels = joined.only(known), labels_of(predicted.cases[known])
    strength = ensemble.calibration.regularisation_c
    deployed = load_probability_map(args.ensemble / "probability_map.json")
    refuse_other_fit(deployed, own, labels, strength)
    maps = {method: fit_map(method, own, labels, strength) for method in METHODS}
    name = deployed.to_json()["method"]
    probabilities = {MEAN: mean_probabilities(test.scores)}
    for method, fitted in (maps | {name: deployed}).items():
        probabilities[method] = fitted.apply(joined.only(~known))
    resamples = draw_resamples(test.cases, params.read_section("evaluate"))
    return Tested(test.cases, labels_of(test.cases), probabilities, name, resamples)


def decide(tested: Tested, outcomes: dict[str, Outcome], settings: ClinicalParams) -> pd.DataFrame:
    """Measure every threshold of every outcome, at every prevalence."""
    rows: Rows = []
    for name, outcome in outcomes.items():
        cases = tested.target(outcome.classes, tested.deployed)
        stated = settings.prevalences[name]
        found = decision_rows(outcome.chosen, cases, stated, tested.resamples)
        decides = len(found) // len(outcome.chosen)  # rows of the first threshold
        rows += [
            {"target": name, "decides": number < decides} | row for number, row in enumerate(found)
        ]
    return as_table(rows)


def draw_target(
    target: Path,
    tested: Tested,
    name: str,
    outcome: Outcome,
    *,
    targets: pd.DataFrame,
    settings: ClinicalParams,
) -> None:
    """Write and draw an outcome's reliability, decision curve and thresholds."""
    cases = tested.target(outcome.classes, tested.deployed)
    title = f"{name.capitalize()}, {tested.name}, {cases.positive.sum()} positive"
    curves = {
        way: reliability_rows(tested.target(outcome.classes, way), settings.bins, tested.resamples)
        for way in (MEAN, tested.deployed)
    }
    benefit = net_benefit_rows(cases, settings.threshold_probabilities, tested.resamples)
    write_tables(
        target,
        **{
            f"reliability_{name}": pd.concat(
                [pd.DataFrame(rows).assign(map=way) for way, rows in curves.items()]
            ),
            f"decision_curve_{name}": as_table(benefit),
        },
    )
    measured = targets[targets.target == name].set_index("map")
    panels = [
        clinical_plots.ReliabilityPanel(f"{way}".replace("_", " "), rows, note(measured.loc[way]))
        for way, rows in curves.items()
    ]
    clinical_plots.plot_reliability(target / f"reliability_{name}.png", panels, title)
    percent = f"band: {100 * tested.resamples.interval:g} % of resamples"
    clinical_plots.plot_decision_curve(
        target / f"decision_curve_{name}.png", benefit, f"{title}\n{percent}"
    )
    clinical_plots.plot_thresholds(target / f"thresholds_{name}.png", cases, outcome.chosen, title)


def note(row: pd.Series) -> str:
    """Word a panel's figures."""
    lines = []
    for label, figure in (
        ("Brier", "brier_score"),
        ("ECE", ERROR),
        ("slope", "calibration_slope"),
        ("obs./exp.", "observed_expected"),
    ):
        value = row[figure]
        lines.append(f"{label} {'undefined' if pd.isna(value) else f'{value:.3f}'}")
    return "\n".join(lines)


def report_subgroups(
    args: argparse.Namespace,
    cases: pd.DataFrame,
    tested: Tested,
    outcomes: dict[str, Outcome],
    settings: ClinicalParams,
) -> None:
    """Measure and draw every outcome in every group."""
    tones = read_tones(args.skin_tone / "skin_tone.csv")
    of_tested = tones.ita_group.loc[tested.cases.image_id]
    attributes = attributes_of(
        tested.cases,
        age_edges_years=settings.age_edges_years,
        edges_px=settings.edges_px,
        skin_tone=pd.Series(pd.Categorical(of_tested, LIGHT_TO_DARK)),
    )
    targets = {
        name: Target(tested.target(outcome.classes, tested.deployed), outcome.threshold)
        for name, outcome in outcomes.items()
    }
    rows, gaps = measure_subgroups(attributes, targets, tested.resamples, least=settings.least)
    known = cases.set_index("image_id").fitzpatrick_skin_type
    write_tables(
        args.target,
        subgroups=as_table(rows),
        subgroup_gaps=as_table(gaps),
        skin_types=compare_skin_types(known, tones.ita_degrees.reindex(known.index)),
    )
    for name in targets:
        own = [row for row in rows if row["target"] == name]
        for figure in DRAWN:
            clinical_plots.plot_subgroups(
                args.target / f"subgroups_{name}_{figure}.png",
                own,
                figure,
                title=f"{name.capitalize()}, {tested.name}\n"
                f"bars: {100 * tested.resamples.interval:g} % intervals",
                least=settings.least,
            )


def read_tones(path: Path) -> pd.DataFrame:
    """Read `ita_degrees` and `ita_group` by image; missing where too little skin was seen."""
    types = {"image_id": str, "ita_degrees": np.float64, "ita_group": str}
    return pd.read_csv(path, dtype=types).set_index("image_id")


def summarise(
    calibration: pd.DataFrame, decided: pd.DataFrame, deployed: str
) -> dict[str, dict[str, Any]]:
    """Take what `dvc metrics` shows: calibration before and after, and what decides."""
    figures = ["log_loss", "brier_score", f"{ERROR}_top_label", f"{ERROR}_class_wise"]
    by_map = calibration.set_index("map")
    found = {
        "calibration": {
            f"{figure}_{moment}": by_map.loc[way, figure]
            for figure in figures
            for moment, way in (("before", MEAN), ("after", deployed))
        }
    }
    own = decided[decided.decides & ~decided.is_stated]
    for _, row in own.iterrows():
        names = ["n", "positives", "threshold"]
        for figure in ("sensitivity", "specificity", "ppv", "npv"):
            names += [figure, f"{figure}_low", f"{figure}_high"]
        found[row.target] = {name: row[name] for name in names}
    return {part: {k: as_json(v) for k, v in row.items()} for part, row in found.items()}


def as_json(value: Any) -> Any:
    """Turn a cell into what JSON holds; `None` where empty."""
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def write_tables(target: Path, **written: pd.DataFrame) -> None:
    """Write each table as CSV under its name."""
    for name, table in written.items():
        write_csv(target / f"{name}.csv", table)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.clinical", description=__doc__)
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("predictions", type=Path, help="folder of the outputs of stage predict")
    parser.add_argument("skin_tone", type=Path, help="folder written by stage skin_tone")
    parser.add_argument("ensemble", type=Path, help="folder written by stage ensemble")
    parser.add_argument("thresholds", type=Path, help="folder written by stage operating_points")
    parser.add_argument("target", type=Path, help="folder to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
