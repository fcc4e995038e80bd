"""Tests of `pipeline.page`: one page that needs nothing else."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd

from pipeline.page import Card, Picture, Section, render_page, view_table

HOSTILE = "<script>alert('x')</script> & \"quoted\""


class Reader(HTMLParser):
    """Collects tags with their attributes, and all text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def make_page():
    table = pd.DataFrame({"n": [1], "melanoma_share": [0.25]}, index=pd.Index([HOSTILE], name="k"))
    section = Section(
        HOSTILE, [HOSTILE], [view_table(table, HOSTILE)], [Picture(b"png", HOSTILE, HOSTILE)]
    )
    return render_page(HOSTILE, HOSTILE, [section])


def test_what_comes_from_data_is_text_and_never_markup():
    page = Reader(make_page())

    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count(HOSTILE) == 10  # the contents stand twice: for a desk, for a phone
    assert [a["alt"] for tag, a in page.tags if tag == "img"] == [HOSTILE]


def test_the_page_loads_nothing():
    html = make_page()

    sources = [a.get("src") or a.get("href", "") for _, a in Reader(html).tags]
    assert {source.partition(":")[0].partition("-")[0] for source in sources if source} == {
        "data",
        "#section",
    }
    assert not re.search(r"https?://|@import|url\(", html)


def test_the_page_says_what_it_is_not():
    assert "Research use only" in Reader(make_page()).text


def test_numbers_are_written_for_people():
    table = pd.DataFrame(
        {"images": [58032], "melanoma_share": [0.0176], "median": [np.nan], "words": ["x"]},
        index=pd.Index(["all"], name="source_name"),
    )

    view = view_table(table, "Cases")

    assert view.header == ["source_name", "images", "melanoma_share", "median", "words"]
    assert view.rows == [["all", "58,032", "1.8 %", "–", "x"]]
    assert [bool(mark) for mark in view.classes] == [True, False, False, False, True]


def test_an_empty_cell_among_words_or_numbers_is_a_dash():
    table = pd.DataFrame({"class": ["MEL", np.nan], "n": [np.nan, 2.0]}, index=["a", "b"])

    assert view_table(table, "Pairs").rows == [["a", "MEL", "–"], ["b", "–", "2"]]


def test_a_table_that_is_folded_is_in_details():
    table = view_table(pd.DataFrame({"n": [1]}), "Numbers", is_folded=True)

    page = Reader(render_page("t", "l", [Section("s", blocks=[table])]))

    tags = [tag for tag, _ in page.tags]
    assert tags.index("summary") < tags.index("table")
    assert "caption" not in tags  # the summary is its name
    assert "Numbers" in page.text


def test_a_card_shows_where_value_interval_and_reference_lie():
    card = Card("AUROC", "0.900", ["n = 9"], (0.9, 0.8, 0.95), 0.5)

    assert card.scale == {"place": 90.0, "left": 80.0, "width": 15.0, "reference": 50.0}
    assert Card("AUROC", "undefined", []).scale == {}
    assert not Card("AUROC", "undefined", []).is_defined
