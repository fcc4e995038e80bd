"""One HTML page that opens offline: text, tables and pictures in a single file.

Pictures are embedded, nothing is loaded from anywhere, and everything that comes from data is
escaped.
"""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from pipeline.storage import atomic_write

RESEARCH_USE = "Research use only. Not a medical device; nothing here is a diagnosis."

TEMPLATE = jinja2.Environment(
    autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
).from_string("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; margin: 2rem auto; max-width: 60rem;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
nav a { margin-right: 1rem; white-space: nowrap; }
.notice { background: #fff6e0; border-left: 4px solid #e69f00; padding: .5rem 1rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #e3e6ea; }
th.text, td.text { text-align: left; }
thead th { border-bottom: 2px solid #8793a6; vertical-align: bottom; }
figure { margin: 1.5rem 0; } figure img { max-width: 100%; height: auto; }
figcaption { color: #4a5360; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p class="notice">{{ notice }}</p>
<p>{{ lead }}</p>
<nav aria-label="Sections">
{% for section in sections %}
<a href="#section-{{ loop.index }}">{{ section.title }}</a>
{% endfor %}
</nav>
{% for section in sections %}
<section id="section-{{ loop.index }}">
<h2>{{ section.title }}</h2>
{% for text in section.texts %}
<p>{{ text }}</p>
{% endfor %}
{% for table in section.tables %}
<div class="scroll"><table>
<caption>{{ table.caption }}</caption>
<thead><tr>{% for cell in table.header %}<th scope="col"{{ table.classes[loop.index0] }}>\
{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in table.rows %}
<tr>{% for cell in row %}<td{{ table.classes[loop.index0] }}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% endfor %}
{% for picture in section.pictures %}
<figure><img src="data:image/png;base64,{{ picture.base64 }}" alt="{{ picture.alt }}">
<figcaption>{{ picture.caption }}</figcaption></figure>
{% endfor %}
</section>
{% endfor %}
</body>
</html>
""")
TEXT_CLASS = jinja2.utils.markupsafe.Markup(' class="text"')


@dataclass(frozen=True)
class TableView:
    """A table as text. `classes` marks the columns that are words, for their alignment."""

    caption: str
    header: list[str]
    rows: list[list[str]]
    classes: list[str]


@dataclass(frozen=True)
class Picture:
    """A PNG with what it shows: `alt` for those who cannot see it, `caption` for all."""

    png: bytes
    caption: str
    alt: str

    @property
    def base64(self) -> str:
        """The bytes as the page embeds them."""
        return base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Section:
    """A part of the page: texts, then tables, then pictures."""

    title: str
    texts: Sequence[str] = ()
    tables: Sequence[TableView] = field(default_factory=list)
    pictures: Sequence[Picture] = field(default_factory=list)


def render_page(title: str, lead: str, sections: Iterable[Section]) -> str:
    """Return the whole page as HTML."""
    return TEMPLATE.render(title=title, lead=lead, notice=RESEARCH_USE, sections=list(sections))


def save_table(frame: pd.DataFrame, caption: str, path: Path) -> TableView:
    """Write a table as CSV, for other programs, and return it as text for the page."""
    with atomic_write(path, "w") as file:
        frame.to_csv(file, lineterminator="\n")
    return view_table(frame, caption)


def view_table(frame: pd.DataFrame, caption: str) -> TableView:
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
    return str


def _as_percent(value: float) -> str:
    return "–" if pd.isna(value) else f"{100 * value:.1f} %"


def _as_number(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:,.6g}"
