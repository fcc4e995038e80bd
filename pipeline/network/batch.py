"""What a compiled step takes and gives."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Batch:
    """What one call takes.

    Attributes:
        pixels: `(batch, px, px, 3)` uint8 RGB.
        demographics: `(batch, DEMOGRAPHICS_WIDTH)` float32.
        labels: Index into `CLASSES`, `(batch,)` int32.
        weights: What each case weighs in the loss, `(batch,)` float32.
        drawn: What each image undergoes, `(batch, AUGMENTATION_WIDTH)` float32.
    """

    pixels: np.ndarray
    demographics: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    drawn: np.ndarray


@dataclass(frozen=True)
class Result:
    """Scalars on the device: mean weighted loss and accuracy on the augmented batch before the
    step, and the norm of all gradients together."""

    loss: Any
    accuracy: Any
    gradient_norm: Any
