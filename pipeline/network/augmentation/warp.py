"""Geometry: where each pixel comes from, all operations in one map, then one bilinear look-up.

Pixels come in as bytes, `(batch, size, size, 3)`, and leave in planes, `(batch, 3, size, size)`
float32 in levels of 0-255: arithmetic on planes is several times faster than on triples. Beyond the
edge an image goes on as its mirror image, the outermost pixel repeated.

Only arithmetic that rounds alike whatever the shape of the batch is used here and in the modules
beside: no exponentials or sines, and sums over pixels only where they are exact.
"""

import keras
from keras import ops

from pipeline.network.augmentation.draw_geometry import CONTROL_CELLS, CONTROL_POINTS, GRID_KNOTS
from pipeline.network.augmentation.lookup import look_up

Tensor = keras.KerasTensor


def to_planes(images: Tensor) -> Tensor:
    """Lay bytes out in planes, `(batch, 3, size, size)` float32."""
    return ops.transpose(ops.cast(images, "float32"), (0, 3, 1, 2))


def to_bytes(pixels: Tensor) -> Tensor:
    """Round planes to bytes, `(batch, size, size, 3)` uint8."""
    pixels = ops.transpose(pixels, (0, 2, 3, 1))
    return ops.cast(ops.round(ops.clip(pixels, 0, 255)), "uint8")


def warp(images: Tensor, affine: Tensor, distortion: Tensor, kinds: tuple[str, ...]) -> Tensor:
    """Move pixels.

    Args:
        images: RGB, `(batch, size, size, 3)` uint8.
        affine: Columns of `draw_affine`.
        distortion: Columns of `draw_distortion`.
        kinds: Those of `optical`, `grid` and `elastic` that can have been drawn.

    Returns:
        RGB in planes, `(batch, 3, size, size)` float32. Whole pixels, moved by whole pixels, are
        not changed.
    """
    size_px = images.shape[1]
    line = ops.arange(size_px, dtype="float32") - (size_px - 1) / 2
    across, down = line[None, None, :], line[None, :, None]
    if kinds:
        move = displace(distortion, kinds, size_px)
        across, down = across + move[0], down + move[1]
    a = affine[:, :, None, None]
    centre = (size_px - 1) / 2
    columns = a[:, 0] * across + a[:, 1] * down + (a[:, 2] + centre)
    rows = a[:, 3] * across + a[:, 4] * down + (a[:, 5] + centre)
    return interpolate(images, mirror(rows, size_px), mirror(columns, size_px))


def displace(distortion: Tensor, kinds: tuple[str, ...], size_px: int) -> tuple[Tensor, Tensor]:
    """Return how far each place is moved, across and down, in pixels; what is not drawn adds 0."""
    line = ops.arange(size_px, dtype="float32") - (size_px - 1) / 2
    across, down = line[None, None, :], line[None, :, None]
    moves = [ops.zeros_like(across), ops.zeros_like(down)]
    if "optical" in kinds:
        square = (across * across + down * down) / (size_px * size_px)
        lens = distortion[:, 0, None, None] * (square + square * square)
        moves = [moves[0] + across * lens, moves[1] + down * lens]
    share = ops.arange(size_px, dtype="float32") / max(size_px - 1, 1)
    if "grid" in kinds:
        knots = ops.reshape(distortion[:, 1 : 1 + 2 * GRID_KNOTS], (-1, 2, GRID_KNOTS))
        basis = [hat(share * (GRID_KNOTS - 1) - k) for k in range(GRID_KNOTS)]
        moved = blend(knots, basis)  # (batch, 2, size)
        moves = [moves[0] + moved[:, 0, None, :], moves[1] + moved[:, 1, :, None]]
    if "elastic" in kinds:
        shape = (-1, 2, CONTROL_POINTS, CONTROL_POINTS)
        points = ops.reshape(distortion[:, 1 + 2 * GRID_KNOTS :], shape)
        basis = [cubic_spline(share * CONTROL_CELLS - k + 1) for k in range(CONTROL_POINTS)]
        moved = blend(points, basis)  # (batch, 2, CONTROL_POINTS, size)
        moved = blend(ops.transpose(moved, (0, 1, 3, 2)), basis)  # (batch, 2, across, down)
        moved = ops.transpose(moved, (0, 1, 3, 2))
        moves = [moves[0] + moved[:, 0], moves[1] + moved[:, 1]]
    return moves[0], moves[1]


def blend(values: Tensor, basis: list[Tensor]) -> Tensor:
    """Sum the last axis of `values` by weights that vary along a line, `(…, len(line))`."""
    total = values[..., 0, None] * basis[0]
    for k in range(1, len(basis)):
        total = total + values[..., k, None] * basis[k]
    return total


def hat(distance: Tensor) -> Tensor:
    """Weight of a knot in linear interpolation; the weights of all knots sum to 1."""
    return ops.maximum(0.0, 1 - ops.abs(distance))


def cubic_spline(distance: Tensor) -> Tensor:
    """Weight of a control point in a uniform cubic B-spline; the weights of all sum to 1."""
    wide, narrow = ops.maximum(0.0, 2 - ops.abs(distance)), hat(distance)
    return (wide * wide * wide - 4 * narrow * narrow * narrow) / 6


def mirror(place: Tensor, size_px: int) -> Tensor:
    """Fold places beyond the edge back into the image, in pixels; those inside are not changed."""
    from_edge = place + 0.5
    period = 2 * size_px
    from_edge = from_edge - period * ops.floor(from_edge / period)
    folded = size_px - ops.abs(size_px - from_edge) - 0.5
    return ops.clip(folded, 0, size_px - 1)


def interpolate(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Interpolate between the four pixels around each place, `(batch, 3, size, size)` float32."""
    size_px = images.shape[1]
    top, left = ops.floor(rows), ops.floor(columns)
    down, across = rows - top, columns - left
    found = look_up(_pack_fours(images), top * size_px + left)
    corners = [_unpack(found[..., k]) for k in range(4)]
    planes = []
    for a, b, c, d in zip(*corners, strict=True):
        upper, lower = a + (b - a) * across, c + (d - c) * across
        planes.append(upper + (lower - upper) * down)
    return ops.stack(planes, axis=1)


def _pack_fours(images: Tensor) -> Tensor:
    """Lay each pixel beside its neighbours to the right, below and diagonally, `(batch, n, 4)`.

    The three bytes of a pixel fit a float32 exactly: one look-up fetches four pixels.
    """
    levels = ops.cast(images, "float32")
    packed = levels[..., 0] * 65536 + levels[..., 1] * 256 + levels[..., 2]
    below = ops.concatenate([packed[:, 1:], packed[:, -1:]], axis=1)
    fours = []
    for line in (packed, below):
        fours += [line, ops.concatenate([line[:, :, 1:], line[:, :, -1:]], axis=2)]
    return ops.reshape(ops.stack(fours, axis=-1), (-1, images.shape[1] * images.shape[2], 4))


def _unpack(packed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Part red, green and blue."""
    red = ops.floor(packed * (1 / 65536))
    rest = packed - red * 65536
    green = ops.floor(rest * (1 / 256))
    return red, green, rest - green * 256
