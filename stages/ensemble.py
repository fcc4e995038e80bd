"""Stage `ensemble`: rank tables, rank averages, the probability map, all predictions in one table.

Usage: python -m stages.ensemble data/split/manifest.csv data/predict models/ensemble

`calibration.csv` says how each map did on patients that it was not fitted on.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import manifest, params
from pipeline.command import run_stage
from pipeline.scoring.bootstrap import resampling_units
from pipeline.scoring.calibration import choose_method, compare_maps, fit_map
from pipeline.scoring.ensemble import combine, make_reference, save_reference
from pipeline.scoring.ensemble_params import EnsembleParams
from pipeline.scoring.fold_predictions import choose_deployed, list_predictions, read_folds
from pipeline.scoring.predictions import PROBABILITIES, RANK_SCORES, labels_of, split_of
from pipeline.storage import write_csv, write_json


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("ensemble", EnsembleParams)
    table = manifest.read(args.table)
    folds = tuple(params.read_section("split.train_folds"))
    by_fold = read_folds(args.predictions, settings.members, folds, table)
    predicted = choose_deployed(by_fold, settings)
    known = ~predicted.is_test  # the reference and the map come from these alone
    if not known.any():
        raise ValueError(f"{args.table}: fold {settings.held_out} must have cases. Got: none.")

    references = {name: make_reference(scores[known]) for name, scores in predicted.scores.items()}
    joined = combine(references, predicted.scores)
    own, labels = joined.only(known), labels_of(predicted.cases[known])
    units = resampling_units(predicted.cases[known])
    compared = compare_maps(own, labels, units, settings.calibration)
    method = choose_method(compared, settings.calibration.method)
    fitted = fit_map(method, own, labels, settings.calibration.regularisation_c)
    scored = as_table(predicted.cases, joined.rank_average, fitted.apply(joined))

    save_reference(args.target / "reference.npz", references)
    write_json(args.target / "probability_map.json", fitted.to_json())
    write_csv(args.target / "calibration.csv", compared.assign(chosen=compared.method == method))
    write_csv(args.target / "predictions.csv", scored)
    write_csv(args.target / "members.csv", list_predictions(by_fold), digits=9)
    print(
        f"ensemble: {len(references)} members, {known.sum()} {settings.held_out_words} and "
        f"{(~known).sum()} test cases, probabilities by {method} in {args.target}"
    )


def as_table(cases: pd.DataFrame, ranks: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Lay the ensemble's scores out beside the members' predictions."""
    table = pd.DataFrame({"image_id": cases.image_id.to_numpy(), "split": split_of(cases)})
    names = [*RANK_SCORES, *PROBABILITIES]
    return table.join(pd.DataFrame(np.hstack([ranks, probabilities]), columns=names))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.ensemble", description=__doc__)
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("predictions", type=Path, help="folder of the outputs of stage predict")
    parser.add_argument("target", type=Path, help="folder to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
