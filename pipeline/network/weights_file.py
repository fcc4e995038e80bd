"""Trained weights as a file that is whole or absent, on a full disk too."""

import io
from pathlib import Path

import keras

from pipeline.storage import atomic_write


class _Memory(io.BytesIO):
    """A file in memory under a name that Keras takes."""

    def __str__(self) -> str:
        return "member.weights.h5"


def save_weights(model: keras.Model, path: Path) -> None:
    """Write a network's weights, in the form that `load_weights` reads.

    HDF5 writes into memory first: where its own writes to a disk fail, it prints hundreds of lines
    and takes the process down with it.

    Args:
        model: The network.
        path: Ends in `.weights.h5`.

    Raises:
        OSError: The file cannot be written; nothing is under its name.
    """
    memory = _Memory()
    model.save_weights(memory)
    with atomic_write(path) as file:
        file.write(memory.getbuffer())
