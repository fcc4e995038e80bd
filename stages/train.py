"""Stage `train`: train one member with one fold left out, resuming where it was killed.

Usage: python -m stages.train --member b4 --fold 0 data/split/manifest.csv data/resize/b4
models/train/b4-0
"""

import argparse
import contextlib
import math
import time
from pathlib import Path

import keras
import pandas as pd

from pipeline import params
from pipeline.command import run_stage
from pipeline.network.compiled import prepare_backend
from pipeline.network.distribution import (
    Distribution,
    choose_distribution,
    explaining_lost_hosts,
)
from pipeline.network.exchange import wait_for_chief
from pipeline.network.inputs import gather_fold, load_cases
from pipeline.network.member_params import MemberParams
from pipeline.network.members import build_member
from pipeline.network.resume_folder import discard_resume_folder, hold_resume_folder
from pipeline.network.run import Run
from pipeline.network.train import Outcome, train
from pipeline.network.train_params import TrainParams
from pipeline.network.weights_file import save_weights
from pipeline.storage import atomic_write, remove_partial_files, write_csv, write_json

# DVC deletes a stage's outs when it starts; what a killed run resumes from lives outside them.
RESUME = Path(".resume/train")


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    started = time.perf_counter()
    member = params.load(f"member.{args.member}", MemberParams)
    settings = params.load("train", TrainParams)
    name = f"{args.member}-{args.fold}"
    with explaining_lost_hosts(settings):
        prepare_backend()
        distribution = choose_distribution(member, settings)
        folder = RESUME / name
        # Of several hosts the chief alone writes.
        with hold_resume_folder(folder) if distribution.is_chief else contextlib.nullcontext():
            run = prepare_run(args, member, settings, distribution)
            if distribution.is_chief:
                remove_partial_files(args.target)
                explain_resuming(folder, args)
            outcome = train(run, name=name)
            if distribution.is_chief:
                keep_results(args, run, outcome, time.perf_counter() - started)
            wait_for_chief(distribution)
    last = outcome.history[-1]
    print(
        f"train: {name}, {len(run.training)} images, {len(outcome.history)} epochs, "
        f"loss {last['loss']:.3f}, "
        f"held-out accuracy {last['held_out_accuracy']:.3f}, in {args.target}"
    )


def explain_resuming(folder: Path, args: argparse.Namespace) -> None:
    """Leave word in the resume folder for whoever finds it after a kill."""
    command = (
        f"python -m stages.train --member {args.member} --fold {args.fold} "
        f"{args.table} {args.arrays} {args.target}"
    )
    with atomic_write(folder / "README.txt", "w") as file:
        file.write(
            "Checkpoints of a training that has not ended. `make repro`, or the command\n\n"
            f"    {command}\n\n"
            "in the project's root goes on after the newest whole checkpoint and ends in the same\n"
            "weights, bit for bit, as without an interruption. latest.json names the checkpoints,\n"
            "their SHA-256 and the epochs so far. With other params or cases the run is refused:\n"
            "restore them, or delete this folder (`make clean-resume` deletes all) to begin anew.\n"
        )


def keep_results(args: argparse.Namespace, run: Run, outcome: Outcome, seconds: float) -> None:
    """Write what the run came to, then give up what it would resume from.

    Raises:
        ValueError: The results cannot be written; the run can be resumed to write them.
    """
    try:
        write_results(args, run, outcome, seconds)
    except OSError as error:
        raise ValueError(
            f"{args.target} must be written. Got: {error}. Training is done and kept in "
            f"{run.resume_folder}: make room and run the same command again."
        ) from error
    discard_resume_folder(run.resume_folder)


def write_results(args: argparse.Namespace, run: Run, outcome: Outcome, seconds: float) -> None:
    """Write weights, history and summary."""
    weights = args.target / "weights.weights.h5"
    save_weights(run.model, weights)
    history = pd.DataFrame(outcome.history)
    write_csv(args.target / "history.csv", history)
    member, model = run.member, run.model
    write_json(
        args.target / "summary.json",
        {
            "member": args.member,
            "fold": args.fold,
            "backbone": member.backbone,
            "crop_px": member.crop_px,
            "input_px": member.input_px,
            "batch_size": member.batch_size,
            "epochs": len(history),
            "images": len(run.training),
            "parameters": model.count_params(),
            "trainable_parameters": sum(math.prod(v.shape) for v in model.trainable_variables),
            "weights_bytes": weights.stat().st_size,
            "training_checkpoint_bytes": outcome.checkpoint_bytes,
            "images_per_s": float(history.images_per_s.median()),
            "wait_share": float(history.wait_share.median()),
            "seconds": seconds,
        },
    )


def prepare_run(
    args: argparse.Namespace,
    member: MemberParams,
    settings: TrainParams,
    distribution: Distribution,
) -> Run:
    """Build the member and gather its cases."""
    # Python's, NumPy's and the backend's generators: initial weights depend on the seed alone.
    keras.utils.set_random_seed(settings.seed)
    frame, shards = load_cases(args.table, args.arrays)
    inner_share = settings.early_stopping.inner_share
    cases = gather_fold(frame, shards, args.fold, inner_share=inner_share, seed=settings.seed)
    with distribution.scope():
        model = build_member(member, training=True)
    return Run(
        model=model,
        member=member,
        settings=settings,
        training=cases.training,
        monitored=cases.monitored,
        held_out=cases.held_out,
        resume_folder=RESUME / f"{args.member}-{args.fold}",
        live_folder=args.target / "live" if distribution.is_chief else None,
        distribution=distribution,
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
