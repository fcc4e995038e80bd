"""Draw a gallery: images beside the maps that explain what was said of them, with words.

Narrow and tall, to be read on a phone: three panels stand side by side, and text is as large as the
panels allow. A map that is undefined is said in words, never drawn as an empty one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.images.heat_map import draw_scale, overlay
from pipeline.images.resize import resize_to_square

COLUMNS = 3
PAPER, INK, RULE, BLANK = (255, 255, 255), (20, 20, 20), (150, 150, 150), (236, 236, 236)
GAP_PX = 8
# Of a panel's side: what is still read when three panels fill a phone.
HEADING_SHARE, TITLE_SHARE, CAPTION_SHARE = 0.13, 0.105, 0.082
LINE_SPACING = 1.25
SCALE_SHARE = 0.1  # thickness of the legend, of a panel's side


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture with what stands below it.

    Attributes:
        caption: Lines below, broken where the panel ends.
        heat: Map in [0, 1], `(height, width)` float, to lay over the image; `None` shows it bare.
        absent: Says why there is no map, in place of one whose values are not all finite.
    """

    caption: str
    heat: np.ndarray | None = None
    absent: str = ""


@dataclass(frozen=True, eq=False)
class Block:
    """One case.

    Attributes:
        title: Lines above.
        image: RGB, square, `(side, side, 3)` uint8.
        rows: Panels of that image; a row has at most `COLUMNS`.
    """

    title: str
    image: np.ndarray
    rows: Sequence[Sequence[Panel]]


@dataclass(frozen=True)
class SheetStyle:
    """How a gallery is drawn.

    Attributes:
        tile_px: Side of a panel.
        opacity: Of a map's colours, in [0, 1].
        contours: Values in (0, 1) to draw lines at.
    """

    tile_px: int
    opacity: float
    contours: tuple[float, ...]

    @property
    def width_px(self) -> int:
        """Width of a sheet."""
        return COLUMNS * self.tile_px + (COLUMNS + 1) * GAP_PX


def draw_gallery(
    heading: str, notes: Sequence[str], parts: Sequence[str | Block], style: SheetStyle
) -> np.ndarray:
    """Draw a gallery.

    Args:
        heading: What is shown, and how many of how many.
        notes: What a reader must know first; the colour scale follows.
        parts: Cases, and lines of text between them.
        style: Sizes and colours.

    Returns:
        RGB, `(height, width_px, 3)` uint8.
    """
    strips = [_text(heading, HEADING_SHARE, style)]
    strips += [_text(note, CAPTION_SHARE, style) for note in notes]
    strips.append(_legend(style))
    for before, part in zip([None, *parts], parts, strict=False):
        if not isinstance(before, str) or isinstance(part, str):  # a case follows its heading
            strips.append(_rule(style))
        if isinstance(part, str):
            strips.append(_text(part, TITLE_SHARE, style))
        else:
            strips += _draw_block(part, style)
    return np.concatenate(strips)


def draw_panel(image: np.ndarray, panel: Panel, style: SheetStyle) -> np.ndarray:
    """Draw the picture of a panel, `(tile_px, tile_px, 3)` uint8, without its caption."""
    side = style.tile_px
    shown = resize_to_square(image, side, resample="bicubic")
    if panel.heat is None:
        return shown
    if np.isfinite(panel.heat).all():
        return overlay(shown, panel.heat, opacity=style.opacity, contours=style.contours)
    if not panel.absent:
        raise ValueError("a panel without a map must say why in words. Got: none.")
    blank = Image.new("RGB", (side, side), BLANK)
    lines = _break(panel.absent, _font(CAPTION_SHARE, style), side - 4 * GAP_PX)
    draw = ImageDraw.Draw(blank)
    at, font = (side / 2, side / 2), _font(CAPTION_SHARE, style)
    draw.multiline_text(at, "\n".join(lines), INK, font, anchor="mm", align="center")
    return np.asarray(blank)


def _draw_block(block: Block, style: SheetStyle) -> list[np.ndarray]:
    strips = [_text(block.title, TITLE_SHARE, style)]
    for row in block.rows:
        if len(row) > COLUMNS:
            raise ValueError(f"a row must have at most {COLUMNS} panels. Got: {len(row)}.")
        columns = [_captioned(block.image, panel, style) for panel in row]
        strip = _paper(max(len(column) for column in columns) + GAP_PX, style)
        for number, column in enumerate(columns):
            left = GAP_PX + number * (style.tile_px + GAP_PX)
            strip[: len(column), left : left + style.tile_px] = column
        strips.append(strip)
    return strips


def _captioned(image: np.ndarray, panel: Panel, style: SheetStyle) -> np.ndarray:
    below = _lines(panel.caption, CAPTION_SHARE, style.tile_px, style)
    return np.concatenate([draw_panel(image, panel, style), below])


def _legend(style: SheetStyle) -> np.ndarray:
    """Draw the colours from 0 to 1 with their values, and lines where contours are drawn."""
    thick, inside = round(SCALE_SHARE * style.tile_px), style.width_px - 2 * GAP_PX
    font, marks = _font(CAPTION_SHARE, style), (0.0, *style.contours, 1.0)
    strip = _paper(thick + round(1.6 * font.size), style)
    strip[:thick, GAP_PX:-GAP_PX] = draw_scale((thick, inside))
    picture = Image.fromarray(strip)
    draw = ImageDraw.Draw(picture)
    for mark in marks:
        across = GAP_PX + mark * (inside - 1)
        anchor = {0.0: "lt", 1.0: "rt"}.get(mark, "mt")
        words = f"{mark:g}" + (" (line)" if mark in style.contours else "")
        draw.text((across, thick + 2), words, INK, font, anchor=anchor)
        if mark in style.contours:
            draw.line([across, 0, across, thick - 1], PAPER, width=2)
    return np.asarray(picture)


def _text(text: str, share: float, style: SheetStyle) -> np.ndarray:
    """Draw a paragraph as wide as the sheet."""
    inner = _lines(text, share, style.width_px - 2 * GAP_PX, style)
    strip = _paper(len(inner) + GAP_PX, style)
    strip[: len(inner), GAP_PX:-GAP_PX] = inner
    return strip


def _lines(text: str, share: float, width_px: int, style: SheetStyle) -> np.ndarray:
    font = _font(share, style)
    lines, step = _break(text, font, width_px), round(LINE_SPACING * font.size)
    picture = Image.new("RGB", (width_px, step * len(lines)), PAPER)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((0, number * step), line, INK, font)
    return np.asarray(picture)


def _break(text: str, font: ImageFont.FreeTypeFont, width_px: int) -> list[str]:
    """Break text into lines at spaces; the text's own line ends stay."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and font.getlength(longer) > width_px:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def _font(share: float, style: SheetStyle) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(round(share * style.tile_px))


def _rule(style: SheetStyle) -> np.ndarray:
    strip = _paper(2 * GAP_PX, style)
    strip[GAP_PX : GAP_PX + 2, GAP_PX:-GAP_PX] = RULE
    return strip


def _paper(height_px: int, style: SheetStyle) -> np.ndarray:
    return np.full((height_px, style.width_px, 3), PAPER, np.uint8)
