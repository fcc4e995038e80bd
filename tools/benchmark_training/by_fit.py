"""Keras' own `fit` as a worker of `make benchmark-training`: the same network, the same arrays."""

import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.network.members import build_member, logits_model
from pipeline.network.optimizers import make_optimizer
from pipeline.shards.arrays import ArrayShards
from tools.benchmark_training.case import LEARNING_RATE, SEED, Case, make_labels, peak_mib


class ArrayBatches(keras.utils.PyDataset):
    """Random batches of the arrays, read by threads of Keras' own while a step runs."""

    def __init__(self, folder: Path, labels: np.ndarray, batch_size: int) -> None:
        super().__init__(workers=2, max_queue_size=4)
        self._shards, self._labels, self._batch_size = ArrayShards(folder), labels, batch_size
        self._rng = np.random.default_rng(SEED)
        self._order = self._rng.permutation(len(labels))

    def __len__(self) -> int:
        return len(self._labels) // self._batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._shards.read([self._shards.image_ids[row] for row in rows]), self._labels[rows]

    def on_epoch_end(self) -> None:
        self._order = self._rng.permutation(len(self._labels))


class Turns(keras.callbacks.Callback):
    """Waits before each epoch, and sends its speed."""

    def __init__(self, connection: Connection, images: int) -> None:
        super().__init__()
        self._connection, self._images = connection, images

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._connection.recv()
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        seconds = time.perf_counter() - self._started
        self._connection.send({"images_per_s": self._images / seconds, "wait_share": None})


def train_by_fit(connection: Connection, case: Case, folder: Path) -> None:
    """Train with `fit`, an epoch whenever it is told; see `training_case.Worker`."""
    keras.utils.set_random_seed(case.settings.seed)
    model = logits_model(build_member(case.member, training=True))
    optimizer = make_optimizer(
        case.settings.optimizer, model.trainable_variables, accumulation_steps=1
    )
    optimizer.learning_rate = LEARNING_RATE
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        # Keras' own choice is XLA, which takes several times as long on a CPU.
        jit_compile=case.settings.compile_xla,
    )
    batches = ArrayBatches(folder, make_labels(case), case.member.batch_size)
    turns = Turns(connection, case.images)
    model.fit(batches, epochs=case.member.epochs, callbacks=[turns], verbose=0)
    connection.recv()
    connection.send(peak_mib())
