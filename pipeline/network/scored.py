"""A trained member as it scores images: the same for stage `predict`, the export and the benchmark.

What is deployed must be what was measured; so there is one function that loads it.
"""

from pathlib import Path

import keras

from pipeline.network.member_params import MemberParams
from pipeline.network.members import build_member
from pipeline.network.views import average_views


def load_scored(params: MemberParams, weights: Path, *, views: int) -> keras.Model:
    """Build a member's network, load what it learnt, and let it average views.

    Args:
        params: The member.
        weights: File that stage `train` wrote.
        views: Of `predict.views`.

    Returns:
        Inputs as of `members.build_member`; output `(batch, 9)` float32 probabilities.

    Raises:
        ValueError: There is no such set of views.
    """
    model = build_member(params)
    model.load_weights(weights)
    return average_views(model, views)
