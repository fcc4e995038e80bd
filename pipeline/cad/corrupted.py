"""Score an original under every corruption, through the path that the CAD takes.

The original is decoded whole, corrupted, encoded without loss, and scored from those bytes: crop,
resize, the bundle's graph, with the patient's demographics. The clean image goes the same way, so
that the corruption is the only difference; the file itself is scored beside it.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cad.inference import Patient, Scorer
from pipeline.deploy import bundle as bundles
from pipeline.images.corruptions.catalogue import CORRUPTIONS, SEVERITIES, UnchangedError, corrupt
from pipeline.images.decode import DecodeParams, ImageError, decode
from pipeline.images.png import encode_png
from pipeline.images.preprocess import Preprocessed
from pipeline.scoring.predictions import PROBABILITIES, RANK_SCORES
from pipeline.scoring.robustness_cells import CLEAN, COLUMNS, REFUSED, SCORED, UNCHANGED
from pipeline.storage import sha256_of

FILE = "file"  # the original's own bytes, beside the clean image that was encoded again
SCORES = (*RANK_SCORES, *PROBABILITIES)

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Job:
    """One case, with all that a process needs to score it in every way."""

    image_id: str
    path: Path
    sha256: str
    patient: Patient
    bundle: Path
    bundle_sha256: str
    batch_size: int
    seed: int


@dataclass(frozen=True)
class Picture:
    """One way in which a case is shown to the CAD; `prepared` is `None` where it is not scored."""

    corruption: str
    severity: int
    status: str
    prepared: Preprocessed | None
    input_change: float | None


@dataclass(frozen=True)
class Result:
    """Rows of `scores.csv` of one case, and that of its file; or what is wrong with the case."""

    rows: Rows
    file: dict[str, Any] | None
    problem: str = ""


def score_case(job: Job) -> Result:
    """Score one case in every way; runs in a process of its own."""
    scorer = open_scorer(job.bundle, job.bundle_sha256)
    try:
        pixels = read_original(job, scorer.bundle.manifest.preprocessing.decode)
        pictures = show(job, pixels, scorer)
        rows: Rows = []
        while batch := list(itertools.islice(pictures, job.batch_size)):
            rows += score_batch(job, batch, scorer)
    except ImageError as error:
        return Result([], None, str(error))
    file = next(row for row in rows if row["corruption"] == FILE)
    return Result([row for row in rows if row is not file], file)


@lru_cache(maxsize=1)
def open_scorer(folder: Path, sha256: str) -> Scorer:
    """Load the bundle once per process, on one thread: the processes are as many as the cores."""
    bundle = bundles.load(folder)
    if bundle.sha256 != sha256:
        raise bundles.BundleError(f"{folder} must stay as it is while it is measured.")
    return Scorer(bundle, threads=1)


def read_original(job: Job, limits: DecodeParams) -> np.ndarray:
    """Decode the original whole."""
    if sha256_of(job.path) != job.sha256:
        raise ImageError(f"{job.path} must be the file that was ingested. Got: another one.")
    return decode(job.path, params=limits, least_side_px=None).pixels


def show(job: Job, pixels: np.ndarray, scorer: Scorer) -> Iterator[Picture]:
    """Prepare the clean image, the file itself, and every corruption at every severity."""
    clean = scorer.prepare(encode_png(pixels))
    yield Picture(CLEAN, 0, SCORED, clean, 0.0)
    own = scorer.prepare(job.path)
    yield Picture(FILE, 0, SCORED, own, input_change(clean, own))
    for name, severity in itertools.product(CORRUPTIONS, SEVERITIES):
        prepared, status = None, SCORED
        try:
            changed = corrupt(pixels, name, severity=severity, image_id=job.image_id, seed=job.seed)
            prepared = scorer.prepare(encode_png(changed))
        except UnchangedError:
            status = UNCHANGED
        except ImageError:
            status = REFUSED
        change = None if prepared is None else input_change(clean, prepared)
        yield Picture(name, severity, status, prepared, change)


def input_change(first: Preprocessed, second: Preprocessed) -> float:
    """Return the mean difference of the arrays that the graph takes, in levels."""
    changes = [
        np.abs(first.arrays[key].astype(np.int16) - second.arrays[key]).mean()
        for key in sorted(first.arrays)
    ]
    return float(np.mean(changes))


def score_batch(job: Job, batch: list[Picture], scorer: Scorer) -> Rows:
    """Run the graph; rows keep the order, those without scores have empty cells."""
    prepared = [one.prepared for one in batch if one.prepared is not None]
    outputs = scorer.run(prepared, [job.patient] * len(prepared)) if prepared else {}
    keys = ("rank_scores", "probabilities")
    scores = iter(np.concatenate([outputs[key] for key in keys], axis=1) if outputs else ())
    rows = []
    for one in batch:
        values = [None] * len(SCORES) if one.prepared is None else next(scores).tolist()
        known = (job.image_id, one.corruption, one.severity, one.status, one.input_change)
        rows.append(dict(zip(COLUMNS, (*known, *values), strict=True)))
    return rows
