"""What tells the nine classes of synthetic lesions apart: the border and the structures inside.

A drawing function returns a mask (how much of a pixel is lesion) and a pattern (what its structures
add to the lesion's base colour). Most of the pattern's mean is taken out later, so colour tells the
classes apart far less than form does. Structures are bold, at least 0.15 lesion radii wide: they
are still there when the image's central square has become 64 pixels wide.

Lengths are in lesion radii, in the lesion's own axes; fields are `(height, width)` float32 of the
working grid, 0 to 1.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

# What a structure adds to red, green and blue where it is fully opaque, in 0-255 levels.
DARK = (-70.0, -80.0, -75.0)
BROWN = (-72.0, -106.0, -112.0)
BLACK = (-115.0, -105.0, -85.0)
LIGHT = (95.0, 100.0, 95.0)
YELLOW = (112.0, 88.0, 5.0)
RED = (28.0, -108.0, -88.0)
PURPLE = (-55.0, -120.0, -20.0)
PINK = (75.0, 25.0, 35.0)
BLUE_WHITE = (25.0, 65.0, 100.0)

OUTLINE_STEPS = 512

Drawing = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Pose:
    """Where a lesion lies on the working grid."""

    height: int
    width: int
    centre_px: tuple[float, float]  # row, column
    radius_px: float
    angle: float  # radians
    stretch: float  # length of the long axis over its mean; the area stays


class Lesion:
    """The working grid in a lesion's own axes, and ways to draw on it."""

    def __init__(self, pose: Pose) -> None:
        rows, columns = np.mgrid[: pose.height, : pose.width].astype(np.float32)
        x, y = columns - pose.centre_px[1], rows - pose.centre_px[0]
        cosine, sine = np.cos(pose.angle), np.sin(pose.angle)
        self.pose = pose
        self.p = (x * cosine + y * sine) / np.float32(pose.radius_px * pose.stretch)
        self.q = (y * cosine - x * sine) / np.float32(pose.radius_px / pose.stretch)
        self.rho = np.hypot(self.p, self.q)
        self.theta = np.arctan2(self.q, self.p)

    def inside(self, outline: np.ndarray, softness: float) -> np.ndarray:
        """Fill an outline, fading from 1 to 0 over `softness` around it."""
        angles = np.linspace(-np.pi, np.pi, len(outline), dtype=np.float32)
        edge = np.interp(self.theta, angles, outline).astype(np.float32)
        return fade((edge - self.rho) / softness + 0.5)

    def lattice(self, rng: np.random.Generator, spacing: float) -> np.ndarray:
        """Return a bent honeycomb field: 1 at the centres of its cells, 0 between them."""
        bend, phase = rng.uniform(0.05, 0.10), rng.uniform(0, 2 * np.pi, 5)
        p = self.p + np.float32(bend) * np.sin(2.2 * self.q + np.float32(phase[0]))
        q = self.q + np.float32(bend) * np.sin(2.2 * self.p + np.float32(phase[1]))
        turn, wave = rng.uniform(0, np.pi / 3), 4 * np.pi / (np.sqrt(3) * spacing)
        # The third wave is minus the sum of the other two: three free phases would lose the cells.
        angles = [phase[2], phase[3], -phase[2] - phase[3]]
        waves = sum(
            np.cos(
                np.float32(wave * np.cos(turn + k * 2 * np.pi / 3)) * p
                + np.float32(wave * np.sin(turn + k * 2 * np.pi / 3)) * q
                + np.float32(angles[k])
            )
            for k in range(3)
        )
        return (waves + 1.5) / 4.5

    def to_px(self, points: np.ndarray) -> np.ndarray:
        """Map `(n, 2)` points of the lesion's axes to `(n, 2)` pixels, column first as Pillow's."""
        pose = self.pose
        long, short = (points * (pose.radius_px * pose.stretch, pose.radius_px / pose.stretch)).T
        cosine, sine = np.cos(pose.angle), np.sin(pose.angle)
        columns = pose.centre_px[1] + long * cosine - short * sine
        rows = pose.centre_px[0] + long * sine + short * cosine
        return np.stack([columns, rows], axis=1)

    def discs(self, points: np.ndarray, radii: np.ndarray) -> np.ndarray:
        """Fill discs around `(n, 2)` points."""
        canvas, draw = self._canvas()
        for (column, row), radius in zip(self.to_px(points), radii, strict=True):
            r = radius * self.pose.radius_px
            draw.ellipse((column - r, row - r, column + r, row + r), fill=255)
        return as_field(canvas)

    def lines(self, paths: list[tuple[np.ndarray, float]]) -> np.ndarray:
        """Draw open paths, each `(n, 2)` points and a width."""
        canvas, draw = self._canvas()
        for points, width in paths:
            width_px = max(1, round(width * self.pose.radius_px))
            draw.line([tuple(point) for point in self.to_px(points)], 255, width_px, "curve")
        return as_field(canvas)

    def polygons(self, shapes: list[np.ndarray]) -> np.ndarray:
        """Fill polygons, each `(n, 2)` points."""
        canvas, draw = self._canvas()
        for points in shapes:
            draw.polygon([tuple(point) for point in self.to_px(points)], fill=255)
        return as_field(canvas)

    def _canvas(self) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        canvas = Image.new("L", (self.pose.width, self.pose.height))
        return canvas, ImageDraw.Draw(canvas)


def fade(field: np.ndarray) -> np.ndarray:
    """Map a field to 0-1 with soft ends; below 0 is 0, above 1 is 1."""
    x = np.clip(field, 0, 1)
    return x * x * (3 - 2 * x)


def as_field(canvas: Image.Image) -> np.ndarray:
    """Soften what was drawn by about a pixel, and scale it to 0-1."""
    return np.asarray(canvas.filter(ImageFilter.GaussianBlur(0.8)), np.float32) / 255


def outline(rng: np.random.Generator, wobble: dict[int, float]) -> np.ndarray:
    """Return radii over one turn, `(OUTLINE_STEPS,)`, from the height of each count of lobes."""
    theta = np.linspace(-np.pi, np.pi, OUTLINE_STEPS)
    radii = np.ones(OUTLINE_STEPS)
    for lobes, height in wobble.items():
        radii += height * np.cos(lobes * theta + rng.uniform(0, 2 * np.pi))
    return radii


def scatter(rng: np.random.Generator, count: int, *, reach: float, apart: float) -> np.ndarray:
    """Place up to `count` points within `reach`, `apart` from each other, `(n, 2)`."""
    points: list[np.ndarray] = []
    for _ in range(40 * count):
        point = rng.uniform(-reach, reach, 2)
        if np.hypot(*point) < reach and all(np.hypot(*(point - o)) > apart for o in points):
            points.append(point)
        if len(points) == count:
            break
    return np.array(points)


def paint(*layers: tuple[np.ndarray, tuple[float, float, float]]) -> np.ndarray:
    """Lay structures over each other, the last on top, `(height, width, 3)`."""
    pattern = np.zeros((*layers[0][0].shape, 3), np.float32)
    for field, colour in layers:
        pattern += field[..., None] * (np.array(colour, np.float32) - pattern)
    return pattern
