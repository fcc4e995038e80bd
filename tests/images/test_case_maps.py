"""Tests of `pipeline.images.case_maps`."""

import numpy as np
from PIL import Image

from pipeline.images.case_maps import (
    ENSEMBLE,
    GRAD_CAM,
    HEADINGS,
    OCCLUSION,
    CaseMap,
    ExplainedCase,
    ShownShelf,
    draw_shelves,
    map_rows,
    save_cases,
)
from pipeline.images.gallery_sheet import SheetStyle

STYLE = SheetStyle(tile_px=64, opacity=0.5, contours=(0.5,))
SKIN = np.full((64, 64, 3), (200, 160, 140), np.uint8)
RAMP = np.linspace(0, 1, 64).reshape(8, 8)
UNDEFINED = np.full((8, 8), np.nan)


def case(truth="MEL", predicted="NV"):
    maps = [CaseMap(OCCLUSION, ENSEMBLE, predicted, RAMP, 0.8, (6, 6), 0.3)]
    maps += [
        CaseMap(GRAD_CAM, member, label, heat, 0.5, (2, 2), None)
        for label in dict.fromkeys((predicted, truth))
        for member, heat in (("b4", RAMP.T), ("b5", UNDEFINED))
    ]
    given = {"MEL": 0.15, "NV": 0.8, "BCC": 0.05}
    return ExplainedCase("case1", truth, predicted, given, tuple(maps))


def test_titles_say_what_is_said_and_what_is_true():
    assert case().title == "case1: says NV (0.80); is MEL (0.15)"
    assert case(truth="NV").title == "case1: says NV (0.80), rightly"


def test_a_hit_shows_one_class_and_an_error_two():
    hit, error = (one.block(SKIN).rows for one in (case(truth="NV"), case()))

    assert [len(row) for row in hit] == [2, 2]
    assert [len(row) for row in error] == [2, 2, 2]
    assert error[1][0].caption == "Grad-CAM b4: NV\np 0.50, 2 x 2 cells"
    assert error[2][0].caption.startswith("Grad-CAM b4: MEL\n")
    assert hit[0][0].caption == "case1\nNV 0.80, MEL 0.15"
    assert hit[0][1].caption == "Occlusion: NV\np 0.80, 6 x 6 cells\npatch: -0.30 at most"
    assert hit[1][1].absent == "No map: no place that b5 looks at speaks for NV."


def test_files_hold_the_maps_as_they_lie_and_undefined_ones_have_none(tmp_path):
    shelf = ShownShelf("misses", "1 of 1", (case(),))

    (row,) = save_cases(tmp_path, [shelf])

    assert row["map_files"].split() == [
        "case1_occlusion_ensemble_NV.png",
        "case1_grad_cam_b4_NV.png",
        "case1_grad_cam_b4_MEL.png",
    ]
    assert sorted(row["map_files"].split()) == sorted(path.name for path in tmp_path.iterdir())
    with Image.open(tmp_path / "case1_occlusion_ensemble_NV.png") as image:
        np.testing.assert_allclose(np.asarray(image) / 255, RAMP, atol=1 / 500)
    with Image.open(tmp_path / "case1_grad_cam_b4_NV.png") as image:
        np.testing.assert_allclose(np.asarray(image) / 255, RAMP.T, atol=1 / 500)


def test_a_case_of_two_galleries_is_listed_twice_and_saved_once(tmp_path):
    shelves = [ShownShelf(name, "", (case(),)) for name in ("misses", "errors")]

    rows = save_cases(tmp_path, shelves)

    assert [row["gallery"] for row in rows] == ["misses", "errors"]
    assert rows[0]["map_files"] == rows[1]["map_files"]
    assert rows[0]["probability"] == 0.8 and rows[0]["truth_probability"] == 0.15


def test_every_map_is_listed_with_its_cells():
    rows = map_rows([case()])

    assert [row["is_defined"] for row in rows] == [True, True, False, True, False]
    assert {row["cells_high"] for row in rows if row["method"] == GRAD_CAM} == {2}
    assert [row["largest_drop"] for row in rows] == [0.3, None, None, None, None]


def test_a_gallery_is_drawn_with_its_empty_shelves(tmp_path):
    shelves = [ShownShelf("misses", "1 of 1 misses", (case(),)), ShownShelf("misses", "0 of 0", ())]
    heading = HEADINGS["misses"].format(shown=1, found=1)

    draw_shelves(tmp_path / "one.png", [heading], shelves, lambda name: SKIN, STYLE)
    draw_shelves(tmp_path / "both.png", [heading], shelves[:1], lambda name: SKIN, STYLE)

    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "both.png") as both:
        assert one.width == STYLE.width_px and one.height > both.height
