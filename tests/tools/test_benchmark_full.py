"""Tests of `tools.benchmark_full`: what it builds; `make benchmark-full` is the real run."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.params import ParamsError
from tools.benchmark_full import generate_inputs, read_members, read_merged

ROOT = Path(__file__).resolve().parents[2]


def test_members_have_the_papers_sizes_and_need_no_download():
    members = read_members(ROOT)

    assert {m.backbone: (m.crop_px, m.input_px) for m in members.values()} == {
        "b4": (768, 380),
        "b5": (512, 448),
        "b7": (768, 380),
    }
    assert {member.weights for member in members.values()} == {"none"}


def test_member_that_no_recipe_knows_is_named(tmp_path):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "recipes").mkdir()
    recipe = (ROOT / "recipes" / "isic.yaml").read_text(encoding="utf-8")
    (tmp_path / "recipes" / "isic.yaml").write_text(recipe, encoding="utf-8")
    changed = text.replace("members: [b4, b5, b7]", "members: [b4, b9]")
    (tmp_path / "params.yaml").write_text(changed, encoding="utf-8")

    with pytest.raises(ParamsError, match=r"member\.b9 must be a mapping"):
        read_members(tmp_path)


def test_inputs_are_as_many_different_images_as_asked_for(monkeypatch):
    monkeypatch.chdir(ROOT)

    inputs = generate_inputs(read_members(ROOT), 2)

    assert {name: array.shape for name, array in inputs.items()} == {
        "demographics": (2, 10),
        "image_768_380": (2, 380, 380, 3),
        "image_512_448": (2, 448, 448, 3),
    }
    assert inputs["image_768_380"].dtype == np.uint8
    assert (inputs["image_768_380"][0] != inputs["image_768_380"][1]).any()


def test_views_are_those_of_params_unless_the_recipe_has_its_own(tmp_path):
    (tmp_path / "recipes").mkdir()
    recipe = tmp_path / "recipes" / "isic.yaml"
    (tmp_path / "params.yaml").write_text("predict: {batch_size: 64, views: 1}\n", encoding="utf-8")

    recipe.write_text("predict: {batch_size: 16}\n", encoding="utf-8")
    assert read_merged("predict", tmp_path) == {"batch_size": 16, "views": 1}
    recipe.write_text("predict: {views: 8}\n", encoding="utf-8")
    assert read_merged("predict", tmp_path)["views"] == 8
