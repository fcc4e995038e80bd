"""Stage `train`: train one member with one fold left out, resuming where it was killed.

Usage: python -m stages.train --member b4 --fold 0 data/split/manifest.csv data/resize/b4
models/train/b4-0
"""

import argparse
import shutil
import time
from pathlib import Path

import keras
import pandas as pd

from pipeline import params
from pipeline.command import run_stage
from pipeline.network.inputs import load_cases, select_cases, split_fold
from pipeline.network.member_params import MemberParams
from pipeline.network.members import build_member
from pipeline.network.step import prepare_tensorflow
from pipeline.network.train import Run, TrainParams, train
from pipeline.storage import atomic_path, atomic_write, write_json

# DVC deletes a stage's outs when it starts; what a killed run resumes from lives outside them.
RESUME = Path(".resume/train")


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    started = time.perf_counter()
    member = params.load(f"member.{args.member}", MemberParams)
    settings = params.load("train", TrainParams)
    run = prepare_run(args, member, settings)
    name = f"{args.member}-{args.fold}"
    outcome = train(run, name=name)

    args.target.mkdir(parents=True, exist_ok=True)
    weights = args.target / "weights.weights.h5"
    with atomic_path(weights) as path:
        run.model.save_weights(path)
    with atomic_write(args.target / "history.csv", "w") as file:
        pd.DataFrame(outcome.history).to_csv(file, index=False)
    write_json(
        args.target / "summary.json",
        {
            "member": args.member,
            "fold": args.fold,
            "backbone": member.backbone,
            "crop_px": member.crop_px,
            "input_px": member.input_px,
            "batch_size": member.batch_size,
            "epochs": member.epochs,
            "images": len(run.training),
            "parameters": run.model.count_params(),
            "trainable_parameters": sum(
                v.shape.num_elements() for v in run.model.trainable_variables
            ),
            "weights_bytes": weights.stat().st_size,
            "training_checkpoint_bytes": outcome.checkpoint_bytes,
            "seconds": time.perf_counter() - started,
        },
    )
    shutil.rmtree(run.resume_folder)
    last = outcome.history[-1]
    print(
        f"train: {name}, {len(run.training)} images, {member.epochs} epochs, "
        f"loss {last['loss']:.3f}, "
        f"held-out accuracy {last['held_out_accuracy']:.3f}, in {args.target}"
    )


def prepare_run(args: argparse.Namespace, member: MemberParams, settings: TrainParams) -> Run:
    """Build the member and gather its cases."""
    prepare_tensorflow()
    # Python's, NumPy's and the backend's generators: initial weights depend on the seed alone.
    keras.utils.set_random_seed(settings.seed)
    frame, shards = load_cases(args.table, args.arrays)
    parts = split_fold(frame, args.fold)
    return Run(
        model=build_member(member, pretrained=True),
        member=member,
        settings=settings,
        training=select_cases(parts["training"], shards),
        held_out=select_cases(parts["out_of_fold"], shards),
        resume_folder=RESUME / f"{args.member}-{args.fold}",
    )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.train", description=__doc__)
    parser.add_argument("--member", required=True, help="name in section member of params.yaml")
    parser.add_argument("--fold", type=int, required=True, help="fold that is left out")
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("arrays", type=Path, help="folder written by stage resize")
    parser.add_argument("target", type=Path, help="folder to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
