"""Stage `benchmark`: measure native TensorFlow against ONNX, per member and for the ensemble.

Usage: python -m stages.benchmark data/split/manifest.csv data/resize models/train models/ensemble
models/export reports/benchmark
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import manifest, params
from pipeline.command import run_stage
from pipeline.demographics import encode_demographics
from pipeline.deploy.artefacts import EnsembleArtefacts, MemberArtefacts
from pipeline.deploy.benchmark import BenchmarkError, BenchmarkParams, run_benchmark
from pipeline.deploy.charts import draw_latency, draw_sizes
from pipeline.network.member_params import MemberParams
from pipeline.scoring.ensemble_params import EnsembleParams
from pipeline.shards.arrays import ArrayShards
from pipeline.storage import read_json, write_json


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("benchmark", BenchmarkParams)
    deployed = params.load("ensemble", EnsembleParams)
    folds = deployed.deployed_folds(params.read_section("split.train_folds"))
    members = [find_member(name, folds, args) for name in deployed.members]
    ensemble = EnsembleArtefacts(
        onnx=args.exported / "ensemble.onnx",
        reference=args.ensemble / "reference.npz",
        probability_map=args.ensemble / "probability_map.json",
    )
    cases = pick_cases(args.table, max(settings.batches))
    result = run_benchmark(members, ensemble, read_inputs(cases, members, args.arrays), settings)
    # The interpreter's own path says nothing that matters, and differs by machine.
    result["command"] = " ".join(["python", *sys.orig_argv[1:]])
    args.target.mkdir(parents=True, exist_ok=True)
    write_json(args.target / "benchmark.json", result)
    draw_latency(result, args.target / "latency.png")
    draw_sizes(result, args.target / "sizes.png")
    print(f"benchmark: {len(members)} members and the ensemble in {args.target}")


def find_member(name: str, folds: tuple[int, ...], args: argparse.Namespace) -> MemberArtefacts:
    """Gather what the stages before left of one member."""
    trained = [args.trained / f"{name}-{fold}" for fold in folds]
    summaries = [read_json(folder / "summary.json") for folder in trained]
    return MemberArtefacts(
        member=name,
        recipe=params.load(f"member.{name}", MemberParams),
        parameters=sum(found["parameters"] for found in summaries),
        training_checkpoint_bytes=sum(found["training_checkpoint_bytes"] for found in summaries),
        weights=tuple(folder / "weights.weights.h5" for folder in trained),
        views=params.read_section("predict.views"),
        savedmodel=args.exported / "savedmodel" / name,
        onnx=args.exported / f"{name}.onnx",
    )


def pick_cases(table: Path, count: int) -> pd.DataFrame:
    """Take the first test cases, from the start again where there are fewer than `count`."""
    frame = manifest.read(table)
    test = frame[frame.fold == manifest.TEST]
    if test.empty:
        raise BenchmarkError(f"{table} must have a case whose fold is 'test'. Got none.")
    return test.iloc[np.arange(count) % len(test)]


def read_inputs(
    cases: pd.DataFrame, members: list[MemberArtefacts], arrays: Path
) -> dict[str, np.ndarray]:
    """Read every input that a member takes, one row per case."""
    rows = cases[["age_years", "sex", "site"]].itertuples(index=False)
    inputs = {"demographics": np.stack([encode_demographics(*row) for row in rows])}
    for member in members:
        if member.inputs[0] not in inputs:
            shards = ArrayShards(arrays / member.member)
            inputs[member.inputs[0]] = shards.read(cases.image_id.tolist())
    return inputs


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.benchmark", description=__doc__)
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("arrays", type=Path, help="folder of stage resize, one folder per member")
    parser.add_argument("trained", type=Path, help="folder of stage train")
    parser.add_argument("ensemble", type=Path, help="folder written by stage ensemble")
    parser.add_argument("exported", type=Path, help="folder written by stage export")
    parser.add_argument("target", type=Path, help="folder to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
