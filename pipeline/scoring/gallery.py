"""Which cases a gallery shows: hits and misses of every class, and the most confident errors.

A few pictures stand for many, so no one picks them. Hits and misses of a class are spread evenly
over the probability that the class got: one is the middle case, two are those at a quarter and at
three quarters. Errors are the surest ones. Equal cases are taken by name, so that neither the order
of the table nor a seed plays a part.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.classes import CLASSES

HITS, MISSES, ERRORS = "hits", "misses", "errors"
GALLERIES = (HITS, MISSES, ERRORS)


@dataclass(frozen=True, eq=False)
class Answers:
    """What the ensemble said of cases.

    Attributes:
        image_ids: `(n,)` text, each once.
        truth: Indices into `CLASSES`, `(n,)` int.
        probabilities: `(n, 9)` float.
    """

    image_ids: np.ndarray
    truth: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each case, `(n,)` int."""
        return self.probabilities.argmax(axis=1)

    def labels(self, row: int) -> tuple[str, str]:
        """Name the class that is said of a case, and the true one."""
        return CLASSES[self.predicted[row]], CLASSES[self.truth[row]]


@dataclass(frozen=True)
class Shelf:
    """A part of a gallery.

    Attributes:
        gallery: One of `GALLERIES`.
        label: True class of its cases; `None` where they are of any.
        rows: Positions of the cases that are shown, the surest first.
        found: How many such cases there are.
        cases: Among how many of the class, or of all.
    """

    gallery: str
    label: str | None
    rows: tuple[int, ...]
    found: int
    cases: int

    @property
    def title(self) -> str:
        """Say how many are shown of how many."""
        among = "test cases" if self.label is None else f"{self.label} cases"
        return f"{len(self.rows)} of {self.found} {self.gallery} among {self.cases} {among}"


def hang(answers: Answers, *, per_class: int, errors: int) -> list[Shelf]:
    """Choose the cases of the three galleries.

    Args:
        answers: Of the test set.
        per_class: Hits, and misses, of each class; fewer where there are no more.
        errors: Most confident ones.

    Returns:
        Hits of each class in the order of `CLASSES`, then misses, then errors; also shelves that
        are empty, as that is to be said too.
    """
    right = answers.predicted == answers.truth
    shelves = []
    for gallery, wanted in ((HITS, right), (MISSES, ~right)):
        for number, label in enumerate(CLASSES):
            own = answers.truth == number
            order = _surest_first(answers, own & wanted, np.full(len(own), number))
            rows = _spread(order, per_class)
            shelves.append(Shelf(gallery, label, rows, len(order), int(own.sum())))
    order = _surest_first(answers, ~right, answers.predicted)
    return [*shelves, Shelf(ERRORS, None, tuple(order[:errors]), len(order), len(right))]


def count(shelves: Iterable[Shelf]) -> dict[str, dict[str, int]]:
    """Count the cases of each gallery that are shown, and those that there are."""
    counts = {gallery: {"shown": 0, "found": 0} for gallery in GALLERIES}
    for shelf in shelves:
        counts[shelf.gallery]["shown"] += len(shelf.rows)
        counts[shelf.gallery]["found"] += shelf.found
    return counts


def _surest_first(answers: Answers, chosen: np.ndarray, classes: np.ndarray) -> list[int]:
    """Order the chosen cases by the probability of a class of each, then by name."""
    rows = np.flatnonzero(chosen)
    sure = answers.probabilities[rows, classes[rows]]
    return rows[np.lexsort((answers.image_ids[rows].astype(str), -sure))].tolist()


def _spread(order: list[int], count: int) -> tuple[int, ...]:
    """Take as many evenly, each from the middle of its share."""
    if len(order) <= count:
        return tuple(order)
    return tuple(order[int((step + 0.5) * len(order) / count)] for step in range(count))
