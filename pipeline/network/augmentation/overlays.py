"""Hairs, a dark surround and a black square, over planes `(batch, 3, size, size)` float32."""

import keras
from keras import ops

from pipeline.network.augmentation.draw_overlays import HAIR_WIDTH

Tensor = keras.KerasTensor


def draw_hairs(pixels: Tensor, hairs: Tensor, count: int) -> Tensor:
    """Darken pixels under hairs: parabolas, cut off square at both ends, with soft edges.

    Args:
        pixels: Planes.
        hairs: Columns of the function of the same name in `draw_overlays`.
        count: How many hairs an image has at most.
    """
    across, down = _from_centre(pixels.shape[2])
    taken = 0.0
    for k in range(count):
        columns = hairs[:, k * HAIR_WIDTH : (k + 1) * HAIR_WIDTH, None, None]
        x, y, cosine, sine, bend, half_px, width_px, darkness = (
            columns[:, n] for n in range(HAIR_WIDTH)
        )
        along = (across - x) * cosine + (down - y) * sine
        off = (down - y) * cosine - (across - x) * sine - bend * along * along
        # The share of a pixel that lies under a line, from the distance of their middles.
        covered = width_px / 2 + 0.5 - ops.abs(off)
        covered = ops.minimum(covered, half_px + 0.5 - ops.abs(along))
        covered = ops.clip(covered, 0, ops.minimum(width_px, 1.0))
        taken = ops.maximum(taken, covered * darkness)
    return pixels * (1 - taken)[:, None]


def darken_surround(pixels: Tensor, surround: Tensor) -> Tensor:
    """Leave a round field of view; the rest has one dark level.

    Args:
        pixels: Planes.
        surround: Columns of `draw_surround`.
    """
    across, down = _from_centre(pixels.shape[2])
    x, y, radius, edge, level = (surround[:, n, None, None] for n in range(5))
    squared = (across - x) * (across - x) + (down - y) * (down - y)
    # Near the edge this is the distance from it; squares do without a root.
    inside = (radius * radius - squared) / (2 * radius * edge) + 0.5
    inside = ops.where(level < 0, 1.0, ops.clip(inside, 0, 1))[:, None]
    return pixels * inside + level[:, None] * (1 - inside)


def cut_out(pixels: Tensor, box: Tensor) -> Tensor:
    """Blacken one square: left, top, right, bottom as shares of the side, `(batch, 4)`."""
    size_px = pixels.shape[2]
    place = (ops.arange(size_px, dtype="float32") + 0.5) / size_px
    across = (place[None] >= box[:, 0:1]) & (place[None] < box[:, 2:3])  # (batch, width)
    down = (place[None] >= box[:, 1:2]) & (place[None] < box[:, 3:4])  # (batch, height)
    inside = down[:, :, None] & across[:, None, :]
    return pixels * (1 - ops.cast(inside, "float32"))[:, None]


def _from_centre(size_px: int) -> tuple[Tensor, Tensor]:
    """Return the distances of pixels from the centre, across and down, in pixels."""
    line = ops.arange(size_px, dtype="float32") - (size_px - 1) / 2
    return line[None, None, :], line[None, :, None]
