"""Search twice on synthetic images, once killed in the middle of a trial, and compare the trials.

Usage: python -m tools.tune_smoke   (`make tune-smoke`)

Eight trials of a small member run in a temporary folder without an interruption; then again, with
the search killed (SIGKILL) while a trial trains, and started once more. Both must come to the same
trials: values, losses after every epoch, and which were pruned. Ends with status 1 otherwise.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML
from tqdm import tqdm

from pipeline import manifest, params
from pipeline.classes import CLASSES
from pipeline.command import run_stage
from pipeline.images.synthetic import render
from pipeline.network.tune.state import checkpoints_of, read_trials
from pipeline.network.tune.study import COMPLETE, Trial
from pipeline.parallel import map_in_order
from pipeline.shards.array_writer import write_array_shards
from pipeline.storage import read_json
from tools.summary import table

MEMBER, TRIALS, KILLED_IN, KILLED_AFTER = "smoke", 8, 4, 2  # trial from 0, epochs
SIZE_PX, CASES, FOLDS, EPOCHS = 48, 540, 4, 5
SEARCH = Path(".resume/tune") / MEMBER
COMMAND = [
    *(sys.executable, "-m", "pipeline.network.tune", "--member", MEMBER),
    *("manifest.csv", "arrays", "report"),
]
MEMBER_OVERRIDES = {
    "backbone": "small",
    "input_px": SIZE_PX,
    "weights": "none",
    "demographics": False,
    "epochs": EPOCHS,
    "warmup_epochs": 1,
}
TUNE = {
    "seed": 7,
    "trials": TRIALS,
    "startup_trials": 4,
    "inner_folds": [1],
    "pruner": {"kind": "percentile", "percentile": 50.0, "startup_trials": 2, "warmup_epochs": 1},
    "space": {
        "member.peak_learning_rate": {"low": 1e-4, "high": 3e-2, "log": True},
        "member.head.dropout": {"low": 0.0, "high": 0.5},
        "member.batch_size": {"choices": [16, 32]},
    },
}


def main() -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tune-smoke-") as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        write_project(whole)
        shutil.copytree(whole, killed)
        finish(whole)
        epochs = kill_in_a_trial(killed)
        print(
            f"tune_smoke: killed in trial {KILLED_IN} after {epochs} of {EPOCHS} epochs", flush=True
        )
        finish(killed)
        trials, again = read_trials(whole / SEARCH), read_trials(killed / SEARCH)
    same = compare(trials, again)
    print(lay_out(trials, same))
    print(f"same trials: {sum(same)} of {len(same)}")
    print(f"{spread(trials)}; {time.monotonic() - started:.0f} s")
    if not all(same):
        raise ValueError(f"all trials must be the same. Got: {len(same) - sum(same)} that differ.")


def write_project(folder: Path) -> None:
    """Write params, a manifest with folds and a test set, and arrays of synthetic lesions."""
    labels = [CLASSES[number % len(CLASSES)] for number in range(CASES)]
    ids = [f"SMOKE_{number:04d}" for number in range(CASES)]
    images = map_in_order(partial(draw, labels=labels), range(CASES), os.cpu_count() or 1)
    images = tqdm(images, total=CASES, desc="images", unit="image")
    write_array_shards(folder / "arrays", zip(ids, images, strict=True), shard_images=256)
    rounds = np.arange(CASES) // len(CLASSES) % (FOLDS + 1)  # every class alike in every part
    table = pd.DataFrame({name: "" for name in manifest.COLUMNS}, index=range(CASES))
    table = table.assign(
        image_id=ids,
        diagnosis=labels,
        age_years=np.nan,
        width_px=SIZE_PX,
        height_px=SIZE_PX,
        group_id=ids,
        fold=["test" if part == FOLDS else str(part) for part in rounds],
    )
    manifest.write(table, folder / "manifest.csv")
    member = params.read_section("member.b4") | MEMBER_OVERRIDES
    sections = {
        "member": {MEMBER: member},
        "train": params.read_section("train"),
        "ensemble": {"fold": 0},
        "tune": TUNE,
    }
    with open(folder / "params.yaml", "w", encoding="utf-8") as file:
        YAML(typ="safe").dump(sections, file)


def draw(number: int, labels: list[str]) -> np.ndarray:
    """Draw one lesion, `(SIZE_PX, SIZE_PX, 3)` uint8."""
    return render(labels[number], number, SIZE_PX, SIZE_PX, view=0, skin_type=1 + number % 6)


def start(folder: Path) -> subprocess.Popen:
    """Start the search in a folder, with the modules of this project."""
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    return subprocess.Popen(COMMAND, cwd=folder, env=environment)


def finish(folder: Path) -> None:
    """Run the search in a folder to its end."""
    process = start(folder)
    if process.wait():
        raise ValueError(f"the search must end well. Got: status {process.returncode}.")


def kill_in_a_trial(folder: Path) -> int:
    """Start the search and kill it while a trial trains; return the epochs of the trial so far."""
    process = start(folder)
    pointer = checkpoints_of(folder / SEARCH, KILLED_IN) / "fold-1" / "latest.json"
    while process.poll() is None:
        epochs = len(read_json(pointer)["history"]) if pointer.is_file() else 0
        if epochs >= KILLED_AFTER:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.02)
    if process.wait() != -signal.SIGKILL or len(read_trials(folder / SEARCH)) != KILLED_IN:
        raise ValueError("the search must be killed in the middle of a trial. Got: it was not.")
    return epochs


def compare(trials: list[Trial], again: list[Trial]) -> list[bool]:
    """Say of each trial whether the other search has it too, all but its seconds."""
    others = {trial.number: trial for trial in again}
    return [
        trial.number in others and replace(others[trial.number], seconds=trial.seconds) == trial
        for trial in trials
    ]


def lay_out(trials: list[Trial], same: list[bool]) -> str:
    """Lay the trials out as a table."""
    names = list(TUNE["space"])
    rows = [
        (
            str(trial.number),
            trial.state,
            "–" if trial.value is None else f"{trial.value:.4f}",
            str(sum(map(len, trial.losses))),
            *(f"{trial.params[name]:.4g}" for name in names),
            "yes" if is_same else "no",
        )
        for trial, is_same in zip(trials, same, strict=True)
    ]
    return table(("trial", "state", "log-loss", "epochs", *names, "same"), rows)


def spread(trials: list[Trial]) -> str:
    """Set the best complete trial against the median one."""
    values = sorted(trial.value for trial in trials if trial.state == COMPLETE)
    return (
        f"best {values[0]:.4f} against median {np.median(values):.4f}, worst {values[-1]:.4f}, of "
        f"{len(values)} complete trials; chance {np.log(len(CLASSES)):.4f}"
    )


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
