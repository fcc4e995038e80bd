"""What a dermatoscope adds to an image: hairs, a ruler, gel bubbles, a dark circular surround.

All of it is drawn at full size with Pillow on an RGB image. Which of it an image has never depends
on its class.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

HAIR_SHARE = 0.35
RULER_SHARE = 0.12
BUBBLE_SHARE = 0.15


def add_artefacts(image: Image.Image, rng: np.random.Generator) -> None:
    """Draw hairs, a ruler and gel bubbles, each on its share of images.

    Args:
        image: RGB; is drawn upon.
        rng: Chooses artefacts and their form.
    """
    chances = rng.random(3)
    if chances[0] < HAIR_SHARE:
        draw_hairs(image, rng)
    if chances[1] < RULER_SHARE:
        draw_ruler(image, rng)
    if chances[2] < BUBBLE_SHARE:
        draw_bubbles(image, rng)


def draw_hairs(image: Image.Image, rng: np.random.Generator) -> None:
    """Draw thin curved hairs, all of one colour."""
    draw, short = ImageDraw.Draw(image), min(image.size)
    light = rng.random() < 0.15
    colour = tuple(int(c) for c in ((205, 190, 165) if light else rng.integers(15, 70, 3)))
    steps = np.linspace(0, 1, 16)[:, None]
    for _ in range(rng.integers(4, 14)):
        ends = rng.uniform(-0.1, 1.1, (2, 2)) * image.size
        ends[1] = ends[0] + (ends[1] - ends[0]) * rng.uniform(0.4, 1.0)
        bend = ends.mean(axis=0) + rng.normal(0, 0.15 * short, 2)
        # A quadratic Bezier curve.
        path = (1 - steps) ** 2 * ends[0] + 2 * steps * (1 - steps) * bend + steps**2 * ends[1]
        width_px = max(1, round(short * rng.uniform(0.003, 0.006)))
        draw.line([tuple(point) for point in path], colour, width_px, "curve")


def draw_ruler(image: Image.Image, rng: np.random.Generator) -> None:
    """Draw a scale's ticks along one long edge, every tenth longer."""
    draw, (width, height) = ImageDraw.Draw(image), image.size
    pitch, thick = height * rng.uniform(0.03, 0.05), max(1, round(height * 0.004))
    top = rng.random() < 0.5
    for k, column in enumerate(np.arange(pitch, width, pitch)):
        tick = height * (0.055 if k % 10 == 0 else 0.03)
        rows = (0, tick) if top else (height - tick, height)
        draw.line([(column, rows[0]), (column, rows[1])], (25, 25, 30), thick)


def draw_bubbles(image: Image.Image, rng: np.random.Generator) -> None:
    """Draw round gel bubbles: a dark rim, a lit crescent, a glint."""
    draw, (width, height) = ImageDraw.Draw(image, "RGBA"), image.size
    for _ in range(rng.integers(2, 7)):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), height * rng.uniform(0.012, 0.035)
        box = (x - r, y - r, x + r, y + r)
        thick = max(1, round(r * 0.16))
        draw.ellipse(box, fill=(255, 255, 255, 26), outline=(60, 45, 45, 150), width=thick)
        draw.arc(box, 200, 310, fill=(255, 255, 255, 200), width=thick)
        glint = (x - 0.45 * r, y - 0.5 * r, x - 0.15 * r, y - 0.2 * r)
        draw.ellipse(glint, fill=(255, 255, 255, 220))


def darken_surround(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Leave a round field of view, nearly as wide as the image's shorter side; darken the rest."""
    short = min(image.size)
    radius = short * rng.uniform(0.46, 0.54)
    x, y = np.array(image.size) / 2 + short * rng.uniform(-0.015, 0.015, 2)
    field = Image.new("L", image.size)
    ImageDraw.Draw(field).ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    field = field.filter(ImageFilter.BoxBlur(short * 0.008))
    level = int(rng.integers(3, 14))
    dark = Image.new("RGB", image.size, (level, level, level + 2))
    return Image.composite(image, dark, field)
