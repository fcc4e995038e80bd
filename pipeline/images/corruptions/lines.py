"""Obstructions made of lines: hairs, a pen's ink, a ruler.

`pipeline.images.artefacts` draws hairs and rulers too, for the synthetic sample: there their number
and form are drawn anew for each image. Here everything that a severity could show is drawn first
and the severity shows a part of it, so that a worse image holds all that the better one does; and
edges are smooth, as a photograph's are, where there they are single pixels.
"""

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from pipeline.images.corruptions.masks import Canvas, enlarge, grid_shape, lay, ribbon
from pipeline.images.corruptions.surround import find_lit

MOST_HAIRS = 60
HAIR_STEPS = 14
HAIR_COLOURS = ((28, 20, 17), (48, 33, 25), (72, 50, 36), (20, 18, 20))

INK_COLOURS = ((92, 62, 168), (70, 78, 176), (116, 60, 150))  # gentian violet, surgical pens
INK_TURNS = 2.0
INK_STEPS = 240
INK_CELLS = 90

PAPER = (233, 231, 222)
PRINT = (38, 38, 44)
TICK_PITCH = 0.032  # a millimetre, in shares of the shorter side
MOST_TILT = 4.0  # degrees


def draw_hairs(pixels: np.ndarray, count: float, rng: np.random.Generator) -> np.ndarray:
    """Draw so many of `MOST_HAIRS` hairs: curved, tapering, combed roughly one way."""
    image, size = Image.fromarray(pixels), pixels.shape[:2]
    colour = HAIR_COLOURS[rng.integers(len(HAIR_COLOURS))]
    steps = np.linspace(0, 1, HAIR_STEPS)[:, None]
    combed = rng.uniform(0, 2 * np.pi)
    roots = rng.uniform(-0.6, 0.6, (MOST_HAIRS, 2)) * size / min(size)
    angles = combed + rng.normal(0, 0.45, MOST_HAIRS)
    lengths, bends = rng.uniform(0.2, 0.75, MOST_HAIRS), rng.normal(0, 0.16, MOST_HAIRS)
    widths = rng.uniform(0.003, 0.0065, MOST_HAIRS)
    taper = np.minimum(1.0, 6 * steps[:, 0]) * (1 - 0.75 * steps[:, 0])
    canvas = Canvas(size)
    for hair in range(int(count)):
        along = np.array([np.sin(angles[hair]), np.cos(angles[hair])]) * lengths[hair]
        aside = along[::-1] * (1, -1) * bends[hair]
        path = roots[hair] + (steps - 0.5) * along + 4 * steps * (1 - steps) * aside
        canvas.polygon(ribbon(path, widths[hair] * (0.2 + taper)))
    return np.asarray(lay(image, colour, canvas.finish(), find_lit(image)))


def draw_ink(pixels: np.ndarray, turns: float, rng: np.random.Generator) -> np.ndarray:
    """Mark the lesion with a pen, so many turns of `INK_TURNS` about it, each nearer to it.

    Ink takes light away as a filter does: what is black stays black.
    """
    image, size = Image.fromarray(pixels), pixels.shape[:2]
    colour = INK_COLOURS[rng.integers(len(INK_COLOURS))]
    theta = rng.uniform(0, 2 * np.pi) + 2 * np.pi * INK_TURNS * np.linspace(0, 1, INK_STEPS)
    radius = np.linspace(rng.uniform(0.40, 0.46), rng.uniform(0.24, 0.30), INK_STEPS)
    for lobes in (2, 3, 5):
        radius += rng.normal(0, 0.012) * np.cos(lobes * theta / 1.13 + rng.uniform(0, 2 * np.pi))
    path = radius[:, None] * np.stack([np.sin(theta), np.cos(theta)], axis=1)
    path *= np.sqrt(np.array(size) / min(size))
    width = rng.uniform(0.016, 0.026)
    grain = enlarge(rng.uniform(0.6, 1.0, grid_shape(size, INK_CELLS)).astype(np.float32), size)
    shown = path[: max(2, round(INK_STEPS * turns / INK_TURNS))]
    canvas = Canvas(size)
    canvas.line(shown, width)
    for end in (shown[0], shown[-1]):
        canvas.disc(end, width / 2)
    edge = ImageFilter.BoxBlur(0.15 * width * min(size))
    mask = ImageChops.multiply(canvas.finish().filter(edge), grain)
    ink = Image.new("RGB", image.size, (255, 255, 255))
    lay(ink, colour, mask, None)
    return np.asarray(ImageChops.multiply(image, ink))


def lay_ruler(pixels: np.ndarray, depth: float, rng: np.random.Generator) -> np.ndarray:
    """Lay a paper ruler over one side of the image, a share of the shorter side deep."""
    turns, tilt = int(rng.integers(4)), rng.uniform(-MOST_TILT, MOST_TILT)
    first = int(rng.integers(1, 10))
    image = Image.fromarray(np.ascontiguousarray(np.rot90(pixels, turns)))  # that side on top
    short = min(image.size)
    slope = np.tan(np.radians(MOST_TILT)) * image.width / short
    strip = _print_ruler(image.width, short, height=depth + slope, first=first)
    strip = strip.rotate(tilt, Image.Resampling.BICUBIC, expand=True)
    # The strip's middle stays where it was while it turns.
    middle_y = (depth - (depth + slope) / 2) * short
    corner = (image.width - strip.width) // 2, round(middle_y - strip.height / 2)
    mask, lit = Image.new("L", image.size), find_lit(image)
    mask.paste(strip.getchannel("A"), corner)
    paper = image.copy()
    paper.paste(strip.convert("RGB"), corner)
    if lit is not None:
        mask = ImageChops.multiply(mask, lit)
    covered = np.asarray(Image.composite(paper, image, mask))
    return np.ascontiguousarray(np.rot90(covered, -turns))


def _print_ruler(width_px: int, short_px: int, *, height: float, first: int) -> Image.Image:
    """Print millimetres along the lower edge of a strip, wide enough to be tilted."""
    pitch, thick = TICK_PITCH * short_px, max(1, round(0.005 * short_px))
    size = round(1.3 * width_px), max(2, round(height * short_px))
    strip = Image.new("RGBA", size, (*PAPER, 255))
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(1.9 * pitch)
    for millimetre in range(int(size[0] / pitch) + 1):
        x = millimetre * pitch
        length = pitch * (1.0 if millimetre % 5 else 1.5 if millimetre % 10 else 2.0)
        draw.line([(x, size[1] - length), (x, size[1])], (*PRINT, 255), thick)
        if millimetre % 10 == 0:
            number = str((first + millimetre // 10) % 15)
            middle = x, size[1] - 2.3 * pitch
            draw.text(middle, number, (*PRINT, 255), font, anchor="mb")
    return strip
