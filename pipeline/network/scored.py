"""A trained member as it scores images: the same for stage `predict`, the export and the benchmark.

What is deployed must be what was measured; so there is one function that loads it.
"""

from collections.abc import Sequence
from pathlib import Path

import keras

from pipeline.network.member_params import MemberParams
from pipeline.network.members import build_member
from pipeline.network.views import average_views


def load_scored(params: MemberParams, weights: Sequence[Path], *, views: int) -> keras.Model:
    """Build a member's networks, load what they learnt, and let them average views and each other.

    Args:
        params: The member.
        weights: Files that stage `train` wrote, one for each network whose scores are averaged.
        views: Of `predict.views`.

    Returns:
        Inputs as of `members.build_member`; output `(batch, 9)` float32 probabilities.

    Raises:
        ValueError: There is no network, or no such set of views.
    """
    models = []
    for path in weights:
        models.append(build_member(params))
        models[-1].load_weights(path)
    return average_views(average_networks(models), views)


def average_networks(models: Sequence[keras.Model]) -> keras.Model:
    """Join networks of one member into one that gives the mean of their probabilities.

    Args:
        models: With the same inputs, and outputs `(batch, 9)`.

    Returns:
        Output `(batch, 9)` float32; a single network itself.

    Raises:
        ValueError: There is none.
    """
    if not models:
        raise ValueError("a member must have at least one network. Got: none.")
    if len(models) == 1:
        return models[0]
    inputs = [keras.Input(t.shape[1:], dtype=t.dtype, name=t.name) for t in models[0].inputs]
    # Named anew: the networks of one member have one name, and that of a part must be its own.
    parts = [
        keras.Model(model.inputs, model.output, name=f"network_{n}")
        for n, model in enumerate(models)
    ]
    scores = [keras.ops.cast(part(inputs), "float32") for part in parts]
    mean = keras.ops.mean(keras.ops.stack(scores), axis=0)  # (batch, 9)
    return keras.Model(inputs, mean, name=f"{models[0].name}_of_{len(models)}_networks")
