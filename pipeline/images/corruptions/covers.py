"""Obstructions that cover: gel bubbles, a dark surround, opaque patches.

`pipeline.images.artefacts` draws bubbles and surrounds for the synthetic sample, their number and
size drawn anew for each image. Here everything that a severity could show is drawn first, and a
worse image covers all that the better one does.
"""

import numpy as np
from PIL import Image, ImageChops

from pipeline.images.corruptions.masks import Canvas, lay
from pipeline.images.corruptions.surround import find_lit

MOST_BUBBLES = 60
BUBBLE_CLUSTERS = 3
BUBBLE_PX = 96  # side of the picture that is shrunk or enlarged to a bubble
RIM = (58, 44, 42)
SHINE = (255, 255, 255)

PATCHES = 5
# Plaster, paper label, dark and blue glove.
PATCH_COLOURS = ((214, 178, 148), (240, 240, 236), (22, 22, 26), (92, 132, 186))


def add_bubbles(pixels: np.ndarray, count: float, rng: np.random.Generator) -> np.ndarray:
    """Leave so many of `MOST_BUBBLES` bubbles in the gel: dark rim, bright crescent, glint."""
    image, size = Image.fromarray(pixels), pixels.shape[:2]
    short = min(size)
    extent = np.array(size) / short
    clusters = rng.uniform(-0.33, 0.33, (BUBBLE_CLUSTERS, 2)) * extent
    centres = clusters[rng.integers(BUBBLE_CLUSTERS, size=MOST_BUBBLES)]
    centres = centres + rng.normal(0, 0.15, (MOST_BUBBLES, 2))
    radii = np.clip(rng.lognormal(np.log(0.02), 0.5, MOST_BUBBLES), 0.008, 0.06)
    stamps = _draw_bubble(rng.uniform(0, 2 * np.pi))
    masks = [Image.new("L", image.size) for _ in stamps]
    for centre, radius in zip(centres[: int(count)], radii, strict=False):
        side = max(3, round(2 * radius * short))
        top, left = np.rint(centre * short + np.array(size) / 2 - side / 2).astype(int).tolist()
        box = (left, top, left + side, top + side)
        for mask, stamp in zip(masks, stamps, strict=True):
            small = stamp.resize((side, side), Image.Resampling.BILINEAR)
            mask.paste(ImageChops.lighter(mask.crop(box), small), box)
    lit = find_lit(image)
    for colour, mask in zip((RIM, SHINE), masks, strict=True):
        lay(image, colour, mask, lit)
    return np.asarray(image)


def _draw_bubble(light: float) -> tuple[Image.Image, Image.Image]:
    """Draw how a bubble darkens and brightens what lies under it; `light` comes from an angle."""
    line = (np.arange(BUBBLE_PX) + 0.5) / BUBBLE_PX * 2 - 1
    y, x = line[:, None], line[None, :]
    rho, theta = np.hypot(y, x), np.arctan2(y, x)
    inside = np.clip((1 - rho) * 24, 0, 1)
    facing = np.cos(theta - light)
    rim = 0.65 * np.exp(-(((rho - 0.93) / 0.05) ** 2)) + 0.14 * rho**3
    crescent = np.exp(-(((rho - 0.78) / 0.09) ** 2)) * np.clip(facing, 0, 1) ** 2
    counter = 0.45 * np.exp(-(((rho - 0.74) / 0.08) ** 2)) * np.clip(-facing, 0, 1) ** 4
    glint_y, glint_x = 0.45 * np.sin(light), 0.45 * np.cos(light)
    glint = np.exp(-((y - glint_y) ** 2 + (x - glint_x) ** 2) / 0.012)
    shine = np.maximum(np.maximum(0.8 * crescent, counter), glint) + 0.06
    return tuple(
        Image.fromarray(np.rint(255 * np.clip(part * inside, 0, 1)).astype(np.uint8))
        for part in (rim, shine)
    )


def darken_surround(pixels: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Leave a round field of view, its radius a share of half the image's diagonal."""
    size = pixels.shape[:2]
    centre, level = rng.uniform(-0.015, 0.015, 2), int(rng.integers(3, 14))
    half_diagonal = np.hypot(*size) / min(size) / 2
    canvas = Canvas(size)
    canvas.disc(centre, radius * half_diagonal)
    field = canvas.finish()
    dark = Image.new("RGB", field.size, (level, level, level + 2))
    return np.asarray(Image.composite(Image.fromarray(pixels), dark, field))


def lay_patches(pixels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Cover a share of the image, at most, by opaque patches around its middle: labels, plasters.

    Each grows about its own middle; where they overlap or leave the image, less is covered.
    """
    image, size = Image.fromarray(pixels), pixels.shape[:2]
    colour = PATCH_COLOURS[rng.integers(len(PATCH_COLOURS))]
    turns = (np.arange(PATCHES) + rng.uniform(-0.3, 0.3, PATCHES) + rng.random()) / PATCHES
    distances = rng.uniform(0.32, 0.44, PATCHES)
    aspects, tilts = rng.uniform(0.6, 1.6, PATCHES), rng.uniform(0, np.pi, PATCHES)
    weights = rng.uniform(0.5, 1.5, PATCHES)
    area = share * size[0] * size[1] / min(size) ** 2 * weights / weights.sum()
    canvas = Canvas(size)
    for k, turn in enumerate(2 * np.pi * turns):
        centre = distances[k] * np.array([np.sin(turn), np.cos(turn)]) * size / min(size)
        half_long, half_short = np.sqrt(area[k] * np.array([aspects[k], 1 / aspects[k]])) / 2
        cosine, sine = np.cos(tilts[k]), np.sin(tilts[k])
        corners = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)]) * (half_short, half_long)
        canvas.polygon(centre + corners @ np.array([[cosine, -sine], [sine, cosine]]))
    return np.asarray(lay(image, colour, canvas.finish(), None))
