"""Time training steps: this project's loop against Keras' own `fit`: `make benchmark-training`.

Usage: python -m tools.benchmark_training --members small b0 --input-px 96 --batch 16

Both train the same network by the same optimizer on the same generated images, from the arrays that
stage `train` reads, without augmentation; a third row is this project's loop with the augmentation
of params.yaml. Each is a process of its own; they take turns, an epoch each, and the median of the
rounds counts, without the first, in which the step is compiled. Scoring and checkpoints after an
epoch are not in it. The last row has the input of EfficientNet-B0, 224 px, for the share of time
that is spent waiting for data. Writes reports/benchmark-training/benchmark.json.

With --gpu: B4, B5 and B7 at full size in bfloat16 through this project's JAX step, beside timm's.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from pipeline.command import run_stage
from pipeline.deploy.machine import describe_machine
from pipeline.storage import write_json
from tools.benchmark_part import goal, goals_table, rows_table
from tools.benchmark_training.case import MEMBERS, Case, make_case
from tools.benchmark_training.turns import AUGMENTED, FIT, OURS, take_turns, workers

TARGET = Path("reports/benchmark-training")
FEED_MEMBER, FEED_PX = "b0", 224
WAIT_GOAL = 0.05


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.gpu:
        # Neither TensorFlow nor this project's loop is needed there, nor need they be installed.
        from tools.benchmark_training.on_gpu import measure_on_gpu

        result = measure_on_gpu(args.members or ["b4", "b5", "b7"])
    else:
        result = measure(args)
    result["command"] = " ".join(["python", *sys.orig_argv[1:]])
    write_json(args.target / "benchmark.json", result)
    print(f"\n{rows_table(result['rows'])}\n")
    if result["goals"]:
        print(goals_table(result["goals"]))
    print(f"benchmark_training: {len(result['rows'])} rows in {args.target}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.benchmark_training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--members", nargs="+", choices=list(MEMBERS))
    parser.add_argument("--input-px", type=int, default=0, help="else each member's own")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20, help="of an epoch")
    parser.add_argument("--rounds", type=int, default=5, help="epochs that are timed")
    parser.add_argument("--gpu", action="store_true", help="B4, B5, B7 through JAX, beside timm")
    parser.add_argument("--target", type=Path, default=TARGET, help=f"else {TARGET}")
    return parser.parse_args(argv)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Measure all members, and the wait for data at the input of B0."""
    names = args.members or ["small", "mobilenet_v2", "b0"]
    options = {"batch": args.batch, "steps": args.steps, "rounds": args.rounds}
    rows, goals = [], []
    for name in names:
        cases = {
            way: make_case(name, input_px=args.input_px, augments=way == AUGMENTED, **options)
            for way in (OURS, FIT, AUGMENTED)
        }
        found = take_turns(cases, workers(), args.rounds)
        rows += describe(name, cases[OURS], found)
        ratio = found[OURS]["images_per_s"] / found[FIT]["images_per_s"]
        goals.append(goal(f"{name}, times {FIT}", ratio, at_least=1.0))
    feed = make_case(FEED_MEMBER, input_px=FEED_PX, augments=True, **options)
    found = take_turns({AUGMENTED: feed}, workers(), args.rounds)
    rows += describe(FEED_MEMBER, feed, found)
    share = found[AUGMENTED]["wait_share"]
    goals.append(goal(f"{FEED_MEMBER} at {FEED_PX} px, waiting", share, at_most=WAIT_GOAL))
    return {"rows": rows, "goals": goals, "machine": describe_machine()}


def describe(name: str, case: Case, found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Lay out what was found as rows."""
    fit = found[FIT]["images_per_s"] if FIT in found else None
    return [
        {
            "member": name,
            "input_px": case.member.input_px,
            "batch": case.member.batch_size,
            "way": way,
            "images_per_s": one["images_per_s"],
            "times_fit": one["images_per_s"] / fit if fit else None,
            "wait_share": one["wait_share"],
            "peak_mib": one["peak_mib"],
        }
        for way, one in found.items()
    ]


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
