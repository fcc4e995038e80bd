"""Fill the convex hull of a mask, and the circle that most of its outline lies on."""

import numpy as np

CIRCLE_ROUNDS = 8
CIRCLE_NEAR = 0.015  # of the radius: a point this close lies on the circle
CIRCLE_SHARE = 0.6  # of the outline's points, that must lie on it
CIRCLE_INSIDE = 0.97  # share of the mask, that must lie in it
LEAST_POINTS = 20
LEAST_ADDED = 0.01  # of the hull; less is the fit's own error, not a chord


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


def fill_circle(hull: np.ndarray) -> np.ndarray:
    """Complete a convex hull by the circle that its outline mostly follows.

    A chord in a round outline is where something dark, a lesion perhaps, hides a part of it.

    Args:
        hull: Convex, not empty, `(height, width)` bool. What the image's edge cuts off is no
            outline.

    Returns:
        The hull and the circle, or the hull alone where it is not round.
    """
    x, y = _outline_points(hull)
    on_circle = np.ones(len(x), bool)
    for _ in range(CIRCLE_ROUNDS):
        if on_circle.sum() < LEAST_POINTS:
            return hull
        centre_x, centre_y, radius = _fit_circle(x[on_circle], y[on_circle])
        off = np.hypot(x - centre_x, y - centre_y) - radius
        # Chords lie inside the circle: points on the outer half of the outline decide.
        on_circle = off >= min(-CIRCLE_NEAR * radius, float(np.median(off)))
    near = np.abs(off) <= CIRCLE_NEAR * radius
    rows, columns = np.indices(hull.shape) + 0.5
    circle = np.hypot(columns - centre_x, rows - centre_y) <= radius
    if near.mean() < CIRCLE_SHARE or circle[hull].mean() < CIRCLE_INSIDE:
        return hull
    whole = hull | circle
    return whole if whole.sum() >= (1 + LEAST_ADDED) * hull.sum() else hull


def _outline_points(hull: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y where rows and columns enter and leave a hull, inside the image."""
    points = []
    for mask in (hull, hull.T):
        lines = np.flatnonzero(mask.any(axis=1))
        first = mask.argmax(axis=1)[lines]
        last = mask.shape[1] - mask[:, ::-1].argmax(axis=1)[lines]
        for ends, within in ((first, first > 0), (last, last < mask.shape[1])):
            along, across = ends[within].astype(float), lines[within] + 0.5
            points.append((along, across) if mask is hull else (across, along))
    x, y = (np.concatenate(values) for values in zip(*points, strict=True))
    return x, y


def _fit_circle(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Fit a circle by least squares.

    Source: I. Kasa, IEEE Trans. Instrum. Meas. 25(1), 1976.
    """
    terms = np.stack([x, y, np.ones_like(x)], axis=1)
    a, b, c = np.linalg.lstsq(terms, x * x + y * y, rcond=None)[0]
    return a / 2, b / 2, float(np.sqrt(max(c + (a * a + b * b) / 4, 0.0)))
