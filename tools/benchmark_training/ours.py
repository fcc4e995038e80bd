"""This project's training loop as a worker of `make benchmark-training`."""

import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.demographics import DEMOGRAPHICS_WIDTH
from pipeline.network import train as loop
from pipeline.network.compiled import prepare_backend
from pipeline.network.inputs import Cases
from pipeline.network.members import build_member
from pipeline.network.run import Run
from pipeline.network.watch import Watch
from pipeline.shards.arrays import ArrayShards
from tools.benchmark_training.case import Case, make_labels, peak_mib


def train_ours(connection: Connection, case: Case, folder: Path) -> None:
    """Train as stage `train` does, an epoch whenever it is told; see `training_case.Worker`."""
    prepare_backend()
    keras.utils.set_random_seed(case.settings.seed)
    shards, labels = ArrayShards(folder), make_labels(case)
    cases = Cases(list(shards.image_ids), labels, no_demographics(case), shards)
    first = case.member.batch_size
    held_out = Cases(cases.image_ids[:first], labels[:first], cases.demographics[:first], shards)

    class Turns(Watch):
        """Waits after each epoch, whose row has its speed; scoring and checkpoint are not in it."""

        def epoch(self, row: dict[str, Any]) -> None:
            super().epoch(row)
            connection.send({key: row[key] for key in ("images_per_s", "wait_share")})
            connection.recv()

    loop.Watch = Turns
    with tempfile.TemporaryDirectory() as resume:
        run = Run(
            model=build_member(case.member, training=True),
            member=case.member,
            settings=case.settings,
            training=cases,
            monitored=None,
            held_out=held_out,
            resume_folder=Path(resume),
            live_folder=None,
        )
        connection.recv()
        loop.train(run, name="ours")
    connection.send(peak_mib())


def no_demographics(case: Case) -> np.ndarray:
    """Return `(n, DEMOGRAPHICS_WIDTH)` float32 of all unknown."""
    return np.zeros((case.images, DEMOGRAPHICS_WIDTH), np.float32)
