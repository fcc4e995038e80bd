"""Stage `operating_points`: thresholds of the binary outcomes, chosen on cases not trained on.

Usage: python -m stages.operating_points data/split/manifest.csv models/ensemble
models/operating_points
"""

import argparse
import dataclasses
from pathlib import Path

from pipeline import manifest, params
from pipeline.command import run_stage
from pipeline.deploy.operating_points import OperatingPointsParams, choose_points
from pipeline.scoring.decisions import draw_resamples
from pipeline.scoring.ensemble_params import EnsembleParams
from pipeline.scoring.predictions import labels_of, read_ensemble
from pipeline.storage import write_json


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("operating_points", OperatingPointsParams)
    ensemble = params.load("ensemble", EnsembleParams)
    cases = manifest.read(args.table)
    predicted = cases[cases.fold.isin([manifest.TEST, ensemble.held_out])]
    _, probabilities = read_ensemble(args.ensemble / "predictions.csv", predicted)
    known = (predicted.fold != manifest.TEST).to_numpy()
    own = predicted[known]
    targets = choose_points(
        labels_of(own),
        probabilities[known],
        draw_resamples(own, params.read_section("evaluate")),
        settings=settings,
        images=ensemble.held_out_words,
    )
    found = {name: dataclasses.asdict(target) for name, target in targets.items()}
    write_json(args.target / "operating_points.json", found)
    print(
        f"operating_points: {len(found)} targets, {known.sum()} {ensemble.held_out_words} cases "
        f"in {args.target}"
    )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.operating_points", description=__doc__)
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("ensemble", type=Path, help="folder written by stage ensemble")
    parser.add_argument("target", type=Path, help="folder to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
