"""Tests of `pipeline.images.gallery_sheet`."""

import numpy as np
import pytest

from pipeline.images.gallery_sheet import Block, Panel, SheetStyle, draw_gallery, draw_panel

STYLE = SheetStyle(tile_px=64, opacity=0.6, contours=(0.5,))
SKIN = np.full((96, 96, 3), (200, 160, 140), np.uint8)
CORNER = np.zeros((8, 8))
CORNER[:3, :3] = 1.0
UNDEFINED = np.full((8, 8), np.nan)


def coloured(drawn):
    """Where a panel is not bare skin."""
    return (np.abs(drawn.astype(int) - SKIN[0, 0]) > 8).any(axis=2)


def gallery(*parts, heading="Hits: 1 of 2"):
    return draw_gallery(heading, ["Note."], parts, STYLE)


def test_a_map_lies_over_the_image_as_the_image_lies():
    drawn = coloured(draw_panel(SKIN, Panel("", CORNER, "none"), STYLE))

    assert drawn[:16, :16].all()
    assert not drawn[40:].any() and not drawn[:, 40:].any()


def test_a_panel_without_a_map_is_the_image_alone():
    np.testing.assert_array_equal(draw_panel(SKIN, Panel("crop"), STYLE), SKIN[:64, :64])


def test_an_undefined_map_is_words_and_never_the_bare_image():
    words = draw_panel(SKIN, Panel("", UNDEFINED, "No map: nothing counts."), STYLE)
    others = draw_panel(SKIN, Panel("", UNDEFINED, "No map: all counts."), STYLE)

    assert coloured(words).all()
    assert (words < 200).any(), "no ink"
    assert (words != others).any()


def test_an_undefined_map_without_words_is_refused():
    with pytest.raises(ValueError, match=r"must say why in words\. Got: none\.$"):
        draw_panel(SKIN, Panel("", UNDEFINED), STYLE)


def test_a_sheet_is_three_panels_wide_whatever_it_holds():
    row = [Panel("a"), Panel("b", CORNER, "none"), Panel("c, a caption that needs lines")]

    empty, full = gallery("0 of 0 hits"), gallery("1 of 2 hits", Block("case", SKIN, [row, row]))

    assert empty.shape[1] == full.shape[1] == STYLE.width_px < 4 * STYLE.tile_px
    assert full.shape[0] > empty.shape[0] + 2 * STYLE.tile_px


def test_words_are_drawn_and_change_the_picture():
    one, other = gallery(heading="Hits: 1 of 2"), gallery(heading="Hits: 2 of 2")

    assert one.shape == other.shape and (one != other).any()


def test_the_scale_runs_through_the_maps_colours():
    """What stands for 1 in the legend is a colour of the sheet, and so is what stands for 0."""
    from pipeline.images.heat_map import SCALE

    colours = {tuple(colour) for colour in gallery().reshape(-1, 3).tolist()}

    assert tuple(SCALE[0].tolist()) in colours and tuple(SCALE[-1].tolist()) in colours


def test_a_row_of_four_panels_is_refused():
    with pytest.raises(ValueError, match=r"^a row must have at most 3 panels\. Got: 4\.$"):
        gallery(Block("case", SKIN, [[Panel("")] * 4]))


def test_the_same_case_gives_the_same_bytes():
    block = Block("case", SKIN, [[Panel("crop"), Panel("map", CORNER, "none")]])

    np.testing.assert_array_equal(gallery(block), gallery(block))
