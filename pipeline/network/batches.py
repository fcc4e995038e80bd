"""Batches of one epoch as the compiled step takes them: this process's part of each."""

import numpy as np

from pipeline.network.augmentation.draw import AUGMENTATION_WIDTH, draw_augmentation
from pipeline.network.batch import Batch
from pipeline.network.epoch import EpochPlan, hide_demographics
from pipeline.network.run import Run


class BatchReader:
    """Reads the batches of one epoch, each in the parts that it is taken in."""

    def __init__(self, run: Run, plan: EpochPlan, epoch: int, weights: np.ndarray) -> None:
        self._cases, self._plan, self._weights = run.training, plan, weights
        self._parts, self._distribution = run.member.accumulation_steps, run.distribution
        settings = run.settings
        self._drawn = draw_plan(run, plan, epoch)
        self._known = hide_demographics(
            run.training.demographics,
            settings.demographics_dropout,
            seed=settings.seed,
            epoch=epoch,
        )

    def __call__(self, index: int) -> list[Batch]:
        rows, drawn = self._plan.rows[index], self._drawn[index]
        parts = max(1, min(self._parts, len(rows)))
        own = self._distribution.own_rows
        return [
            self._batch(own(part), own(of_part))
            for part, of_part in zip(
                np.array_split(rows, parts), np.array_split(drawn, parts), strict=True
            )
        ]

    def _batch(self, rows: np.ndarray, drawn: np.ndarray) -> Batch:
        labels = self._cases.labels[rows]
        return Batch(
            pixels=self._cases.pixels(rows),
            demographics=self._known[rows],
            labels=labels,
            weights=self._weights[labels],
            drawn=drawn,
        )


def draw_plan(run: Run, plan: EpochPlan, epoch: int) -> np.ndarray:
    """Draw what each image of an epoch undergoes, `(steps, batch, AUGMENTATION_WIDTH)` float32.

    A rare class in balanced sampling is repeated often, so the draws of one repetition are let go
    before those of the next are made.
    """
    drawn = np.empty((*plan.rows.shape, AUGMENTATION_WIDTH), np.float32)
    for repetition in range(int(plan.repetitions.max()) + 1):
        of_all = draw_augmentation(
            run.settings.augment,
            seed=run.settings.seed,
            epoch=epoch,
            count=len(run.training),
            size_px=run.member.input_px,
            repetition=repetition,
        )
        places = plan.repetitions == repetition
        drawn[places] = of_all[plan.rows[places]]
    return drawn
