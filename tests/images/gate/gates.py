"""Descriptors that tests of the input gate share: drawn, so that their true content is known."""

import numpy as np

from pipeline.images.gate.descriptors import FEATURES
from pipeline.images.gate.limits import OF_DISTANCE, SHOWN, WORDS, Distance, InputGate

GOOD = {
    "sharpness": 1.0,
    "light_p90": 75.0,
    "clipped_share": 0.0,
    "plan_spread": 3.0,
    "aspect_ratio": 1.5,
}
# At the median of `GOOD`, one spread each way.
LIMITS = {
    "blurred": 0.4,
    "under_exposed": 50.0,
    "over_exposed": 0.1,
    "empty": 1.0,
    "wrong_aspect": 2.0,
    "unlike_training": 1.5,
    "not_a_lesion": 3.0,
}


def draw(count, seed=0, **values):
    """Draw descriptors: features that are good by `GOOD`, the others normal and independent."""
    found = np.random.default_rng(seed).normal(0, 1, (count, len(FEATURES)))
    for name, value in (GOOD | values).items():
        found[:, FEATURES.index(name)] = value
    return found


def typical(**values):
    """One descriptor in the middle of everything, but for some values."""
    found = np.zeros(len(FEATURES))
    for name, value in (GOOD | values).items():
        found[FEATURES.index(name)] = value
    return found


def plain_gate():
    """A gate whose distance is the root mean square of what differs from `typical`."""
    size = len(OF_DISTANCE)
    distance = Distance(typical()[SHOWN], np.ones(size), np.ones(size), np.eye(size))
    return InputGate({code: LIMITS[code] for code in WORDS}, distance, 100, 0.03)
