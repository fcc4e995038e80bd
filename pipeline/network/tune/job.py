"""What the process of a trial is given, and how it begins; readable without Keras."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.network.member_params import MemberParams
from pipeline.network.train_params import TrainParams
from pipeline.network.tune.params import PrunerParams
from pipeline.network.tune.study import Trial


@dataclass(frozen=True)
class Job:
    """All that a trial needs, as it is sent to its process.

    Attributes:
        number: Of the trial.
        values: By dotted name; they are in `member` and `settings` already.
        member: Params of the member.
        settings: Section `train`.
        pruner: When to end early.
        earlier: Losses of complete trials, by trial, inner fold and epoch.
        table: Manifest written by stage `split`.
        arrays: Folder written by stage `resize`.
        outer_fold: Never seen.
        inner_folds: Scored on.
        folder: Of the search.
    """

    number: int
    values: dict[str, Any]
    member: MemberParams
    settings: TrainParams
    pruner: PrunerParams
    earlier: list[list[list[float]]]
    table: Path
    arrays: Path
    outer_fold: int
    inner_folds: tuple[int, ...]
    folder: Path


def run_in_own_process(job: Job) -> Trial:
    """Run a trial; TensorFlow starts here, never in the process of the search."""
    from pipeline.network.tune.trial import run_trial

    return run_trial(job)
