"""Tests of `tools.benchmark_scale`."""

from pathlib import Path

import pytest

from pipeline import manifest
from tests.images.pictures import encode, textured
from tools.benchmark_scale import Unit, make_cases, measure_images, part_costs, pick, show

ROOT = Path(__file__).resolve().parents[2]


def test_costs_grow_with_images_and_with_their_square():
    linear, square = Unit("a", "s", 36.0, 10), Unit("b", "s", 36.0, 10, square=0.5)

    assert linear.at(20) == 72.0
    assert square.at(20) == 272.0
    assert show(linear, 1_000_000) == "1,000 h"
    assert show(Unit("c", "bytes", 5e9, 1), 2) == "10 GB"
    assert show(Unit("d", "files", 5, 1), 2) == "10"


def test_costs_of_two_sizes_are_taken_apart():
    linear, square = part_costs((10, 40), (3 * 10 + 0.2 * 10**2, 3 * 40 + 0.2 * 40**2))

    assert (linear, square) == pytest.approx((3.0, 0.2))
    assert part_costs((10, 40), (30, 100))[1] == 0  # faster for many: no share of pairs


def test_originals_are_taken_evenly_from_all_folders(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(10):
            (tmp_path / folder / f"{number}.jpg").write_bytes(
                encode(textured(100, 100 + 2 * number), "JPEG")
            )

    taken = pick([tmp_path / "a", tmp_path / "b"], 5, 0.0)

    assert [path.parent.name for path in taken] == ["a", "a", "a", "b", "b"]
    assert {path.stem for path in pick([tmp_path], 9, 0.0118)} == {"9"}
    with pytest.raises(ValueError, match=r"must hold images\. Got: none\.$"):
        pick([ROOT / "docs"], 5, 0.0)


def test_generated_rows_are_a_manifest(tmp_path):
    manifest.write(make_cases(20), tmp_path / "manifest.csv")

    assert len(manifest.read(tmp_path / "manifest.csv")) == 20


def test_disk_is_that_of_the_arrays_and_the_files(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(encode(textured(900, 1000), "JPEG"))

    units = {
        unit.name: unit for unit in measure_images(pick([tmp_path], 3, 0.0), tmp_path / "scratch")
    }

    assert units["resize b4: disk"].value == 3 * 380 * 380 * 3
    assert units["resize b5: disk"].value == 3 * 448 * 448 * 3
    assert units["originals: megapixels"].value == pytest.approx(2.7)
    files = sum(path.stat().st_size for path in tmp_path.glob("*.jpg"))
    assert units["originals: disk"].value == files
