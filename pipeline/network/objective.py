"""The loss of each case, and what each class weighs in it."""

import keras
import numpy as np

from pipeline.classes import CLASSES
from pipeline.network.train_params import LossParams


def case_losses(
    loss: LossParams, labels: keras.KerasTensor, logits: keras.KerasTensor
) -> keras.KerasTensor:
    """Return the loss of each case before its class weight.

    Args:
        loss: Its kind.
        labels: Index into `CLASSES`, `(batch,)` int32.
        logits: `(batch, 9)` float32.

    Returns:
        `(batch,)` float32.
    """
    truth = keras.ops.one_hot(labels, len(CLASSES), dtype="float32")
    smoothing = loss.label_smoothing
    if loss.kind == "focal":
        return keras.losses.categorical_focal_crossentropy(
            truth, logits, 1.0, loss.focal_gamma, from_logits=True, label_smoothing=smoothing
        )
    return keras.losses.categorical_crossentropy(
        truth, logits, from_logits=True, label_smoothing=smoothing
    )


def class_weights(labels: np.ndarray, kind: str) -> np.ndarray:
    """Weigh each class by how rare it is among the training cases.

    Args:
        labels: Of the training cases, `(n,)` int32.
        kind: `none`, `balanced` (n / n of the class) or `square_root` of that.

    Returns:
        `(9,)` float32, 0 for a class without a case; their mean over the cases is 1.
    """
    counts = np.bincount(labels, minlength=len(CLASSES))
    power = {"none": 0.0, "square_root": 0.5, "balanced": 1.0}[kind]
    rarity = len(labels) / np.maximum(counts, 1)
    weights = np.where(counts > 0, rarity**power, 0.0)
    return (weights * len(labels) / (weights * counts).sum()).astype(np.float32)
