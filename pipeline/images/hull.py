"""Fill the convex hull of a mask, in whole numbers."""

import numpy as np


def fill_hull(mask: np.ndarray) -> np.ndarray:
    """Fill the convex hull of a mask that is not empty, pixels taken as unit squares.

    In whole numbers but for the last division, so it does not depend on the machine.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask.argmax(axis=1)[rows]
    last = mask.shape[1] - mask[:, ::-1].argmax(axis=1)[rows]
    centres = np.arange(mask.shape[0]) + 0.5
    left = np.interp(centres, *_envelope(rows, first), left=np.inf, right=np.inf)
    right = -np.interp(centres, *_envelope(rows, -last), left=np.inf, right=np.inf)
    columns = np.arange(mask.shape[1]) + 0.5
    return (columns >= left[:, None]) & (columns <= right[:, None])


def _envelope(rows: np.ndarray, values: np.ndarray) -> tuple[list[int], list[int]]:
    """Return the corners of the lower convex envelope over the top and bottom edges of rows."""
    envelope: list[tuple[int, int]] = []
    for row, value in zip(rows.tolist(), values.tolist(), strict=True):
        for y in (row, row + 1):
            while len(envelope) > 1 and _turns_outwards(envelope[-2], envelope[-1], (y, value)):
                envelope.pop()
            if envelope and envelope[-1][0] == y:
                value_there = min(envelope.pop()[1], value)
                envelope.append((y, value_there))
            else:
                envelope.append((y, value))
    return [y for y, _ in envelope], [value for _, value in envelope]


def _turns_outwards(one: tuple[int, int], two: tuple[int, int], three: tuple[int, int]) -> bool:
    return (two[0] - one[0]) * (three[1] - one[1]) <= (two[1] - one[1]) * (three[0] - one[0])
