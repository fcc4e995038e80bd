"""Part the cases into a test set and folds such that no patient, lesion or duplicate crosses.

Images that share a patient, a lesion or a picture, directly or through others, are one component;
a component is never parted. Missing identifiers link nothing. Components are dealt out largest and
rarest first, each to the part that is furthest below its share of every class, after each part has
got one of every class as far as there are enough. The result does not depend on the order of rows,
and the test set does not depend on the number of folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.cases.duplicates import find_equal
from pipeline.cases.near_search import HASH_BITS
from pipeline.classes import CLASSES

TEST = "test"
# Of the total beside each class: enough to decide where the classes do not, so that sizes agree.
TOTAL_WEIGHT = 0.01
LINKS = ("image_id", "patient_id", "lesion_id")


class SplitError(ValueError):
    """The cases cannot be parted as asked."""


@dataclass(frozen=True)
class SplitParams:
    """Section `split` of `params.yaml`."""

    seed: int
    test_share: float
    folds: int
    train_folds: tuple[int, ...]
    near_duplicate_bits: int

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise ValueError(f"test_share must be between 0 and 1. Got: {self.test_share}.")
        if self.folds < 2:
            raise ValueError(f"folds must be at least 2. Got: {self.folds}.")
        known = set(range(self.folds))
        if not self.train_folds or not known.issuperset(self.train_folds):
            raise ValueError(
                f"train_folds must be some of 0 to {self.folds - 1}. Got: {list(self.train_folds)}."
            )
        if len(set(self.train_folds)) != len(self.train_folds):
            raise ValueError(f"train_folds must differ. Got: {list(self.train_folds)}.")
        if not 0 <= self.near_duplicate_bits <= HASH_BITS // 4:
            # Unrelated hashes differ in about half of their bits.
            raise ValueError(
                f"near_duplicate_bits must be from 0 to {HASH_BITS // 4}. "
                f"Got: {self.near_duplicate_bits}."
            )


def join_sources(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the manifests of several sources under one another.

    An image that two sources hold stays twice: the patient and the lesion of both rows are links.

    Returns:
        The rows in the order given, with a fresh index and a column `is_repeated`.

    Raises:
        SplitError: Two sources use one image id for different files.
    """
    frame = pd.concat(frames, ignore_index=True)
    digests = frame.groupby("image_id").sha256.nunique()
    clashing = digests.index[digests > 1].tolist()
    if clashing:
        sources = frame.source[frame.image_id == clashing[0]].tolist()
        raise SplitError(
            f"image_id must mean one image in all sources. Got: {clashing[0]!r} for different "
            f"files in {sources}; {len(clashing)} such ids, first {clashing[:5]}."
        )
    return frame.assign(is_repeated=frame.image_id.duplicated())


def split(frame: pd.DataFrame, duplicates: np.ndarray, params: SplitParams) -> pd.DataFrame:
    """Give every row its `group_id` and `fold`.

    Args:
        frame: As from `join_sources`. Repeated rows link, but do not count.
        duplicates: `(pairs, 2)` positions of rows that show one picture.
        params: Shares and seed.

    Returns:
        `frame` with two more columns; `fold` is text, `test` or 0 to folds - 1.

    Raises:
        SplitError: There are too few components for every part to get one.
    """
    groups = name_components(frame, duplicates)
    counted = ~frame.is_repeated.to_numpy()
    counts = pd.crosstab(groups[counted], frame.diagnosis[counted].to_numpy())
    counts = counts.reindex(columns=list(CLASSES), fill_value=0).sort_index()
    if len(counts) <= params.folds:
        raise SplitError(
            f"cases must form at least {params.folds + 1} components, one for the test set and "
            f"each fold. Got: {len(counts)} from {len(frame)} rows."
        )
    rng = np.random.default_rng(params.seed)
    table = counts.to_numpy()
    shares = [params.test_share, 1 - params.test_share]
    is_test = deal(table, shares, [1, params.folds], rng) == 0
    fold = np.full(len(table), TEST, dtype=object)
    shares, least = [1 / params.folds] * params.folds, [1] * params.folds
    fold[~is_test] = deal(table[~is_test], shares, least, rng).astype(str)
    fold_of_group = dict(zip(counts.index, fold, strict=True))
    return frame.assign(group_id=groups, fold=[fold_of_group[group] for group in groups])


def name_components(frame: pd.DataFrame, duplicates: np.ndarray) -> np.ndarray:
    """Return the smallest image_id of each row's component, `(rows,)` text."""
    links = [duplicates, *(find_equal(frame[column]) for column in LINKS)]
    rows, others = np.concatenate(links).T
    graph = coo_array((np.ones(len(rows), np.int8), (rows, others)), shape=(len(frame),) * 2)
    _, labels = connected_components(graph, directed=False)
    return frame.image_id.groupby(labels).transform("min").to_numpy(object)


def deal(
    counts: np.ndarray, shares: Sequence[float], least: Sequence[int], rng: np.random.Generator
) -> np.ndarray:
    """Deal components to parts, each class and the total close to the parts' shares.

    Args:
        counts: Images by component and class, `(components, classes)`.
        shares: Of each part; they sum to one.
        least: Components that each part gets in any case; in all, not more than there are.
        rng: Decides between components that are alike.

    Returns:
        Part of each component, `(components,)` int64.
    """
    table = np.column_stack([counts, counts.sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    table = table / table.sum(axis=0)  # each component's share of each class and of the total
    # Rare classes weigh most, as their images are few; ties are in random order.
    order = rng.permutation(len(table))
    order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
    hand = _Hand(table, order, np.asarray(shares)[:, None], np.asarray(least))
    holders = (table > 0).sum(axis=0)
    for column in np.argsort(holders, kind="stable"):
        if holders[column] >= len(shares):
            hand.deal_one_each(column)
    hand.deal_rest()
    return hand.parts


class _Hand:
    """Components on their way to the parts."""

    def __init__(
        self, table: np.ndarray, order: np.ndarray, wanted: np.ndarray, least: np.ndarray
    ) -> None:
        self.table = table  # (components, columns)
        self.order = order  # (components,)
        self.wanted = wanted  # (parts, 1)
        self.missing = least.copy()  # (parts,) components that a part must still get
        self.filled = np.zeros((len(wanted), table.shape[1]))  # (parts, columns)
        self.parts = np.full(len(table), -1)  # (components,)
        self.left = len(table)

    def deal_one_each(self, column: int) -> None:
        """Give each part without the class of `column` the component that fits it best."""
        for part in np.argsort(self.wanted[:, 0], kind="stable"):
            free = self.order[(self.parts[self.order] < 0) & (self.table[self.order, column] > 0)]
            if self.filled[part, column] > 0 or not len(free) or not self.may_take()[part]:
                continue
            cost = _cost(self.table[free], self.filled[part], self.wanted[part])
            self.give(free[np.argmin(cost)], part)

    def deal_rest(self) -> None:
        """Give each free component to the part that it fits best."""
        for row in self.order[self.parts[self.order] < 0]:
            cost = _cost(self.table[row], self.filled, self.wanted)
            self.give(row, int(np.argmin(np.where(self.may_take(), cost, np.inf))))

    def may_take(self) -> np.ndarray:
        """Say of each part whether the others can still get their least after it takes one."""
        others = self.missing.sum() - self.missing
        return others + np.maximum(self.missing - 1, 0) <= self.left - 1

    def give(self, row: int, part: int) -> None:
        self.parts[row] = part
        self.filled[part] += self.table[row]
        self.missing[part] = max(self.missing[part] - 1, 0)
        self.left -= 1


def _cost(added: np.ndarray, filled: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Squared distance to the wanted share after adding, less that before, over all columns."""
    change = (filled + added - wanted) ** 2 - (filled - wanted) ** 2
    return change[..., :-1].sum(axis=-1) + TOTAL_WEIGHT * change[..., -1]
