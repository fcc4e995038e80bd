"""The phases of a run: first, where asked for, the layers after the backbone alone, then all."""

from dataclasses import dataclass

import keras

from pipeline.network.member_params import MemberParams
from pipeline.network.members import backbone_of, set_backbone_trainable
from pipeline.network.optimizers import make_optimizer
from pipeline.network.schedule import count_reductions, learning_rate_at
from pipeline.network.train_params import TrainParams


@dataclass(frozen=True, eq=False)
class Phase:
    """Some epochs in which the same variables train.

    Attributes:
        variables: Those that train.
        optimizer: Built for them; each phase has its own moments.
        first_epoch: From 0.
        has_frozen_backbone: Whether only the layers after the backbone train.
    """

    variables: list[keras.Variable]
    optimizer: keras.Optimizer
    first_epoch: int
    has_frozen_backbone: bool


def make_phases(model: keras.Model, member: MemberParams, settings: TrainParams) -> list[Phase]:
    """Make a run's phases, in their order."""
    whole = list(model.trainable_variables)
    parts = [(whole, member.frozen_epochs, False)]
    if member.frozen_epochs:
        inside = {id(variable) for variable in backbone_of(model).variables}
        parts = [([v for v in whole if id(v) not in inside], 0, True), *parts]
    return [
        Phase(
            variables,
            make_optimizer(
                settings.optimizer, variables, accumulation_steps=member.accumulation_steps
            ),
            first,
            is_frozen,
        )
        for variables, first, is_frozen in parts
    ]


def phase_of(phases: list[Phase], epoch: int) -> Phase:
    """Return the phase that an epoch belongs to."""
    return [phase for phase in phases if phase.first_epoch <= epoch][-1]


def enter(phase: Phase, model: keras.Model, member: MemberParams) -> None:
    """Let the layers train that the phase trains; before its step is compiled."""
    set_backbone_trainable(model, member, not phase.has_frozen_backbone)


def rate_at(
    epoch: int,
    step: int,
    steps: int,
    member: MemberParams,
    settings: TrainParams,
    monitored: list[float],
) -> float:
    """Return the learning rate of one step of a run.

    Args:
        epoch: Epoch, from 0.
        step: Steps taken before this one in the epoch.
        steps: Of an epoch.
        member: Peak, warm-up and frozen epochs.
        settings: Schedule.
        monitored: Loss on the inner part after each epoch so far; empty where there is none.
    """
    if epoch < member.frozen_epochs:
        return member.frozen_learning_rate
    return learning_rate_at(
        (epoch - member.frozen_epochs) * steps + step,
        settings.schedule,
        peak=member.peak_learning_rate,
        steps_per_epoch=steps,
        warmup_epochs=member.warmup_epochs,
        epochs=member.epochs - member.frozen_epochs,
        reductions=count_reductions(monitored, settings.schedule.patience),
    )
