"""Tests of `pipeline.images.contact_sheet`."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pipeline.images.contact_sheet import (
    BOX_COLOUR,
    CAPTION_PX,
    GAP_PX,
    Tile,
    draw_sheet,
    encode_sheet,
    fold,
)

CELL = (40, 60)


def plain(level, height=40, width=60):
    return np.full((height, width, 3), level, np.uint8)


def cell_of(sheet, row, column):
    """The picture's part of a cell."""
    top = GAP_PX + row * (CELL[0] + CAPTION_PX + GAP_PX)
    left = GAP_PX + column * (CELL[1] + GAP_PX)
    return sheet[top : top + CELL[0], left : left + CELL[1]]


def test_tiles_stand_in_their_rows():
    rows = [[Tile(plain(10)), Tile(plain(20))], [Tile(plain(30))]]

    sheet = draw_sheet(rows, cell_px=CELL)

    assert (cell_of(sheet, 0, 0) == 10).all()
    assert (cell_of(sheet, 0, 1) == 20).all()
    assert (cell_of(sheet, 1, 0) == 30).all()
    assert (cell_of(sheet, 1, 1) == 255).all()
    assert sheet.shape == (GAP_PX + 2 * (40 + CAPTION_PX + GAP_PX), GAP_PX + 2 * (60 + GAP_PX), 3)


def test_large_picture_is_shrunk_in_proportion_and_a_small_one_left():
    rows = [[Tile(plain(10, 400, 200)), Tile(plain(20, 8, 10))]]

    sheet = draw_sheet(rows, cell_px=CELL)

    rows_of, columns = np.nonzero((cell_of(sheet, 0, 0) == 10).all(axis=2))
    assert (np.ptp(rows_of) + 1, np.ptp(columns) + 1) == (40, 20)
    assert (cell_of(sheet, 0, 1)[16:24, 25:35] == 20).all()


def test_box_lies_where_it_is_in_the_picture():
    tile = Tile(plain(90, 80, 120), box=(20, 40, 120, 80))

    picture = cell_of(draw_sheet([[tile]], cell_px=CELL), 0, 0)

    rows, columns = np.nonzero((picture == BOX_COLOUR).all(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 39, 10, 59)
    assert (picture[22:38, 12:58] == 90).all()


def test_caption_is_written_below_and_stays_in_its_cell():
    tiles = [Tile(plain(90), "a caption much longer than its cell"), Tile(plain(90))]

    sheet = draw_sheet([tiles], cell_px=CELL)

    below = sheet[GAP_PX + 40 : GAP_PX + 40 + CAPTION_PX]
    assert (below[:, GAP_PX : GAP_PX + 60] < 100).any()
    assert (below[:, GAP_PX + 60 :] == 255).all()


def test_bytes_are_the_same_every_time_and_decode_to_the_sheet():
    rows = [[Tile(plain(10), "one"), Tile(plain(20), "two", (1, 1, 30, 30))]]

    sheets = [draw_sheet(rows, cell_px=CELL) for _ in range(2)]

    assert encode_sheet(sheets[0]) == encode_sheet(sheets[1])
    with Image.open(BytesIO(encode_sheet(sheets[0]))) as image:
        np.testing.assert_array_equal(np.asarray(image), sheets[0])


def test_fold_breaks_rows():
    tiles = [Tile(plain(level)) for level in range(5)]

    rows = fold(iter(tiles), 2)

    assert rows == [tiles[:2], tiles[2:4], tiles[4:]]


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match=r"^rows must hold a tile\. Got: none\.$"):
        draw_sheet([[]], cell_px=CELL)
    with pytest.raises(ValueError, match=r"^cell_px must be at least 1 by 1\. Got: \(0, 9\)\.$"):
        draw_sheet([[Tile(plain(1))]], cell_px=(0, 9))
    with pytest.raises(ValueError, match=r"^pixels must be .* Got: \(40, 60\) uint8\.$"):
        Tile(plain(1)[..., 0])
