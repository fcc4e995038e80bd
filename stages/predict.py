"""Stage `predict`: score with one trained network what it did not train on.

That is the fold left out, the test set, and the calibration part where there is one.

Usage: python -m stages.predict --member b4 --fold 0 data/split/manifest.csv data/resize/b4
models/train/b4-0 data/predict/b4-0
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import params
from pipeline.classes import CLASSES
from pipeline.command import run_stage
from pipeline.network.compiled import make_predictor, prepare_backend
from pipeline.network.inputs import load_cases, select_cases, split_fold
from pipeline.network.member_params import MemberParams
from pipeline.network.predict import predict_cases
from pipeline.network.scored import load_scored
from pipeline.network.views import average_views, check_views
from pipeline.storage import write_csv, write_json


@dataclass(frozen=True)
class PredictParams:
    """Section `predict` of `params.yaml`."""

    batch_size: int
    views: int

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Got: {self.batch_size}.")
        check_views(self.views)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("predict", PredictParams)
    member = params.load(f"member.{args.member}", MemberParams)
    prepare_backend()
    weights = args.trained / "weights.weights.h5"
    model = load_scored(member, [weights], views=1)
    upright = make_predictor(model)
    predictor = upright
    if settings.views > 1:
        predictor = make_predictor(average_views(model, settings.views))
    frame, shards = load_cases(args.table, args.arrays)

    tables, summary = [], {}
    for part, rows in split_fold(frame, args.fold).items():
        if rows.empty:
            continue
        cases = select_cases(rows, shards)
        # The recipe's table quotes training accuracy without augmentation: one view is enough, and
        # the training images are most of all.
        use = upright if part == "training" else predictor
        scores = predict_cases(use, cases, batch_size=settings.batch_size, progress=part)
        if part == "training":
            right = scores.argmax(axis=1) == cases.labels
            summary = {"training_accuracy": float(right.mean()), "training_images": len(cases)}
        else:
            tables.append(as_table(scores, cases.image_ids, args.member, args.fold, part))
    predictions = pd.concat(tables)
    write_csv(args.target / "predictions.csv", predictions, digits=9)
    write_json(args.target / "summary.json", summary)
    print(f"predict: {len(predictions)} cases by {args.member}-{args.fold} in {args.target}")


def as_table(
    scores: np.ndarray, image_ids: list[str], member: str, fold: int, part: str
) -> pd.DataFrame:
    """Lay predictions out as DESIGN's table."""
    table = pd.DataFrame({"image_id": image_ids, "member": member, "fold": fold, "split": part})
    return table.join(pd.DataFrame(scores, columns=[f"p_{name}" for name in CLASSES]))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.predict", description=__doc__)
    parser.add_argument("--member", required=True, help="name in section member of params.yaml")
    parser.add_argument("--fold", type=int, required=True, help="fold that was left out")
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("arrays", type=Path, help="folder written by stage resize")
    parser.add_argument("trained", type=Path, help="folder written by stage train")
    parser.add_argument("target", type=Path, help="folder to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
