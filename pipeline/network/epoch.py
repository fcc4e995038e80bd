"""The batches of one epoch: which cases, in what order, and what is hidden from the member.

All of it depends on (seed, epoch) alone, so that a resumed epoch repeats exactly.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from pipeline.demographics import DEMOGRAPHICS_FIELDS, DEMOGRAPHICS_WIDTH

Item = TypeVar("Item")

AHEAD = 2  # batches read while a step runs


@dataclass(frozen=True)
class EpochPlan:
    """Which case stands where in an epoch.

    Attributes:
        rows: Of the training cases, `(steps, batch)` int.
        repetitions: How often the case was taken before in this epoch, `(steps, batch)` int.
    """

    rows: np.ndarray
    repetitions: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def plan_epoch(
    labels: np.ndarray, batch_size: int, *, sampling: str, seed: int, epoch: int
) -> EpochPlan:
    """Order the cases of one epoch; the last partial batch is left out.

    Args:
        labels: Of the training cases, `(n,)` int32.
        batch_size: Cases of one step; a training set smaller than that is one batch.
        sampling: `natural`: each case once. `balanced`: n draws, every class as often as any other,
            the cases of a class taken in turn.
        seed: Seed of the training run.
        epoch: Epoch, from 0.
    """
    rng = np.random.default_rng([seed, epoch, 0])
    count = len(labels)
    order = rng.permutation(count) if sampling == "natural" else _balanced_order(labels, rng)
    size = min(batch_size, count)
    steps = count // size
    repetitions = pd.Series(order).groupby(order).cumcount().to_numpy()
    shape = (steps, size)
    return EpochPlan(
        order[: steps * size].reshape(shape), repetitions[: steps * size].reshape(shape)
    )


def _balanced_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw as many cases as there are, the classes alike, in random order."""
    present = np.unique(labels)
    shares = np.full(len(present), len(labels) // len(present))
    shares[: len(labels) % len(present)] += 1
    rng.shuffle(shares)
    drawn = []
    for label, share in zip(present, shares, strict=True):
        cases = np.flatnonzero(labels == label)
        rounds = -(-share // len(cases))
        drawn.append(np.concatenate([rng.permutation(cases) for _ in range(rounds)])[:share])
    return rng.permutation(np.concatenate(drawn))


def hide_demographics(known: np.ndarray, chance: float, *, seed: int, epoch: int) -> np.ndarray:
    """Make age, sex and site unknown by chance, each by itself.

    Args:
        known: Of all training cases, `(n, DEMOGRAPHICS_WIDTH)` float32.
        chance: In [0, 1].
        seed: Seed of the training run.
        epoch: Epoch, from 0.

    Returns:
        `(n, DEMOGRAPHICS_WIDTH)` float32; a hidden field is all zeros, as an unknown one is.
    """
    rng = np.random.default_rng([seed, epoch, 3])
    kept = rng.random((len(known), len(DEMOGRAPHICS_FIELDS))) >= chance
    columns = np.zeros((len(DEMOGRAPHICS_FIELDS), DEMOGRAPHICS_WIDTH), bool)
    for row, field in zip(columns, DEMOGRAPHICS_FIELDS, strict=True):
        row[field] = True
    return known * (kept.astype(np.float32) @ columns.astype(np.float32))


def read_ahead(
    read: Callable[[int], Item], count: int, *, start: int
) -> Iterator[tuple[Item, float]]:
    """Yield `read(start)` to `read(count - 1)`, each read while the one before is worked on.

    Returns:
        Each item with the seconds that its taker had to wait for it.
    """
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(
            pool.submit(read, index) for index in range(start, min(start + AHEAD, count))
        )
        for index in range(start, count):
            began = time.perf_counter()
            item = waiting.popleft().result()
            waited = time.perf_counter() - began
            if index + AHEAD < count:
                waiting.append(pool.submit(read, index + AHEAD))
            yield item, waited
