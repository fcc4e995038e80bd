"""Illumination: what exposure, white balance and the light's path do to an image.

A byte is taken for the 1/2.2th power of its light, so that a gain of light is a gain of bytes, and
a stop (twice the light) a factor of 2^(1/2.2).
"""

import numpy as np
from PIL import Image, ImageChops
from scipy import ndimage

from pipeline.images.corruptions.masks import (
    Places,
    enlarge,
    fade,
    grid_places,
    grid_shape,
    lay,
)
from pipeline.images.corruptions.surround import find_lit

DISPLAY_GAMMA = 2.2
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
# Stops of red, green and blue that make light warmer, and more magenta.
WARMTH = np.array([0.5, 0.0, -0.5])
TINT = np.array([0.25, -0.5, 0.25])

SHADOW_CELLS = 64
GLARE_CELLS = 64
GLINT_CELLS = 240
GLARE_COLOUR = (255, 255, 255)
GLARE_SPOTS = 3


def brighten(pixels: np.ndarray, stops: float, _: np.random.Generator) -> np.ndarray:
    """Expose for longer; what is brighter than white is lost."""
    return apply_gains(pixels, np.full(3, 2 ** (stops / DISPLAY_GAMMA)))


def darken(pixels: np.ndarray, stops: float, _: np.random.Generator) -> np.ndarray:
    """Expose for less long."""
    return apply_gains(pixels, np.full(3, 2 ** (-stops / DISPLAY_GAMMA)))


def bend_gamma(pixels: np.ndarray, exponent: float, rng: np.random.Generator) -> np.ndarray:
    """Raise bytes, as shares of 255, to an exponent or to its inverse; black and white stay."""
    power = exponent if rng.random() < 0.5 else 1 / exponent
    return _look_up(pixels, [(np.arange(256) / 255) ** power * 255] * 3)


def cast_colour(pixels: np.ndarray, stops: float, rng: np.random.Generator) -> np.ndarray:
    """Balance white for another light; grey keeps its luma.

    `stops` lie between red and blue: warm or cold light, with some green or magenta.
    """
    direction = rng.choice((-1, 1)) * WARMTH + rng.uniform(-0.6, 0.6) * TINT
    gains = 2 ** (stops * direction / DISPLAY_GAMMA)
    return apply_gains(pixels, gains / (LUMA @ gains))


def cast_shadow(pixels: np.ndarray, stops: float, rng: np.random.Generator) -> np.ndarray:
    """Darken one side of a soft, curved edge: a hand, or a scope that is not flat on the skin."""
    angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.12, 0.12)
    bend, softness = rng.uniform(-0.5, 0.5), rng.uniform(0.12, 0.35)
    size = pixels.shape[:2]
    along, across = _turn(grid_places(size, SHADOW_CELLS), angle)
    cover = fade((along - offset + bend * across**2) / softness + 0.5)
    mask = enlarge(2 ** (-stops * cover / DISPLAY_GAMMA), size)
    return np.asarray(ImageChops.multiply(Image.fromarray(pixels), Image.merge("RGB", [mask] * 3)))


def add_glare(pixels: np.ndarray, opacity: float, rng: np.random.Generator) -> np.ndarray:
    """Reflect the lamp: a white haze with glints where skin's relief meets it.

    Source: unpolarised light on dry skin; in contact dermoscopy, a film of fluid with gaps.
    """
    image, size = Image.fromarray(pixels), pixels.shape[:2]
    haze = _draw_haze(size, rng)
    relief = rng.standard_normal(grid_shape(size, GLINT_CELLS), np.float32)
    relief = ndimage.gaussian_filter(relief, 1.2)
    glints = enlarge(np.clip(relief / relief.std() - 1.3, 0, 1), size)
    spread = enlarge(np.clip(1.6 * opacity * haze, 0, 1), size)
    lit = find_lit(image)
    lay(image, GLARE_COLOUR, ImageChops.multiply(glints, spread), lit)
    lay(image, GLARE_COLOUR, enlarge(opacity * haze**2, size), lit)
    return np.asarray(image)


def apply_gains(pixels: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Multiply red, green and blue by `(3,)` gains; cut at 255."""
    return _look_up(pixels, [np.arange(256) * gain for gain in gains])


def _look_up(pixels: np.ndarray, tables: list[np.ndarray]) -> np.ndarray:
    """Replace each channel's levels by its table of 256, rounded and cut to bytes."""
    levels = np.clip(np.rint(np.concatenate(tables)), 0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(pixels).point(levels.tolist()))


def _turn(places: Places, angle: float) -> Places:
    """Return places along a direction and across it."""
    y, x = places
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cosine + y * sine, y * cosine - x * sine


def _draw_haze(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Sum a few long soft spots, one of them near the middle, `(rows, columns)` up to 1."""
    y, x = grid_places(size, GLARE_CELLS)
    haze = np.zeros(grid_shape(size, GLARE_CELLS), np.float32)
    for spot in range(GLARE_SPOTS):
        centre = rng.uniform(-0.5, 0.5, 2) * (0.5 if spot == 0 else 1.0)
        long, short = rng.uniform(0.12, 0.25), rng.uniform(0.05, 0.10)
        places = (y - np.float32(centre[0]), x - np.float32(centre[1]))
        along, across = _turn(places, rng.uniform(0, np.pi))
        height = 1.0 if spot == 0 else rng.uniform(0.5, 0.9)
        haze = np.maximum(haze, height * np.exp(-((along / long) ** 2) - (across / short) ** 2))
    return haze
