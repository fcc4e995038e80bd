"""Tests of `tools.benchmark_part`."""

import os

import pytest
from PIL import Image

from tools.benchmark_part import draw_bars, goal, goals_table, in_fresh_process, rows_table


@pytest.mark.parametrize(
    ("value", "limits", "met", "wanted"),
    [
        (8.0, {"at_least": 8.0}, True, "≥ 8"),
        (7.99, {"at_least": 8.0}, False, "≥ 8"),
        (1.1, {"at_most": 1.1}, True, "≤ 1.1"),
        (4.0, {"at_most": 1.1}, False, "≤ 1.1"),
    ],
)
def test_goal_says_whether_it_is_met(value, limits, met, wanted):
    assert goal("speed", value, **limits) == {
        "what": "speed",
        "value": value,
        "goal": wanted,
        "met": met,
    }


@pytest.mark.parametrize("limits", [{}, {"at_least": 1.0, "at_most": 2.0}])
def test_goal_without_one_limit_is_refused(limits):
    with pytest.raises(ValueError, match=r"^a goal must have one limit\. Got: "):
        goal("speed", 1.0, **limits)


def test_missed_goal_stands_out_in_the_table():
    lines = goals_table([goal("fast", 9.0, at_least=8.0), goal("small", 9.0, at_most=8.0)])

    assert [line.split()[-1] for line in lines.splitlines()[1:]] == ["met", "MET"]
    assert lines.endswith("NOT MET")


def test_rows_show_what_is_undefined_as_a_dash():
    lines = rows_table([{"method": "a", "psnr": 50.123}, {"method": "b", "psnr": None}])

    assert [line.split() for line in lines.splitlines()] == [
        ["method", "psnr"],
        ["a", "50.12"],
        ["b", "–"],
    ]


def test_fresh_process_holds_libraries_to_the_threads_and_leaves_this_one_alone(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("VIPS_CONCURRENCY", raising=False)

    there = in_fresh_process(1, os.getenv, "OMP_NUM_THREADS")

    assert there == "1"
    assert in_fresh_process(1, os.getpid) != os.getpid()
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "VIPS_CONCURRENCY" not in os.environ


def test_chart_is_a_picture_with_a_panel_for_each(tmp_path):
    chart = {"title": "Speed", "unit": "images/s", "bars": {"this project": 20000.0, "peer": 3.0}}

    draw_bars([chart], tmp_path / "one.png")
    draw_bars([chart, chart], tmp_path / "two.png")

    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "two.png") as two:
        assert two.width == 2 * one.width
        assert len(one.convert("RGB").getcolors(maxcolors=1 << 24)) > 10
