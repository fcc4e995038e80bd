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

import pandas as pd
from tqdm import tqdm

from pipeline import manifest, params
from pipeline.cad.corrupted import SCORES, Job, Result, score_case
from pipeline.cad.corrupted_sheet import draw_examples
from pipeline.cad.inference import Patient
from pipeline.command import run_stage
from pipeline.deploy import bundle as bundles
from pipeline.deploy.bundle import Bundle
from pipeline.images.corruptions.catalogue import CORRUPTIONS
from pipeline.images.decode import ImageError
from pipeline.manifest import TEST
from pipeline.parallel import ParallelParams, add_workers_option, map_in_order
from pipeline.scoring import robustness_plots
from pipeline.scoring.decisions import draw_resamples
from pipeline.scoring.predictions import labels_of
from pipeline.scoring.robustness import (
    RobustnessParams,
    choose_examples,
    draw_cases,
    group_rows,
    out_of_order,
    summarise,
    target_scores,
)
from pipeline.scoring.robustness_cells import (
    FLIPS,
    MACRO,
    Decision,
    Pictures,
    RobustnessError,
    arrange,
    measure_cells,
    measure_clean,
)
from pipeline.storage import write_csv, write_json

# Mean levels. A large JPEG, which the CAD decodes at a fraction of its size, differs by less;
# another orientation or order of colours by far more.
MOST_FILE_CHANGE = 3.0
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
    write_csv(args.target / "scores.csv", table, digits=9)
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
    return Job(
        case.image_id,
        Path(case.path),
        case.sha256,
        Patient.of_case(case),
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
    write_csv(target / "robustness.csv", as_whole(pd.DataFrame(rows)), digits=9)
    clean = measure_clean(pictures, decisions)
    title = f"test set, n = {clean['n']} cases\n"
    percent = f"{100 * interval:g} %"
    for name, end in DRAWN.items():
        by_group = group_rows(cells, GROUPS, name, interval)
        write_csv(target / f"groups{end}.csv", as_whole(pd.DataFrame(by_group)), digits=9)
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


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.robustness", description=__doc__)
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("bundle", type=Path, help="folder written by stage bundle")
    parser.add_argument("target", type=Path, help="folder to write")
    add_workers_option(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
