"""Tests of `tools.benchmark_decode`: the figures, and that PSNR catches planted faults."""

import dataclasses
import io
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from pipeline import params
from pipeline.images.crop import CropParams
from pipeline.images.decode import DecodeParams
from pipeline.images.preprocess import cut_crops
from pipeline.images.resize import resize_box
from tests.images.pictures import CROP, DECODE, encode, textured
from tools.benchmark_decode import (
    OURS,
    PSNR_GOAL_DB,
    Original,
    compare,
    crop_with_pillow,
    crop_with_pyvips,
    list_goals,
    read_originals,
    time_methods,
)

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / ".." / "shared" / "data"
SIZES_PX = CROP.sizes_px


@cache
def smooth():
    """An original without detail that crops could not hold, but with a camera's noise."""
    blurred = ndimage.gaussian_filter(textured(402, 505), (5, 5, 0))
    wide = Image.fromarray(blurred).resize((1513, 1205), Image.Resampling.LANCZOS)
    noise = np.random.default_rng(0).normal(0, 3, (1205, 1513, 1))
    noisy = np.clip(np.asarray(wide) + noise, 0, 255).round().astype(np.uint8)
    return Original(encode(noisy, "JPEG", quality=95), 1513, 1205)


def cut(one):
    return cut_crops(one.data, decode_params=DECODE, crop_params=CROP)


def test_psnr_of_equal_crops_and_of_a_known_error():
    grey = np.full((8, 8, 3), 100, np.uint8)

    ratios = compare({1: grey, 2: grey + 5}, {1: grey, 2: grey})

    assert ratios == [99.0, pytest.approx(20 * np.log10(255 / 5))]


def test_crops_are_those_of_a_full_decode():
    cropped = cut(smooth())

    assert cropped.box.region == smooth().square
    wanted = crop_with_pillow(smooth(), cropped.box.region, SIZES_PX)
    assert min(compare(cropped.crops, wanted)) >= PSNR_GOAL_DB


@pytest.mark.parametrize("shift_px", [(4, 0), (0, 4)])
def test_box_that_is_off_by_half_a_decoded_pixel_would_be_caught(shift_px):
    left, top, right, bottom = smooth().square
    moved = left + shift_px[0], top - shift_px[1], right + shift_px[0], bottom - shift_px[1]

    ratios = compare(cut(smooth()).crops, crop_with_pillow(smooth(), moved, SIZES_PX))

    assert max(ratios) < PSNR_GOAL_DB


def test_picking_pixels_would_be_caught():
    with Image.open(io.BytesIO(smooth().data)) as image:
        square = image.crop(smooth().square)
    picked = {s: np.asarray(square.resize((s, s), Image.Resampling.NEAREST)) for s in SIZES_PX}

    ratios = compare(picked, crop_with_pillow(smooth(), smooth().square, SIZES_PX))

    assert max(ratios) < PSNR_GOAL_DB


def test_peer_of_libvips_cuts_the_same_square():
    crops = crop_with_pyvips(smooth(), SIZES_PX)

    assert {size_px: crop.shape for size_px, crop in crops.items()} == {
        size_px: (size_px, size_px, 3) for size_px in SIZES_PX
    }
    assert min(compare(crops, crop_with_pillow(smooth(), smooth().square, SIZES_PX))) > 30


def test_every_method_is_timed_on_every_original():
    calls = []
    methods = {name: lambda one, name=name: calls.append((name, one.width)) for name in "ab"}
    originals = [Original(b"", 1, 1), Original(b"", 2, 2)]

    seconds = time_methods(methods, originals, 2, "test")

    assert set(seconds) == {"a", "b"}
    assert calls[2:] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)] * 2  # interleaved


def test_goals_are_held_against_this_project_alone():
    row = {"group": "6000x4000", "method": OURS, "times_pillow": 7.0, "psnr_least_db": 49.0}
    rows = [row, row | {"method": "pyvips"}, row | {"group": "all originals", "times_pillow": 6.0}]

    goals = list_goals(rows)

    assert [one["met"] for one in goals] == [False, False, True]


def test_folder_without_originals_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must hold isic_acral and uda1\. Got: no image\.$"):
        read_originals(tmp_path)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
def test_crops_of_real_originals_keep_the_goal_and_planted_faults_do_not(monkeypatch):
    monkeypatch.chdir(ROOT)
    settings = params.load("ingest", DecodeParams), params.load("crop", CropParams)
    large = [one for one in read_originals(SHARED) if one.width == 6000][:2]
    assert len(large) == 2

    for one in large:
        cropped = cut_crops(one.data, decode_params=settings[0], crop_params=settings[1])
        wanted = crop_with_pillow(one, cropped.box.region, settings[1].sizes_px)
        assert min(compare(cropped.crops, wanted)) >= PSNR_GOAL_DB
        off = dataclasses.replace(cropped.box, left_px=cropped.box.left_px + 8)
        moved = crop_with_pillow(one, off.region, settings[1].sizes_px)
        assert min(compare(cropped.crops, moved)) < PSNR_GOAL_DB
        picked = {
            s: resize_box(wanted[s][::2, ::2], None, (s, s), resample="bicubic") for s in wanted
        }
        assert min(compare(picked, wanted)) < PSNR_GOAL_DB
