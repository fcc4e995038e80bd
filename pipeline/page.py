"""One HTML page that opens offline: text, tables and pictures in a single file.

Pictures are embedded, nothing is loaded from anywhere, and everything that comes from data is
escaped.
"""

import base64
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import jinja2
import pandas as pd

from pipeline.page_template import HTML, STYLE
from pipeline.storage import atomic_write

RESEARCH_USE = "Research use only. Not a medical device; nothing here is a diagnosis."

TEMPLATE = jinja2.Environment(
    autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
).from_string(HTML)
TEXT_CLASS = jinja2.utils.markupsafe.Markup(' class="text"')


@dataclass(frozen=True)
class Text:
    """A paragraph. `look`: "" as usual, `takeaway`, `notice` or `alarm`."""

    kind: ClassVar[str] = "text"
    text: str
    look: str = ""


@dataclass(frozen=True)
class Heading:
    """Of a part of a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    """Lines as a machine takes them, folded under `summary` where there is one."""

    kind: ClassVar[str] = "code"
    text: str
    summary: str = ""


@dataclass(frozen=True)
class Card:
    """One figure in large type, with a bar from 0 to 1 where it is a share.

    Attributes:
        label: What it is.
        value: The figure as text.
        notes: Its interval, its n and what it is compared with.
        ends: Value and interval on the bar; empty for none.
        reference: Where the bar has a mark, or `None`.
    """

    label: str
    value: str
    notes: Sequence[str]
    ends: tuple[float, ...] = ()
    reference: float | None = None

    @property
    def is_defined(self) -> bool:
        """Whether the value is a number."""
        return self.value != "undefined"

    @property
    def scale(self) -> dict[str, float | None]:
        """Places on the bar in percent; empty where there is none."""
        if not self.ends:
            return {}
        value, *ends = (round(100 * end, 2) for end in self.ends)
        low, high = ends or (value, value)
        reference = None if self.reference is None else round(100 * self.reference, 2)
        # A mark at 1 stays on the bar.
        return {
            "place": min(value, 98.8),
            "left": low,
            "width": round(high - low, 2),
            "reference": None if reference is None else min(reference, 99.4),
        }


@dataclass(frozen=True)
class Cards:
    """Figures side by side."""

    kind: ClassVar[str] = "cards"
    cards: Sequence[Card]


@dataclass(frozen=True)
class TableView:
    """A table as text. `classes` marks the columns that are words, for their alignment."""

    kind: ClassVar[str] = "table"
    caption: str
    header: list[str]
    rows: list[list[str]]
    classes: list[str]
    is_folded: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture with what it shows: `alt` for those who cannot see it, `caption` for all."""

    kind: ClassVar[str] = "picture"
    data: bytes
    caption: str
    alt: str
    media_type: str = "image/png"

    @property
    def look(self) -> str:
        """Whether it is of lines, or of photographs, which are shown as wide as can be."""
        return "photographs" if self.media_type == "image/jpeg" else "drawing"

    @property
    def base64(self) -> str:
        """The bytes as the page embeds them."""
        return base64.b64encode(self.data).decode("ascii")


Block = Text | Heading | Bullets | Code | Cards | TableView | Picture


@dataclass(frozen=True)
class Section:
    """A part of the page: texts, tables, pictures, then blocks in the order given."""

    title: str
    texts: Sequence[str] = ()
    tables: Sequence[TableView] = field(default_factory=list)
    pictures: Sequence[Picture] = field(default_factory=list)
    blocks: Sequence[Block] = ()

    @property
    def all_blocks(self) -> list[Block]:
        """Everything in the order in which it is shown."""
        return [*(Text(text) for text in self.texts), *self.tables, *self.pictures, *self.blocks]


def render_page(title: str, lead: str, sections: Iterable[Section]) -> str:
    """Return the whole page as HTML."""
    # The style is the project's own text; everything else is escaped.
    style = jinja2.utils.markupsafe.Markup(STYLE)
    parts = list(sections)
    return TEMPLATE.render(
        title=title, lead=lead, notice=RESEARCH_USE, sections=parts, style=style
    ).lstrip()


def word_table(
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    words: Collection[str] = (),
    is_folded: bool = False,
) -> TableView:
    """Lay out cells that are text already.

    Args:
        caption: Above the table, or what unfolds it.
        header: One per column.
        rows: Of text.
        words: Headings whose columns hold words, beside the first one.
        is_folded: Shown when asked for.
    """
    classes = [
        TEXT_CLASS if not place or name in words else "" for place, name in enumerate(header)
    ]
    return TableView(caption, list(header), [list(row) for row in rows], classes, is_folded)


def save_table(frame: pd.DataFrame, caption: str, path: Path) -> TableView:
    """Write a table as CSV, for other programs, and return it as text for the page."""
    with atomic_write(path, "w") as file:
        frame.to_csv(file, lineterminator="\n")
    return view_table(frame, caption)


def view_table(frame: pd.DataFrame, caption: str, *, is_folded: bool = False) -> TableView:
    """Turn a table, its index included, into text.

    Whole numbers get thousands separators; columns that end in `share`, and float columns of a
    table whose caption says "share", are percentages; NaN is an en dash.
    """
    flat = frame.reset_index()
    formats = [_format_of(flat[column], str(column), caption) for column in flat.columns]
    rows = [
        [write(value) for write, value in zip(formats, row, strict=True)]
        for row in flat.itertuples(index=False)
    ]
    words = [not pd.api.types.is_numeric_dtype(flat[column]) for column in flat.columns]
    return TableView(
        caption=caption,
        header=[str(column) for column in flat.columns],
        rows=rows,
        classes=[TEXT_CLASS if is_text else "" for is_text in words],
        is_folded=is_folded,
    )


def read_picture(path: Path, caption: str, alt: str) -> Picture:
    """Read a PNG that was written beside the page."""
    return Picture(path.read_bytes(), caption, alt)


def _format_of(column: pd.Series, name: str, caption: str) -> Callable[[Any], str]:
    if pd.api.types.is_integer_dtype(column):
        return "{:,}".format
    if pd.api.types.is_float_dtype(column):
        is_share = name.endswith("share") or "share" in caption.lower()
        return _as_percent if is_share else _as_number
    return _as_words


def _as_words(value: Any) -> str:
    return "–" if pd.isna(value) else str(value)


def _as_percent(value: float) -> str:
    return "–" if pd.isna(value) else f"{100 * value:.1f} %"


def _as_number(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:,.6g}"
