"""Tests of `tools.benchmark_data`; `make benchmark-data` is the real run."""

import json

import pytest

from tools.benchmark_data import PARTS, main
from tools.benchmark_part import goal


def part(value):
    return {
        "rows": [{"way": "this project", "images_per_s": value}],
        "goals": [goal("images a second", value, at_least=10.0)],
        "charts": [{"title": "Rate", "unit": "images/s", "bars": {"this project": value}}],
    }


def test_one_part_is_measured_alone_and_the_others_stay(tmp_path, monkeypatch, capsys):
    target = tmp_path / "reports"
    monkeypatch.setitem(PARTS, "feed", lambda data: part(12.5))
    monkeypatch.setitem(PARTS, "scaling", lambda data: part(7.5))

    main([str(tmp_path), "--target", str(target), "--only", "feed"])
    main([str(tmp_path), "--target", str(target), "--only", "scaling"])

    written = json.loads((target / "benchmark.json").read_text())
    assert {name: one["rows"][0]["images_per_s"] for name, one in written.items()} == {
        "feed": 12.5,
        "scaling": 7.5,
    }
    assert {"pillow", "simplejpeg", "pyvips"} <= set(written["feed"]["machine"]["versions"])
    assert (target / "feed.png").stat().st_size > 1000
    out = capsys.readouterr().out
    assert [line.split()[-2:] for line in out.splitlines() if "≥ 10" in line][-2:] == [
        ["NOT", "MET"],
        ["10", "met"],
    ]


def test_folder_that_is_absent_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"^DATA must be a folder of originals\. Got: .*none\.$"):
        main([str(tmp_path / "none")])
