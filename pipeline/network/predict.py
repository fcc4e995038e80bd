"""Probabilities of a member for many cases."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from pipeline.demographics import DEMOGRAPHICS_WIDTH
from pipeline.network.inputs import Cases

Predictor = Callable[[np.ndarray, np.ndarray], np.ndarray]


def make_predictor(model: keras.Model) -> Predictor:
    """Compile a member's inference: pixels and demographics in, `(batch, 9)` float32 out."""
    taken = len(model.inputs)  # a member without demographics takes pixels alone
    # A free batch dimension: the last, smaller batch needs no second trace.
    signature = [
        tf.TensorSpec(model.inputs[0].shape, tf.uint8),
        tf.TensorSpec((None, DEMOGRAPHICS_WIDTH), tf.float32),
    ]

    @tf.function(jit_compile=False, input_signature=signature)
    def compiled(pixels: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        return model([pixels, known][:taken], training=False)

    def predict(pixels: np.ndarray, known: np.ndarray) -> np.ndarray:
        return compiled(tf.constant(pixels), tf.constant(known)).numpy()

    return predict


def predict_cases(
    predictor: Predictor, cases: Cases, *, batch_size: int, progress: str = ""
) -> np.ndarray:
    """Score cases in their own order.

    Args:
        predictor: From `make_predictor`.
        cases: What to score.
        batch_size: Images at a time.
        progress: Name of a progress bar; no bar where empty.

    Returns:
        Probabilities in the order of `CLASSES`, `(len(cases), 9)` float32.
    """
    rows = np.arange(len(cases))
    starts = range(0, len(cases), batch_size)
    parts = [
        predictor(cases.pixels(chunk), cases.demographics[chunk])
        for chunk in tqdm(
            [rows[start : start + batch_size] for start in starts],
            desc=progress,
            disable=not progress,
        )
    ]
    return np.concatenate(parts)
