"""The learning rate at each step: linear warm-up from 0 to the peak, then cosine decay to 0."""

import math


def learning_rate_at(
    step: int, *, peak: float, steps_per_epoch: int, warmup_epochs: int, epochs: int
) -> float:
    """Return the learning rate of one optimizer step.

    Args:
        step: Steps taken before this one, from 0.
        peak: Highest rate, reached with the last step of the warm-up.
        steps_per_epoch: Optimizer steps in an epoch.
        warmup_epochs: Epochs over which the rate rises linearly from 0.
        epochs: All epochs; the cosine ends at 0 after the last of their steps.

    Returns:
        A rate in (0, peak].
    """
    warmup_steps = warmup_epochs * steps_per_epoch
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / (epochs * steps_per_epoch - warmup_steps)
    return peak * (1 + math.cos(math.pi * progress)) / 2
