"""Processes that train an epoch each in turn: what they are, and what is measured of them."""

import multiprocessing
import statistics
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline.processes import environment_of_children
from tools.benchmark_training.case import Case, Worker, write_images

OURS, FIT, AUGMENTED = "this project", "Keras fit", "this project, augmenting"
JOIN_S = 60
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


def workers() -> dict[str, Worker]:
    """Return who does what; each imports what it needs in its own process."""
    return {OURS: start_ours, FIT: start_fit, AUGMENTED: start_ours}


def start_ours(connection: Connection, case: Case, folder: Path) -> None:
    from tools.benchmark_training.ours import train_ours

    train_ours(connection, case, folder)


def start_fit(connection: Connection, case: Case, folder: Path) -> None:
    from tools.benchmark_training.by_fit import train_by_fit

    train_by_fit(connection, case, folder)


def take_turns(
    cases: dict[str, Case], started: dict[str, Worker], rounds: int
) -> dict[str, dict[str, Any]]:
    """Let every way train an epoch in turn, so that a busy minute slows all alike.

    Args:
        cases: By way; their images are the same.
        started: The worker of each way.
        rounds: That are timed, after one that is not.

    Returns:
        By way: medians of `images_per_s` and `wait_share`, and `peak_mib`.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="benchmark-training-") as place:
        write_images(next(iter(cases.values())), Path(place))
        lines, processes = {}, []
        with environment_of_children(ENVIRONMENT):
            for way, case in cases.items():
                lines[way], theirs = context.Pipe()
                process = context.Process(target=started[way], args=(theirs, case, Path(place)))
                process.start()
                theirs.close()
                processes.append(process)
        try:
            return collect(lines, rounds)
        finally:
            for line in lines.values():
                line.close()
            for process in processes:
                process.join(JOIN_S)


def collect(lines: dict[str, Connection], rounds: int) -> dict[str, dict[str, Any]]:
    """Tell the workers when to train, and take the medians of what they answer."""
    taken: dict[str, list[dict[str, Any]]] = {way: [] for way in lines}
    for turn in tqdm(range(rounds + 1), unit="round"):
        for way, line in lines.items():
            line.send(True)
            row = line.recv()
            if turn:  # the step is compiled in the first
                taken[way].append(row)
    found = {}
    for way, line in lines.items():
        line.send(False)
        found[way] = {key: middle(taken[way], key) for key in ("images_per_s", "wait_share")}
        found[way]["peak_mib"] = line.recv()
    return found


def middle(rows: list[dict[str, Any]], key: str) -> float | None:
    """Return the median of a column; `None` where it was not measured."""
    values = [row[key] for row in rows if row[key] is not None]
    return statistics.median(values) if values else None
