"""Tests of `tools.benchmark_feed`; `make benchmark-data` is the real run."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.shards.arrays import ArrayShards
from tests.images.pictures import encode, textured
from tools import benchmark_feed
from tools.benchmark_feed import read_arrays, read_files, read_records, write_crops

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_every_way_gives_the_same_images_in_batches(tmp_path, monkeypatch):
    """An epoch's mean level is that of the images, whatever the order, the cut and the scale."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(benchmark_feed, "IMAGES", 64)
    (tmp_path / "uda1/images").mkdir(parents=True)
    for number in range(3):
        image = encode(textured(600, 700, number), "JPEG", quality=95)
        (tmp_path / "uda1/images" / f"ISIC_{number}.jpg").write_bytes(image)
    (tmp_path / "crops").mkdir()

    write_crops(tmp_path, tmp_path / "crops")

    ways = {
        "arrays": read_arrays(ArrayShards(tmp_path / "crops/arrays"), 0),
        "files": read_files(tmp_path / "crops/512", 0),
        "records": read_records(tmp_path / "crops/512.tfrecord", 512, 0),
        "small records": read_records(tmp_path / "crops/380.tfrecord", 380, 0),
    }
    means = {}
    for way, batches in ways.items():
        batches = list(batches)
        assert [batch.shape for batch in batches] == [(32, 380, 380, 3)] * 2
        means[way] = np.mean([batch.mean() for batch in batches])
    assert means["files"] * 255 == pytest.approx(means["arrays"], abs=0.5)
    # TensorFlow's default decoder is less exact than Pillow's.
    assert means["small records"] == pytest.approx(means["arrays"], abs=1.5)
    assert means["records"] == pytest.approx(means["arrays"], abs=5)  # cut at random
