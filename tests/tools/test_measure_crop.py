"""Tests of `tools.measure_crop`."""

from pathlib import Path

import numpy as np
import pytest

from tests.images.pictures import encode, framed, textured
from tools.measure_crop import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """One lesion, half of it in the left 50 px that the centred square cuts off; one surround."""
    monkeypatch.chdir(ROOT)
    for name in ("ham10000/images", "ham10000/lesion_masks", "uda1/images"):
        (tmp_path / name).mkdir(parents=True)
    mask = np.zeros((300, 400), np.uint8)
    mask[100:200, 25:75] = 255
    (tmp_path / "ham10000/images/A.jpg").write_bytes(encode(textured(300, 400), "JPEG"))
    (tmp_path / "ham10000/lesion_masks/A_segmentation.png").write_bytes(encode(mask))
    surround = framed(300, 400, (150, 200), 120)
    (tmp_path / "uda1/images/B.jpg").write_bytes(encode(surround, "JPEG", quality=95))
    return tmp_path


def test_shares_are_those_of_the_picture(data, capsys):
    main([str(data)])

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lesions: 1 images, 0 fields found"
    assert lines[1].startswith("  before squaring: mean 1.0000, least 1.0000")
    assert lines[2].startswith("  after squaring: mean 0.5000, least 0.5000")
    assert lines[-3].startswith("dark surrounds: 0 of 1 images in ")
    assert lines[-2].startswith("dark surrounds: 1 of 1 images in ")
    assert lines[-2].endswith(", 1 fields found")


def test_folder_without_masks_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="must hold ham10000/lesion_masks"):
        main([str(tmp_path)])
