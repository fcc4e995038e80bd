"""Lay captioned pictures out on one sheet: crops before and after, samples of a class, duplicates.

Every tile is shrunk to fit its cell, never enlarged, and keeps its proportions. The same tiles give
the same bytes: the caption's font is the one that Pillow carries.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.images.resize import Region

PAPER = (255, 255, 255)
INK = (0, 0, 0)
BOX_COLOUR = (255, 220, 0)
BOX_UNDER = (0, 0, 0)  # beside the line, so that it shows on light skin too
CAPTION_PX = 14
GAP_PX = 4
FONT_PX = 11


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a sheet.

    Attributes:
        pixels: RGB, `(height, width, 3)` uint8, not empty.
        caption: One line below the picture; cut where the cell ends.
        box: `(left, top, right, bottom)` in pixels of `pixels` to draw, or `None`.
    """

    pixels: np.ndarray
    caption: str = ""
    box: Region | None = None

    def __post_init__(self) -> None:
        shape, kind = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] != 3 or 0 in shape or kind != np.uint8:
            raise ValueError(f"pixels must be (height, width, 3) uint8. Got: {shape} {kind}.")


def draw_sheet(rows: Sequence[Sequence[Tile]], *, cell_px: tuple[int, int]) -> np.ndarray:
    """Draw rows of tiles; rows may differ in length.

    Args:
        rows: At least one row with at least one tile; a row belongs together, as before and after.
        cell_px: `(height, width)` that a picture has at most.

    Returns:
        RGB, `(height, width, 3)` uint8: a cell with its caption for each tile.

    Raises:
        ValueError: There is no tile, or a cell is smaller than a pixel.
    """
    columns = max((len(row) for row in rows), default=0)
    if not columns:
        raise ValueError("rows must hold a tile. Got: none.")
    if min(cell_px) < 1:
        raise ValueError(f"cell_px must be at least 1 by 1. Got: {tuple(cell_px)}.")
    height, width = cell_px
    down, across = height + CAPTION_PX + GAP_PX, width + GAP_PX
    sheet = Image.new("RGB", (GAP_PX + columns * across, GAP_PX + len(rows) * down), PAPER)
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            sheet.paste(draw_tile(tile, cell_px), (GAP_PX + x * across, GAP_PX + y * down))
    return np.asarray(sheet)


def draw_tile(tile: Tile, cell_px: tuple[int, int]) -> Image.Image:
    """Draw one tile in the middle of its cell, its caption below."""
    height, width = cell_px
    rows, columns = tile.pixels.shape[:2]
    scale = min(height / rows, width / columns, 1.0)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))  # Pillow: (width, height)
    picture = Image.fromarray(tile.pixels).resize(size, Image.Resampling.BICUBIC)
    if tile.box is not None:
        _draw_box(picture, tile.box, size[0] / columns, size[1] / rows)
    cell = Image.new("RGB", (width, height + CAPTION_PX), PAPER)
    cell.paste(picture, ((width - size[0]) // 2, (height - size[1]) // 2))
    font = ImageFont.load_default(FONT_PX)
    ImageDraw.Draw(cell).text((1, height + 1), tile.caption, fill=INK, font=font)
    return cell


def fold(tiles: Iterable[Tile], columns: int) -> list[list[Tile]]:
    """Break tiles into rows of equal length; the last may be shorter."""
    tiles = list(tiles)
    return [tiles[start : start + columns] for start in range(0, len(tiles), columns)]


def encode_sheet(sheet: np.ndarray) -> bytes:
    """Encode a sheet as PNG."""
    stream = BytesIO()
    Image.fromarray(sheet).save(stream, "PNG", optimize=False, compress_level=6)
    return stream.getvalue()


def _draw_box(picture: Image.Image, box: Region, across: float, down: float) -> None:
    """Draw the outermost pixels inside a box, with a dark line inside them."""
    left, top, right, bottom = box
    sides = round(left * across), round(top * down), round(right * across), round(bottom * down)
    draw = ImageDraw.Draw(picture)
    for inset, colour in ((1, BOX_UNDER), (0, BOX_COLOUR)):
        # Pillow includes the last row and column.
        corner = sides[2] - 1 - inset, sides[3] - 1 - inset
        if corner[0] >= sides[0] + inset and corner[1] >= sides[1] + inset:
            draw.rectangle([sides[0] + inset, sides[1] + inset, *corner], outline=colour)
