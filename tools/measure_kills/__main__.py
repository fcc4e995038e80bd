"""Kill stage `train` at random instants, resume it, and compare the weights: `make test-kill`.

Usage: python -m tools.measure_kills --kills 50 --member small

A process group is killed (SIGKILL) at an instant drawn evenly over the processor time of the whole
run: start-up, every epoch, the writing of checkpoints and of results. Right after, every file under
a final name is checked. Then the same command runs to its end; every second time without what lies
in the stage's folder, which DVC deletes before it starts a stage. The weights must be those of a
run that nobody killed, byte for byte. Ends with status 1 unless all are, and enough kills hit a
living process.
"""

import argparse
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pipeline.command import run_stage
from tools.measure_kills.project import EXAMPLES, write_project
from tools.measure_kills.runs import (
    Instant,
    Kill,
    KillError,
    Whole,
    kill_and_resume,
    run_whole,
    train_command,
)
from tools.summary import table

KILLS = {"small": 50, "real": 10}
DELAY_S = 0.03  # at most, about as long as a file takes to the disk
LIVE_SHARE = 0.76  # of the kills, that must hit a living process: 38 of 50
AFTER_THE_END = "after the end"


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    kills = args.kills or KILLS[args.member]
    with tempfile.TemporaryDirectory(prefix="test-kill-") as folder:
        folders = [Path(folder) / str(number) for number in range(args.jobs)]
        for place in folders:
            write_project(place, EXAMPLES[args.member])
        whole = run_whole(folders, train_command())
        print(
            f"whole run: {whole.cpu_s:.1f} s of processor time, weights {whole.sha256[:16]}",
            flush=True,
        )
        done = run_kills(folders, train_command(), whole, kills=kills, seed=args.seed)
    print(describe(done))
    check(done)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.measure_kills",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--member", choices=list(EXAMPLES), default="small")
    parser.add_argument("--kills", type=int, help=f"else {KILLS}")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    return parser.parse_args(argv)


def run_kills(
    folders: Sequence[Path], command: Sequence[str], whole: Whole, *, kills: int, seed: int
) -> list[Kill]:
    """Kill and resume so many times, one chain in each folder.

    Args:
        folders: Projects, all the same.
        command: What is killed.
        whole: What every resumed run must end in.
        kills: How many, over all folders.
        seed: Of the instants.
    """
    rng = np.random.default_rng(seed)
    drawn = zip(rng.uniform(0, whole.cpu_s, kills), rng.uniform(0, DELAY_S, kills), strict=True)
    instants = [Instant(float(cpu_s), float(delay_s)) for cpu_s, delay_s in drawn]

    def chain(first: int) -> list[Kill]:
        done = []
        for number in range(first, kills, len(folders)):
            clears = number // len(folders) % 2 == 0
            kill = kill_and_resume(folders[first], command, whole, instants[number], clears=clears)
            print(f"kill {number + 1:3d}: {' '.join(_row(kill))}", flush=True)
            done.append(kill)
        return done

    with ThreadPoolExecutor(len(folders)) as pool:
        return [kill for chain in pool.map(chain, range(len(folders))) for kill in chain]


def describe(kills: Sequence[Kill]) -> str:
    """Lay out the kills by the place they hit, and count."""
    rows = []
    for place in sorted({_place(kill) for kill in kills}):
        here = [kill for kill in kills if _place(kill) == place]
        counts = len(here), sum(k.is_writing for k in here), sum(k.is_identical for k in here)
        rows.append((place, *map(str, counts)))
    lines = [
        "",
        table(("killed in", "kills", "in a write", "identical"), rows),
        "",
        f"{sum(kill.is_identical for kill in kills)} of {len(kills)} runs ended in identical "
        f"weights; {sum(kill.is_live for kill in kills)} kills hit a living process; "
        f"{sum(bool(kill.damaged) for kill in kills)} left a damaged file under a final name.",
    ]
    return "\n".join(lines)


def check(kills: Sequence[Kill]) -> None:
    """Hold the kills against the goals.

    Raises:
        KillError: A run did not end in identical weights, or too few kills hit.
    """
    bad = [f"kill at {k.cpu_s:.2f} s in {k.place}: {_verdict(k)}" for k in kills if not k.is_good]
    if bad:
        raise KillError(f"every killed run must end in identical weights. Got: {'; '.join(bad)}.")
    live, wanted = sum(kill.is_live for kill in kills), LIVE_SHARE * len(kills)
    if live < wanted:
        raise KillError(f"at least {wanted:.0f} kills must hit a living process. Got: {live}.")


def _row(kill: Kill) -> tuple[str, ...]:
    marks = ["in a write"] if kill.is_writing else []
    return (f"{kill.cpu_s:6.2f} s", _place(kill), *marks, _verdict(kill))


def _place(kill: Kill) -> str:
    return kill.place if kill.is_live else AFTER_THE_END


def _verdict(kill: Kill) -> str:
    if kill.damaged:
        return f"damaged {', '.join(kill.damaged)}"
    return kill.problem or ("identical" if kill.is_identical else "OTHER WEIGHTS")


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
