"""Native against ONNX: bytes, latency, cold start and memory, each reduction with its baseline.

One process per engine; those of one member run side by side, and each round times every engine in
turn, so that a slow minute of the machine falls on all of them alike. This module never imports
TensorFlow: the engine processes do.
"""

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pipeline.deploy.artefacts import (
    ENSEMBLE,
    EnsembleArtefacts,
    MemberArtefacts,
    Row,
    count_parameters,
    measure_sizes,
    missing_files,
)
from pipeline.deploy.engine_process import EngineProcess, rehearse, running
from pipeline.deploy.engines import ENGINES, EngineJob, NativeModel
from pipeline.deploy.figures import compare_answers, reductions, summarise_times
from pipeline.deploy.machine import describe_machine

PRECISION = "float32"
LEAST_CALLS = 3


class BenchmarkError(ValueError):
    """There is not what the benchmark measures."""


@dataclass(frozen=True)
class BenchmarkParams:
    """Section `benchmark` of `params.yaml`."""

    threads: int
    batches: tuple[int, ...]
    rounds: int
    repeats: int
    warmup: int

    def __post_init__(self) -> None:
        for name in ("threads", "rounds", "repeats", "warmup"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Got: {getattr(self, name)}.")
        if min(self.batches, default=0) < 1 or len(set(self.batches)) != len(self.batches):
            raise ValueError(f"batches must be different numbers from 1. Got: {self.batches}.")

    def calls(self, batch: int) -> int:
        """Return how many calls are timed in a row: `repeats` images' worth, but a few at least."""
        return max(math.ceil(self.repeats / batch), min(self.repeats, LEAST_CALLS))


def run_benchmark(
    members: list[MemberArtefacts],
    ensemble: EnsembleArtefacts,
    arrays: dict[str, np.ndarray],
    settings: BenchmarkParams,
) -> dict[str, Any]:
    """Measure every member and the ensemble on this machine.

    Args:
        members: What is measured.
        ensemble: Likewise.
        arrays: Input name to real inputs, first axis the image; as many as the largest batch.
        settings: How often, at which batches, on how many threads.

    Returns:
        What DESIGN's contract has in `benchmark.json`, less the command.

    Raises:
        BenchmarkError: A file is absent, or there are too few inputs.
        EngineError: An engine process did not answer.
    """
    check_present(members, ensemble, arrays, settings)
    sizes = measure_sizes(members, ensemble)
    # A machine with fewer cores than asked for is measured with what it has; the rows say so.
    cpus = sorted(os.sched_getaffinity(0))[: settings.threads]
    machine = describe_machine() | {"threads": len(cpus)}
    measured: dict[str, list[Row]] = {"latency": [], "cold_start": [], "memory": [], "parity": []}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        work = Path(folder)
        np.savez(work / "arrays.npz", **arrays)
        rehearse(list(ENGINES), len(cpus))
        jobs = list(make_jobs(members, ensemble, work / "arrays.npz", cpus))
        for subject in tqdm(jobs, desc="benchmark"):
            for table, rows in measure_engines(subject, settings, work).items():
                measured[table] += rows
    return measured | {
        "sizes": sizes,
        "parameters": count_parameters(members),
        "reductions": reductions(sizes, measured["latency"], settings.batches[0]),
        "machine": machine,
        "settings": asdict(settings),
    }


def check_present(
    members: list[MemberArtefacts],
    ensemble: EnsembleArtefacts,
    arrays: dict[str, np.ndarray],
    settings: BenchmarkParams,
) -> None:
    """Refuse to start where a file or an input is absent; all of them are named at once."""
    missing = missing_files(members, ensemble)
    if missing:
        raise BenchmarkError(f"{len(missing)} files must exist. Got none at: {missing[:5]}.")
    least = max(settings.batches)
    for name in sorted({name for member in members for name in member.inputs}):
        if len(arrays.get(name, ())) < least:
            raise BenchmarkError(
                f"input {name} must have at least {least} rows, the largest batch. "
                f"Got: {len(arrays.get(name, ()))}."
            )


def make_jobs(
    members: list[MemberArtefacts], ensemble: EnsembleArtefacts, arrays: Path, cpus: list[int]
) -> Iterator[list[EngineJob]]:
    """Give the engines' jobs of each member, then those of the ensemble."""
    native = [
        NativeModel(m.member, asdict(m.recipe), [str(p) for p in m.weights], m.views, m.inputs)
        for m in members
    ]
    subjects = [(m.member, [model], m.onnx) for m, model in zip(members, native, strict=True)]
    for name, models, onnx in [*subjects, (ENSEMBLE, native, ensemble.onnx)]:
        whole = name == ENSEMBLE
        yield [
            EngineJob(
                engine=engine,
                member=name,
                cpus=cpus,
                arrays=str(arrays),
                models=models,
                reference=str(ensemble.reference) if whole else "",
                probability_map=str(ensemble.probability_map) if whole else "",
                onnx=str(onnx),
                output="probabilities" if whole else f"probabilities_{name}",
            )
            for engine in ENGINES
        ]


def measure_engines(
    jobs: list[EngineJob], settings: BenchmarkParams, work: Path
) -> dict[str, list[Row]]:
    """Measure engines that serve the same member, side by side.

    Args:
        jobs: One per engine.
        settings: How often, at which batches.
        work: Folder for temporary files.

    Returns:
        Rows of the tables `latency`, `cold_start`, `memory` and `parity`.
    """
    with ExitStack() as stack:
        # One after another: a start beside another start would be slower than it is alone.
        engines = [stack.enter_context(running(job, work)) for job in jobs]
        answers = {e.job.engine: e.answer(max(settings.batches)) for e in engines}
        times = time_engines(engines, settings)
        peaks = {e.job.engine: e.peak_mib() for e in engines}
    member, threads = jobs[0].member, len(jobs[0].cpus)
    return {
        "latency": [
            {"member": member, "engine": engine, "precision": PRECISION, "threads": threads}
            | summarise_times(batch, taken)
            for (engine, batch), taken in times.items()
        ],
        "cold_start": [
            {"member": member, "engine": e.job.engine, "seconds": e.cold_start_s} for e in engines
        ],
        "memory": [
            {"member": member, "engine": engine, "peak_mib": peak} for engine, peak in peaks.items()
        ],
        "parity": [{"member": member} | row for row in compare_answers(answers)],
    }


def time_engines(
    engines: list[EngineProcess], settings: BenchmarkParams
) -> dict[tuple[str, int], list[float]]:
    """Time engines in interleaved rounds.

    Returns:
        `(engine, batch)` to the wall time of each call in milliseconds, in the order of the calls.
    """
    by_name = {engine.job.engine: engine for engine in engines}
    for engine in engines:
        for batch in settings.batches:
            engine.time_calls(batch, settings.warmup)
    times: dict[tuple[str, int], list[float]] = {}
    for name, batch in interleave(list(by_name), settings):
        taken = by_name[name].time_calls(batch, settings.calls(batch))
        times.setdefault((name, batch), []).extend(taken)
    return times


def interleave(engines: list[str], settings: BenchmarkParams) -> list[tuple[str, int]]:
    """Return the turns of all rounds, each an engine and a batch."""
    turns = []
    for number in range(settings.rounds):
        # Each round begins with another engine: none is always the one that follows another.
        first = number % len(engines)
        for batch in settings.batches:
            turns += [(name, batch) for name in engines[first:] + engines[:first]]
    return turns
