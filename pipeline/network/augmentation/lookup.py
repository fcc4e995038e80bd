"""Look up values at places that are computed, each image in its own values."""

import keras
from keras import ops

Tensor = keras.KerasTensor

# TensorFlow computes with int32 on the host, even where the numbers lie on a GPU; JAX has no int64.
INDEX_DTYPE = "int64" if keras.backend.backend() == "tensorflow" else "int32"


def look_up(values: Tensor, places: Tensor) -> Tensor:
    """Take rows of values.

    Args:
        values: `(batch, rows, width)`.
        places: Rows to take, whole numbers below 2²⁴, `(batch, height, width)` float32.

    Returns:
        `(batch, height, width, width of values)`.
    """
    rows = values.shape[1]
    first = image_numbers(places) * rows
    index = ops.cast(places, INDEX_DTYPE) + first[:, None, None]
    return ops.take(ops.reshape(values, (-1, values.shape[2])), index, axis=0)


def image_numbers(batch: Tensor) -> Tensor:
    """Number the images of a batch from 0, `(batch,)`."""
    return ops.arange(ops.shape(batch)[0], dtype=INDEX_DTYPE)
