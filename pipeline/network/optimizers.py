"""The optimizer of a run, and the moving average of the weights that it may keep."""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np

from pipeline.network.train_params import OptimizerParams

# Scales, shifts and biases are not decayed: https://arxiv.org/abs/1812.01187, section 3.1.
UNDECAYED = ("gamma", "beta", "bias")


def make_optimizer(
    params: OptimizerParams, variables: list[keras.Variable], *, accumulation_steps: int
) -> keras.Optimizer:
    """Make an optimizer for some variables.

    Args:
        params: What it is.
        variables: What it updates.
        accumulation_steps: Calls whose gradients are averaged into one update.
    """
    options = {
        "global_clipnorm": params.clip_norm or None,
        "use_ema": params.ema_momentum > 0,
        # Keras averages at every call: so many of them make one step of the momentum asked for.
        "ema_momentum": (params.ema_momentum or 0.99) ** (1 / accumulation_steps),
        "gradient_accumulation_steps": accumulation_steps if accumulation_steps > 1 else None,
    }
    if params.kind == "adamw":
        optimizer = keras.optimizers.AdamW(weight_decay=params.weight_decay, **options)
        optimizer.exclude_from_weight_decay(var_names=list(UNDECAYED))
    else:
        optimizer = keras.optimizers.Adam(**options)
    optimizer.build(variables)
    return optimizer


@contextlib.contextmanager
def averaged_weights(variables: list[keras.Variable], optimizer: keras.Optimizer) -> Iterator[None]:
    """Put the moving averages in the place of the weights for a while, where there are any."""
    if not optimizer.use_ema:
        yield
        return
    weights = [np.asarray(variable) for variable in variables]
    optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, array in zip(variables, weights, strict=True):
            variable.assign(array)
