"""Stage `report`: all that was measured, on one page that opens offline.

Usage: python -m stages.report data/ingest data/split models/ensemble models/operating_points
models/gate models/bundle reports/evaluate reports/clinical reports/benchmark reports/robustness
reports/explain reports/report.html

The page shows pictures of the archives' cases in its galleries: it may go where those may.
"""

import argparse
from pathlib import Path

from pipeline import manifest, params
from pipeline.command import run_stage
from pipeline.deploy.report import (
    about,
    classes,
    costs,
    data,
    decisions,
    explanation,
    gate,
    models,
    probabilities,
    robustness,
    subgroups,
)
from pipeline.deploy.report.inputs import Folder, Inputs
from pipeline.page import render_page
from pipeline.storage import atomic_write

TITLE = "DermEnsemble: what it does, and how well"
SECTIONS = (
    about.describe_purpose,
    about.describe_headline,
    data.describe_cases,
    data.describe_split,
    models.describe_recipe,
    models.describe_ensemble,
    classes.describe_classes,
    classes.describe_confusion,
    classes.describe_curves,
    probabilities.describe_calibration,
    decisions.describe_decisions,
    subgroups.describe_subgroups,
    robustness.describe_robustness,
    gate.describe_gate,
    explanation.describe_explanation,
    costs.describe_costs,
    about.describe_limits,
    about.describe_licences,
    about.describe_reproduction,
)
# Arguments with the stage that writes each, in the order in which they are given.
FOLDERS = {
    "ingested": "ingest",
    "split": "split",
    "ensemble": "ensemble",
    "thresholds": "operating_points",
    "gate": "gate",
    "bundle": "bundle",
    "evaluated": "evaluate",
    "clinical": "clinical",
    "benchmark": "benchmark",
    "robustness": "robustness",
    "explained": "explain",
}


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    folders = {name: Folder(stage, getattr(args, name)) for name, stage in FOLDERS.items()}
    cases = manifest.read(folders["split"].file("manifest.csv"))
    inputs = Inputs(cases=cases, settings=params.read_all(), **folders)
    sections = [describe(inputs) for describe in SECTIONS]
    page = render_page(TITLE, lead_of(inputs), sections)
    with atomic_write(args.target, "w") as file:
        file.write(page)
    size = len(page.encode()) / 2**20
    print(f"report: {len(sections)} sections, {size:.1f} MiB in {args.target}")


def lead_of(inputs: Inputs) -> str:
    """Say how the page is to be read."""
    return (
        "One page of everything that was measured of this ensemble. Each section opens with what "
        f"it found; each chart has its numbers below it; intervals are {inputs.percent}."
    )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.report", description=__doc__)
    for name, stage in FOLDERS.items():
        parser.add_argument(name, type=Path, help=f"folder written by stage {stage}")
    parser.add_argument("target", type=Path, help="HTML file to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
