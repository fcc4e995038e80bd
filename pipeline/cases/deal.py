"""Deal components to parts: the test set and the rest, then the rest to folds.

Components are dealt out largest and rarest first, each to the part that is furthest below its share
of every class and of every band of images per patient, after each part has got one of every class
as far as there are enough. A component that is bound to a part stays there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FREE = -1  # part of a component that is not bound to one
# Of each class, band, and the total. The bands: less, for they even out how alike the images of a
# part are, not what there is to learn. The total: more, so that parts of a few hundred cases keep
# their size to a few per cent; the classes lose nothing by it.
WEIGHTS = (1.0, 0.1, 10.0)


@dataclass(frozen=True, eq=False)
class Components:
    """What is dealt, one row for each component.

    Attributes:
        classes: Images by class, `(components, classes)`.
        bands: Images by how many the patient has, `(components, bands)`.
    """

    classes: np.ndarray
    bands: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)

    def as_shares(self) -> tuple[np.ndarray, np.ndarray]:
        """Lay out each component's share of every class, every band and the total.

        Returns:
            The shares, `(components, columns)`, without classes and bands that nothing has, and the
            weight of each column, `(columns,)`.
        """
        counts = [self.classes, self.bands, self.classes.sum(axis=1)[:, None]]
        weight = np.repeat(WEIGHTS, [table.shape[1] for table in counts])
        table = np.column_stack(counts)
        there = table.sum(axis=0) > 0
        return table[:, there] / table.sum(axis=0)[there], weight[there]

    def pick(self, chosen: np.ndarray) -> "Components":
        """Return some components, `(components,)` bool."""
        return Components(self.classes[chosen], self.bands[chosen])


def deal(
    components: Components,
    shares: Sequence[float],
    least: Sequence[int],
    bound: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Deal components to parts, each class, band and the total close to the parts' shares.

    Args:
        components: What is dealt.
        shares: Of each part; they sum to one.
        least: Components that each part gets in any case; in all, not more than there are.
        bound: Part that each component must go to, or `FREE`, `(components,)`.
        rng: Decides between components that are alike.

    Returns:
        Part of each component, `(components,)` int64.
    """
    table, weight = components.as_shares()
    # Rare classes weigh most, as their images are few; ties are in random order.
    order = rng.permutation(len(table))
    order = order[np.argsort(-(table[order] @ weight), kind="stable")]
    hand = _Hand(table, weight, order, np.asarray(shares)[:, None], np.asarray(least))
    for row in np.flatnonzero(bound != FREE):
        hand.give(row, bound[row])
    holders = (components.classes > 0).sum(axis=0)
    holders = holders[holders > 0]  # by class that is there: the first columns of the table
    for column in np.argsort(holders, kind="stable"):
        if holders[column] >= len(shares):
            hand.deal_one_each(column)
    hand.deal_rest()
    return hand.parts


class _Hand:
    """Components on their way to the parts."""

    def __init__(
        self,
        table: np.ndarray,
        weight: np.ndarray,
        order: np.ndarray,
        wanted: np.ndarray,
        least: np.ndarray,
    ) -> None:
        self.table = table  # (components, columns)
        self.weight = weight  # (columns,)
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
            cost = self.cost(self.table[free], self.filled[part], self.wanted[part])
            self.give(free[np.argmin(cost)], part)

    def deal_rest(self) -> None:
        """Give each free component to the part that it fits best."""
        for row in self.order[self.parts[self.order] < 0]:
            cost = self.cost(self.table[row], self.filled, self.wanted)
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

    def cost(self, added: np.ndarray, filled: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Chi-square to the wanted shares after adding, less that before, over all columns."""
        # The distance is relative to the share: else the largest part would be filled before the
        # others, and get all the large components. (filled + added - wanted)² - (filled - wanted)²,
        # multiplied out.
        return ((added * (added + 2 * (filled - wanted))) / wanted) @ self.weight
