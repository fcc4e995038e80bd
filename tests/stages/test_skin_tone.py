"""Tests of stage `skin_tone`."""

import numpy as np
import pandas as pd
import pytest

from pipeline import manifest
from pipeline.images.png import encode_png
from pipeline.images.skin_tone import estimate_ita
from pipeline.shards.archives import EncodedWriter
from stages.skin_tone import main

SKIN = {"light": (232, 200, 180), "dark": (95, 65, 50), "black": (0, 0, 0)}


def draw(colour, side_px):
    """A brown lesion amid skin; all black where nothing is to be seen."""
    y, x = np.indices((side_px, side_px)) / side_px - 0.5
    inside = (x**2 + y**2 < 0.04) & (max(colour) > 0)
    return np.where(inside[..., None], (70, 40, 30), colour).astype(np.uint8)


def write_project(folder):
    columns = (*manifest.COLUMNS, *manifest.SPLIT_COLUMNS)
    known = dict.fromkeys(columns, "") | {"diagnosis": "NV", "width_px": 90, "height_px": 60}
    known |= {"age_years": float("nan"), "fold": "0"}
    rows = [known | {"image_id": name, "group_id": name} for name in SKIN]
    manifest.write(pd.DataFrame(rows), folder / "manifest.csv")
    for side_px in (64, 96):
        with EncodedWriter(folder / f"crop/{side_px}", suffix=".png") as writer:
            writer.start_shard("only")
            for name, colour in SKIN.items():
                # The larger crop is of another colour: it must not be the one that is read.
                pixels = draw(colour if side_px == 64 else (10, 200, 10), side_px)
                writer.add(name, encode_png(pixels), "")


@pytest.fixture
def project(tmp_path, monkeypatch):
    write_project(tmp_path)
    parallel = "parallel: {engine: local, workers: 0, ray_address: ''}\n"
    (tmp_path / "params.yaml").write_text(parallel)
    monkeypatch.chdir(tmp_path)


def test_every_case_has_the_angle_of_its_smallest_crop(project, capsys):
    main(["manifest.csv", "crop", "found", "--workers", "1"])

    table = pd.read_csv("found/skin_tone.csv", keep_default_na=False).set_index("image_id")
    assert list(table.index) == list(SKIN)
    for name in ("light", "dark"):
        expected = estimate_ita(draw(SKIN[name], 64))
        assert float(table.ita_degrees[name]) == pytest.approx(expected.degrees)
        assert table.ita_group[name] == expected.group
    assert float(table.ita_degrees["light"]) > 28 > 0 > float(table.ita_degrees["dark"])
    assert capsys.readouterr().out == "skin_tone: 3 images, 1 with too little skin in found\n"


def test_where_no_skin_is_seen_the_angle_is_empty_not_0(project):
    main(["manifest.csv", "crop", "found", "--workers", "1"])

    table = pd.read_csv("found/skin_tone.csv", keep_default_na=False).set_index("image_id")
    assert table.ita_degrees["black"] == ""
    assert table.ita_group["black"] == ""
