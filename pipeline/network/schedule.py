"""The learning rate at each optimizer step of the epochs in which all layers train."""

import math

from pipeline.network.train_params import ScheduleParams

# The winner of SIIM-ISIC 2020 began at a tenth of the peak: https://arxiv.org/abs/2010.05351
WINNER_FIRST_EPOCH = 0.1


def learning_rate_at(
    step: int,
    schedule: ScheduleParams,
    *,
    peak: float,
    steps_per_epoch: int,
    warmup_epochs: int,
    epochs: int,
    reductions: int,
) -> float:
    """Return the learning rate of one optimizer step.

    Args:
        step: Steps taken before this one, from 0.
        schedule: Its kind.
        peak: Highest rate.
        steps_per_epoch: Optimizer steps in an epoch.
        warmup_epochs: For `warmup_cosine`, epochs over which the rate rises linearly from 0; the
            peak is reached with their last step.
        epochs: All epochs; a cosine ends at 0 after the last of their steps.
        reductions: For `reduce_on_plateau`, how often the loss has stopped improving so far.

    Returns:
        A rate in (0, peak].
    """
    if schedule.kind == "constant":
        return peak
    if schedule.kind == "reduce_on_plateau":
        return peak * schedule.factor**reductions
    if schedule.kind == "winner_2020":
        epoch = step // steps_per_epoch
        return peak * (_half_cosine((epoch - 1) / (epochs - 1)) if epoch else WINNER_FIRST_EPOCH)
    warmup_steps = warmup_epochs * steps_per_epoch
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * _half_cosine((step - warmup_steps) / (epochs * steps_per_epoch - warmup_steps))


def count_reductions(losses: list[float], patience: int) -> int:
    """Count how often a loss has not improved for `patience` epochs on end.

    Args:
        losses: The monitored loss after each epoch.
        patience: Epochs to wait for a better one, after the best and after each reduction.
    """
    best, waited, reductions = math.inf, 0, 0
    for loss in losses:
        if loss < best:
            best, waited = loss, 0
        else:
            waited += 1
        if waited >= patience:
            waited, reductions = 0, reductions + 1
    return reductions


def _half_cosine(progress: float) -> float:
    """Fall from 1 at progress 0 to 0 at progress 1."""
    return (1 + math.cos(math.pi * progress)) / 2
