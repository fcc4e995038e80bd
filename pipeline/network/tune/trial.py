"""One trial: train with each inner fold left out in turn, and score on it.

A trial has a process of its own, for TensorFlow frees neither graphs nor memory within one. It
resumes from its own checkpoints, and ends with the process that started it, even one that is
killed: two processes must not train into one folder.
"""

import dataclasses
import multiprocessing
import os
import threading
from typing import Any

import keras
import numpy as np

from pipeline.network.checkpoint import DivergedError
from pipeline.network.compiled import prepare_backend
from pipeline.network.distribution import ONE_DEVICE
from pipeline.network.inputs import gather_fold, open_arrays
from pipeline.network.members import build_member
from pipeline.network.run import Run, TrainingError
from pipeline.network.train import train
from pipeline.network.tune.cases import read_rows
from pipeline.network.tune.job import Job
from pipeline.network.tune.state import checkpoints_of, holding
from pipeline.network.tune.study import COMPLETE, FAILED, PRUNED, Trial, is_hopeless


class _Pruned(Exception):
    """The trial is hopeless."""


class _Progress:
    """What a trial has come to, epoch by epoch."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.losses: list[list[float]] = []
        self.seconds = 0.0

    def after_epoch(self, row: dict[str, Any]) -> None:
        """Note an epoch, and stop where the rest would be a waste."""
        losses = self.losses[-1]
        losses.append(row["held_out_loss"])
        self.seconds += row["seconds"]
        fold = len(self.losses) - 1
        earlier = [trial[fold] for trial in self.job.earlier]
        # After the last epoch nothing is left to save.
        is_last = row["epoch"] == self.job.member.epochs
        if not is_last and is_hopeless(losses, earlier, self.job.pruner):
            raise _Pruned


def run_trial(job: Job) -> Trial:
    """Run a trial to its end, from its own checkpoints where an earlier process was killed.

    Raises:
        ValueError: No trial could be run: an input is absent or a setting is not one.
    """
    _end_with_parent()
    progress, reason, value = _Progress(job), "", None
    with holding(job.folder / "trial.lock", waits=True):  # of a process that is just ending
        try:
            value = float(np.mean([_score(job, fold, progress) for fold in job.inner_folds]))
            state = COMPLETE
        except _Pruned:
            state = PRUNED
        except (TrainingError, DivergedError) as error:
            state, reason = FAILED, str(error)
    return Trial(job.number, job.values, state, value, progress.losses, reason, progress.seconds)


def _score(job: Job, fold: int, progress: _Progress) -> float:
    """Train without one inner fold; return the log-loss on it of the weights that are kept."""
    progress.losses.append([])
    run = _prepare(job, fold, progress)
    history = train(run, name=f"trial {job.number}, fold {fold}").history
    if job.settings.early_stopping.patience:
        best = int(np.argmin([row["inner_loss"] for row in history]))
        return history[best]["held_out_loss"]
    return history[-1]["held_out_loss"]


def _prepare(job: Job, fold: int, progress: _Progress) -> Run:
    """Build the member and gather its cases, as stage `train` does."""
    prepare_backend()
    settings = dataclasses.replace(job.settings, devices="one")
    keras.utils.set_random_seed(settings.seed)
    rows = read_rows(job.table, job.outer_fold, job.inner_folds)
    shards = open_arrays(rows, job.arrays)
    inner_share = settings.early_stopping.inner_share
    cases = gather_fold(rows, shards, fold, inner_share=inner_share, seed=settings.seed)
    return Run(
        model=build_member(job.member, training=True),
        member=job.member,
        settings=settings,
        training=cases.training,
        monitored=cases.monitored,
        held_out=cases.held_out,
        resume_folder=checkpoints_of(job.folder, job.number) / f"fold-{fold}",
        live_folder=None,
        distribution=ONE_DEVICE,
        after_epoch=progress.after_epoch,
    )


def _end_with_parent() -> None:
    """End this process when the one that started it ends, however that happens."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
