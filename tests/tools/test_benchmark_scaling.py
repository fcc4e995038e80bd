"""Tests of `tools.benchmark_scaling`; `make benchmark-data` is the real run."""

from pathlib import Path

import pytest

from tests.images.pictures import encode, textured
from tools.benchmark_scaling import make_jobs, measure_memory, measure_rate

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    for number, name in enumerate(("isic_acral", "uda1")):
        (tmp_path / name / "images").mkdir(parents=True)
        image = encode(textured(90, 120, number), "JPEG")
        (tmp_path / name / "images" / "ISIC_1.jpg").write_bytes(image)
    return tmp_path


def test_originals_repeat_under_different_names(data):
    jobs = list(make_jobs(data, 5))

    assert len({job.image_id for job in jobs}) == 5
    assert [job.path.parts[-3] for job in jobs] == ["isic_acral", "uda1"] * 2 + ["isic_acral"]


def test_images_are_cropped_by_the_stages_own_function(data):
    assert measure_rate(data, 2, 4, 1) > 0


@pytest.mark.slow
def test_memory_is_that_of_processes_with_the_libraries(data):
    peaks = measure_memory(data, 3, 2)

    assert all(20 < peak < 100_000 for peak in peaks.values())
    assert set(peaks) == {"writer", "largest worker"}


def test_folder_without_originals_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must hold isic_acral and uda1\. Got: no image\.$"):
        list(make_jobs(tmp_path, 5))
