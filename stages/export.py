"""Stage `export`: every deployed member to ONNX, and the ensemble as one graph, behind a gate.

Usage: python -m stages.export data/split/manifest.csv data/resize models/train models/ensemble
models/export
"""

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from tqdm import tqdm

from pipeline import manifest, params
from pipeline.command import run_stage
from pipeline.demographics import encode_demographics
from pipeline.deploy.merge import merge_members
from pipeline.deploy.parity import (
    MemberParity,
    check_ensemble,
    check_member,
    open_session,
)
from pipeline.network.member_params import MemberParams
from pipeline.processes import environment_of_children
from pipeline.scoring.ensemble import load_reference
from pipeline.scoring.ensemble_params import EnsembleParams
from pipeline.scoring.probability_map import load_probability_map
from pipeline.shards.arrays import ArrayShards
from pipeline.storage import write_json

# tf2onnx converts networks of TensorFlow, whatever backend they were trained on.
CONVERTING = {"KERAS_BACKEND": "tensorflow"}


@dataclass(frozen=True)
class ExportParams:
    """Section `export` of `params.yaml`."""

    opset: int
    parity_images: int
    probability_tolerance: float

    def __post_init__(self) -> None:
        if not 13 <= self.opset <= 18:
            raise ValueError(f"opset must be from 13 to 18, tf2onnx's highest. Got: {self.opset}.")
        if self.parity_images < 1:
            raise ValueError(f"parity_images must be at least 1. Got: {self.parity_images}.")


@dataclass(frozen=True)
class Job:
    """What one worker process converts."""

    name: str
    member: MemberParams
    weights: tuple[Path, ...]
    views: int
    pixels: np.ndarray
    demographics: np.ndarray
    target: Path
    settings: ExportParams


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("export", ExportParams)
    ensemble = params.load("ensemble", EnsembleParams)
    cases = parity_cases(args.table, settings.parity_images)
    folds = ensemble.deployed_folds(params.read_section("split.train_folds"))
    jobs = [make_job(name, folds, cases, settings, args) for name in ensemble.members]
    parity, native = {}, {}
    # One process a member: TensorFlow starts once in each, and conversion uses a single core.
    context = multiprocessing.get_context("spawn")
    workers = min(len(jobs), os.cpu_count() or 1)
    pool = ProcessPoolExecutor(workers, mp_context=context)
    with environment_of_children(CONVERTING), pool:
        # Largest first: it takes as long as the others together.
        futures = [pool.submit(convert, job) for job in sorted(jobs, key=_size, reverse=True)]
        for future in tqdm(futures, desc="export"):
            result, scores = future.result()
            parity[result.member] = check_member(result)
            native[result.member] = scores
    parity["ensemble"] = merge_and_check(jobs, native, args)
    write_json(args.target / "parity.json", parity)
    size = (args.target / "ensemble.onnx").stat().st_size
    print(
        f"export: {len(jobs)} members and ensemble.onnx, {size / 2**20:.0f} MiB, in {args.target}"
    )


def _size(job: Job) -> int:
    return sum(path.stat().st_size for path in job.weights)


def parity_cases(table: Path, count: int) -> pd.DataFrame:
    """Take test cases for the comparison, or any where the test set is smaller."""
    frame = manifest.read(table)
    is_test = frame.fold == manifest.TEST
    order = pd.concat([frame[is_test], frame[~is_test]])
    return order.head(count)


def make_job(
    name: str,
    folds: tuple[int, ...],
    cases: pd.DataFrame,
    settings: ExportParams,
    args: argparse.Namespace,
) -> Job:
    """Gather what one member's conversion needs."""
    rows = cases[["age_years", "sex", "site"]].itertuples(index=False)
    return Job(
        name=name,
        member=params.load(f"member.{name}", MemberParams),
        weights=tuple(args.trained / f"{name}-{fold}" / "weights.weights.h5" for fold in folds),
        views=params.read_section("predict.views"),
        pixels=ArrayShards(args.arrays / name).read(cases.image_id.tolist()),
        demographics=np.stack([encode_demographics(*row) for row in rows]),
        target=args.target,
        settings=settings,
    )


def convert(job: Job) -> tuple[MemberParity, np.ndarray]:
    """Convert one member and compare; runs in a process of its own."""
    # TensorFlow is imported by the workers alone.
    from pipeline.deploy.export import export_member, export_savedmodel
    from pipeline.network.compiled import make_predictor, prepare_backend
    from pipeline.network.scored import load_scored

    prepare_backend()
    model = load_scored(job.member, job.weights, views=job.views)
    predict = make_predictor(model)
    native = predict(job.pixels, job.demographics)
    alone = [
        predict(job.pixels[i : i + 1], job.demographics[i : i + 1]) for i in range(len(native))
    ]
    path = job.target / f"{job.name}.onnx"
    export_member(
        model, path, member=job.name, crop_px=job.member.crop_px, opset=job.settings.opset
    )
    export_savedmodel(model, job.target / "savedmodel" / job.name)
    session = open_session(path)
    (converted,) = session.run(None, feeds(session, {job.name: job}))
    result = MemberParity(
        member=job.name,
        images=len(native),
        noise=float(np.abs(native - np.concatenate(alone)).max()),
        difference=float(np.abs(native - converted).max()),
        tolerance=job.settings.probability_tolerance,
    )
    return result, native


def merge_and_check(
    jobs: list[Job], native: dict[str, np.ndarray], args: argparse.Namespace
) -> dict[str, Any]:
    """Write the merged graph and hold it against formula and members."""
    references = load_reference(args.ensemble / "reference.npz")
    probability_map = load_probability_map(args.ensemble / "probability_map.json")
    graphs = {job.name: onnx.load(args.target / f"{job.name}.onnx") for job in jobs}
    path = args.target / "ensemble.onnx"
    merge_members(graphs, references, probability_map, path)
    session = open_session(path)
    answers = session.run(None, feeds(session, {job.name: job for job in jobs}))
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, answers, strict=True))
    return check_ensemble(outputs, native, references, probability_map)


def feeds(session: Any, jobs: dict[str, Job]) -> dict[str, np.ndarray]:
    """Match a graph's inputs with the members' arrays."""
    known: dict[str, np.ndarray] = {}
    for job in jobs.values():
        known[f"image_{job.member.crop_px}_{job.member.input_px}"] = job.pixels
        known["demographics"] = job.demographics
    return {value.name: known[value.name] for value in session.get_inputs()}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.export", description=__doc__)
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("arrays", type=Path, help="folder of stage resize, one folder per member")
    parser.add_argument("trained", type=Path, help="folder of stage train")
    parser.add_argument("ensemble", type=Path, help="folder written by stage ensemble")
    parser.add_argument("target", type=Path, help="folder to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
