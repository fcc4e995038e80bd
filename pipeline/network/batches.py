"""Batches of one epoch as the compiled step takes them: this process's part of each."""

import numpy as np

from pipeline.network.augmentation.draw import draw_augmentation
from pipeline.network.batch import Batch
from pipeline.network.epoch import EpochPlan, hide_demographics
from pipeline.network.run import Run


class BatchReader:
    """Reads the batches of one epoch, each in the parts that it is taken in."""

    def __init__(self, run: Run, plan: EpochPlan, epoch: int, weights: np.ndarray) -> None:
        self._cases, self._plan, self._weights = run.training, plan, weights
        self._parts, self._distribution = run.member.accumulation_steps, run.distribution
        settings = run.settings
        self._drawn = [
            draw_augmentation(
                settings.augment,
                seed=settings.seed,
                epoch=epoch,
                count=len(run.training),
                size_px=run.member.input_px,
                repetition=repetition,
            )
            for repetition in range(int(plan.repetitions.max()) + 1)
        ]
        self._known = hide_demographics(
            run.training.demographics,
            settings.demographics_dropout,
            seed=settings.seed,
            epoch=epoch,
        )

    def __call__(self, index: int) -> list[Batch]:
        rows, again = self._plan.rows[index], self._plan.repetitions[index]
        parts = max(1, min(self._parts, len(rows)))
        return [
            self._batch(self._distribution.own_rows(part), self._distribution.own_rows(turn))
            for part, turn in zip(
                np.array_split(rows, parts), np.array_split(again, parts), strict=True
            )
        ]

    def _batch(self, rows: np.ndarray, again: np.ndarray) -> Batch:
        labels = self._cases.labels[rows]
        drawn = [self._drawn[turn][row] for row, turn in zip(rows, again, strict=True)]
        return Batch(
            pixels=self._cases.pixels(rows),
            demographics=self._known[rows],
            labels=labels,
            weights=self._weights[labels],
            drawn=np.stack(drawn),
        )
