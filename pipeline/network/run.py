"""One training run as a value: what is trained, how, on what, and where it resumes."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from pipeline.network.distribution import ONE_DEVICE, Distribution
from pipeline.network.inputs import Cases
from pipeline.network.member_params import MemberParams
from pipeline.network.train_params import TrainParams


class TrainingError(ValueError):
    """Training cannot go on."""


@dataclass(frozen=True)
class Run:
    """One training run: what is trained, how, on what, and where it resumes.

    Attributes:
        model: Freshly built member, in the scope of `distribution`.
        member: Its section of `params.yaml`.
        settings: Section `train`.
        training: Cases that are trained on.
        monitored: Cases of the inner part, by which weights are chosen; `None` where none are.
        held_out: Cases of the fold left out, looked at after each epoch and never chosen by.
        resume_folder: Where checkpoints are kept, outside DVC's outs.
        live_folder: Of DVCLive; `None` writes none.
        distribution: The devices, as `settings.devices` asks.
        after_epoch: Called with the row of the history of each epoch, those restored from a
            checkpoint first; what it raises ends the run.
    """

    model: keras.Model
    member: MemberParams
    settings: TrainParams
    training: Cases
    monitored: Cases | None
    held_out: Cases
    resume_folder: Path
    live_folder: Path | None
    distribution: Distribution = ONE_DEVICE
    after_epoch: Callable[[dict[str, Any]], None] | None = None

    def __post_init__(self) -> None:
        if self.distribution.devices != self.settings.devices:
            raise ValueError(
                "distribution must be that of settings.devices. "
                f"Got: {self.distribution.devices!r} and {self.settings.devices!r}."
            )


def fingerprint(run: Run) -> str:
    """Hash everything that shapes a run: params, cases, labels and demographics."""
    digest = hashlib.sha256()
    digest.update(json.dumps([asdict(run.member), asdict(run.settings)]).encode())
    for cases in (run.training, run.monitored, run.held_out):
        if cases:
            digest.update("\n".join(cases.image_ids).encode())
            digest.update(cases.labels.tobytes() + cases.demographics.tobytes())
    return digest.hexdigest()
