"""Tests of `tools.preview_augmentation`."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import params
from pipeline.network.augmentation.params import AugmentParams
from tests.images.pictures import encode, textured
from tools.preview_augmentation import DRAWS, draw_row, main, operations, render_images

pytestmark = pytest.mark.slow  # imports TensorFlow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def project(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_each_operation_has_a_row_in_which_it_alone_changes_every_draw():
    augment = params.load("train.augment", AugmentParams)
    image = render_images(64)[0]

    rows = dict(operations(augment))

    groups = {name.partition(" ")[0] for name in rows if not name.startswith("all,")}
    assert groups == {field.name for field in fields(AugmentParams)}
    assert len(rows) == len(groups) + 2 + 3 + 1  # kinds of distortion, of softening; all
    for name, alone in list(rows.items())[:-1]:
        tiles = draw_row(name, [image], alone, seed=0)
        assert tiles[0].caption == name
        np.testing.assert_array_equal(tiles[0].pixels, image)
        changed = [(tile.pixels != image).any() for tile in tiles[1:]]
        assert sum(changed) >= (DRAWS - 2 if name == "dihedral" else DRAWS), name


def test_sheet_has_a_row_for_each_operation_and_all_images(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode(textured(60, 90), "JPEG"))
    images = ["--images", str(tmp_path / "a.jpg"), str(tmp_path / "a.jpg")]

    main([*images, "--size", "40", "--out", str(tmp_path / "sheet.png")])

    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width // 40 >= 2 * (1 + DRAWS)
        assert sheet.height // 40 >= 19


def test_file_that_is_no_image_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.jpg").write_text("none")

    with pytest.raises(ValueError, match=r"a\.jpg"):
        main(["--images", str(tmp_path / "a.jpg"), "--out", str(tmp_path / "sheet.png")])
