"""What the process of a trial is given, readable without Keras."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.network.member_params import MemberParams
from pipeline.network.train_params import TrainParams
from pipeline.network.tune.params import PrunerParams


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
