"""Stage `robustness`: what is deployed, on the test set's originals corrupted in 22 ways.

Usage: python -m stages.robustness data/split/manifest.csv models/bundle reports/robustness

Each original is decoded whole, corrupted, encoded without loss, and scored from those bytes as the
CAD would: crop, resize, the bundle's graph, with the patient's demographics. Clean images go the
same way, so that the corruption is the only difference; what the files themselves score is compared
with them.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pipeline import manifest, params
from pipeline.cad.corrupted import SCORES, Job, Result, read_original, score_case
from pipeline.cad.inference import Patient
from pipeline.classes import CLASSES
from pipeline.command import run_stage
from pipeline.deploy import bundle as bundles
from pipeline.deploy.bundle import Bundle
from pipeline.images.contact_sheet import Tile, draw_sheet, encode_sheet
from pipeline.images.corruptions.catalogue import CORRUPTIONS, SEVERITIES, corrupt
from pipeline.images.decode import DecodeParams, ImageError
from pipeline.manifest import TEST
from pipeline.parallel import ParallelParams, map_in_order
from pipeline.scoring import robustness_plots
from pipeline.scoring.decisions import draw_resamples
from pipeline.scoring.predictions import labels_of
from pipeline.scoring.robustness import (
    RobustnessParams,
    draw_cases,
    group_rows,
    out_of_order,
    summarise,
)
from pipeline.scoring.robustness_cells import (
    CLEAN,
    FLIPS,
    MACRO,
    Decision,
    Pictures,
    RobustnessError,
    arrange,
    measure_cells,
    measure_clean,
)
from pipeline.storage import atomic_write, write_json

# Mean levels. A large JPEG, which the CAD decodes at a fraction of its size, differs by less;
# another orientation or order of colours by far more.
MOST_FILE_CHANGE = 3.0
CELL_PX = (165, 220)
GROUPS = {name: corruption.group for name, corruption in CORRUPTIONS.items()}

# What is drawn, and what ends its files' names; the second has intervals even of a few cases.
DRAWN = {MACRO: "", "auroc_malignant": "_malignant"}


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("robustness", RobustnessParams)
    parallel = params.load("parallel", ParallelParams).with_workers(args.workers)
    bundle = bundles.load(args.bundle)
    cases = choose_cases(manifest.read(args.table), settings)
    jobs = [make_job(case, bundle, settings) for case in cases.itertuples()]
    results = map_in_order(score_case, jobs, parallel.processes, parallel.cluster)
    found = list(tqdm(results, desc="robustness", total=len(jobs), unit="case"))
    refuse_problems([result.problem for result in found if result.problem])
    table = pd.DataFrame([row for result in found for row in result.rows])
    write_table(args.target, "scores", table)
    pictures = arrange(
        table,
        cases.image_id,
        labels_of(cases),
        draw_resamples(cases, params.read_section("evaluate")),
    )
    decisions = {
        name: Decision(target.classes, target.decision.threshold)
        for name, target in bundle.manifest.thresholds.items()
    }
    summary = report(args.target, pictures, decisions)
    summary |= {
        "bundle": {"name": bundle.manifest.name, "sha256": bundle.sha256},
        "clean_path": compare_files(found),
    }
    write_json(args.target / "robustness.json", summary)
    worst = [one["corruption"] for one in summary["worst"]]
    chances = target_scores(table, decisions["malignant"])
    shown = choose_examples(chances, pictures.labels, decisions["malignant"], worst)
    by_name = {job.image_id: job for job in jobs}
    draw_examples(
        args.target / "examples.png",
        [by_name[image_id] for image_id in shown[: settings.examples]],
        chances,
        decisions["malignant"].threshold,
        worst=worst,
        limits=bundle.manifest.preprocessing.decode,
    )
    strongest = summary["strongest"]
    print(
        f"robustness: {len(cases)} cases, {strongest['lowering']} of {strongest['of']} corruptions "
        f"lower macro AUROC at severity {strongest['severity']}, worst {', '.join(worst)}, "
        f"in {args.target}"
    )


def choose_cases(table: pd.DataFrame, settings: RobustnessParams) -> pd.DataFrame:
    """Draw the test cases that are scored, in the order of their names."""
    test = table[table.fold == TEST].reset_index(drop=True)
    if test.empty:
        raise manifest.ManifestError("the manifest must have test cases. Got: none.")
    drawn = draw_cases(test.image_id, labels_of(test), most=settings.images, seed=settings.seed)
    return test.iloc[drawn].reset_index(drop=True)


def make_job(case: Any, bundle: Bundle, settings: RobustnessParams) -> Job:
    """Put together what scores one row of the manifest."""
    age = None if np.isnan(case.age_years) else case.age_years
    return Job(
        case.image_id,
        Path(case.path),
        case.sha256,
        Patient(age, case.sex or None, case.site or None),
        bundle.folder,
        bundle.sha256,
        settings.batch_size,
        settings.seed,
    )


def refuse_problems(problems: list[str]) -> None:
    """Raise once for all originals that cannot be used."""
    if problems:
        listed = "".join(f"\n  {problem}" for problem in problems[:5])
        raise ImageError(f"every original must be usable. Got {len(problems)} not so:{listed}")


def compare_files(found: list[Result]) -> dict[str, Any]:
    """Say how far the clean path, decoded and encoded again, is from the files themselves.

    Raises:
        RobustnessError: It shows the CAD another image.
    """
    changes = [result.file["input_change"] for result in found]
    if max(changes) > MOST_FILE_CHANGE:
        raise RobustnessError(
            f"clean images must reach the graph as their files do, within {MOST_FILE_CHANGE} "
            f"levels on average. Got: {max(changes):.1f}."
        )
    apart = [abs(r.rows[0][name] - r.file[name]) for r in found for name in SCORES]
    return {
        "cases": len(found),
        "same_inputs": sum(change == 0 for change in changes),
        "largest_input_change": max(changes),
        "largest_score_difference": max(apart),
    }


def report(target: Path, pictures: Pictures, decisions: dict[str, Decision]) -> dict[str, Any]:
    """Measure, write the tables, draw the charts, and sum up."""
    cells = measure_cells(pictures, decisions)
    interval = pictures.resamples.interval
    rows = [{"group": GROUPS[cell.corruption]} | cell.row for cell in cells]
    write_table(target, "robustness", as_whole(pd.DataFrame(rows)))
    clean = measure_clean(pictures, decisions)
    title = f"test set, n = {clean['n']} cases\n"
    percent = f"{100 * interval:g} %"
    for name, end in DRAWN.items():
        by_group = group_rows(cells, GROUPS, name, interval)
        write_table(target, f"groups{end}", as_whole(pd.DataFrame(by_group)))
        robustness_plots.plot_curves(
            target / f"curves{end}.png",
            name,
            rows,
            by_group,
            clean=clean,
            title=f"{title}band: {percent} of resamples of patients",
        )
        words = f"{title}bold: the {percent} interval leaves out 0"
        robustness_plots.plot_drops(target / f"drops{end}.png", name, rows, words)
    for name in decisions:
        words = f"{name.capitalize()}, {title}{clean[f'{name}_positives']} of them positive"
        robustness_plots.plot_flips(target / f"flips_{name}.png", rows, name, words)
    summary = summarise(cells, GROUPS, decisions, interval)
    return summary | {"clean": clean, "severities_out_of_order": out_of_order(pictures)}


def as_whole(table: pd.DataFrame) -> pd.DataFrame:
    """Keep counts whole numbers where cells are empty."""
    ends = ("_resamples", *FLIPS)
    return table.astype({name: "Int64" for name in table if name.endswith(ends)})


def write_table(target: Path, name: str, table: pd.DataFrame) -> None:
    with atomic_write(target / f"{name}.csv", "w") as file:
        table.to_csv(file, index=False, float_format="%.9g")


def target_scores(table: pd.DataFrame, decision: Decision) -> pd.DataFrame:
    """Sum a target's probabilities: a row for each case, a column for (corruption, severity)."""
    scores = table[[f"p_{name}" for name in decision.classes]].sum(axis=1, skipna=False)
    return (
        table.assign(score=scores)
        .pivot(index="image_id", columns=["corruption", "severity"], values="score")
        .sort_index()
    )


def choose_examples(
    chances: pd.DataFrame, labels: np.ndarray, decision: Decision, worst: list[str]
) -> list[str]:
    """Order the cases for showing: found positives first, then by how far the scores fall."""
    clean = chances[CLEAN, 0]
    positive = np.isin(labels, [CLASSES.index(name) for name in decision.classes])
    found = positive & (clean >= (decision.threshold or 0.0))
    fall = clean - chances[worst].mean(axis=1) if worst else clean
    order = pd.DataFrame({"missed": ~found, "rise": -fall}).sort_values(["missed", "rise"])
    return order.index.tolist()


def draw_examples(
    path: Path,
    jobs: list[Job],
    chances: pd.DataFrame,
    threshold: float | None,
    *,
    worst: list[str],
    limits: DecodeParams,
) -> None:
    """Show cases, clean and under the worst corruptions, a row each, with what the CAD says."""
    sheet = []
    for job in jobs:
        pixels, known = read_original(job, limits), chances.loc[job.image_id]
        for name in worst:
            row = [Tile(pixels, f"{job.image_id}, clean: {verdict(known[CLEAN, 0], threshold)}")]
            for severity in SEVERITIES:
                score = known[name, severity]
                if np.isnan(score):
                    continue
                tile = corrupt(
                    pixels, name, severity=severity, image_id=job.image_id, seed=job.seed
                )
                words = f"{name.replace('_', ' ')} {severity}: {verdict(score, threshold)}"
                row.append(Tile(tile, words))
            sheet.append(row)
    if sheet:
        with atomic_write(path) as file:
            file.write(encode_sheet(draw_sheet(sheet, cell_px=CELL_PX)))


def verdict(score: float, threshold: float | None) -> str:
    """Word a score and its decision."""
    if threshold is None:
        return f"{score:.2f}"
    return f"{score:.2f}, {'malignant' if score >= threshold else 'benign'}"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.robustness", description=__doc__)
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("bundle", type=Path, help="folder written by stage bundle")
    parser.add_argument("target", type=Path, help="folder to write")
    parser.add_argument(
        "--workers",
        type=int,
        help="processes, instead of params.yaml's parallel.workers; no byte depends on it",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
