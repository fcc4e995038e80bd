"""Tests of `pipeline.images.corruptions.catalogue`, and of what all corruptions promise."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.images.corruptions.catalogue import (
    CORRUPTIONS,
    SEVERITIES,
    Corruption,
    UnchangedError,
    corrupt,
    generator,
)
from tests.images.pictures import textured, with_lesion

ROOT = Path(__file__).resolve().parents[3]
# What an image of one level cannot show, and so refuses to be counted.
NOT_ON_FLAT = {"defocus", "motion_blur", "low_resolution", "rotation", "scale"}
NOT_ON_BLACK = NOT_ON_FLAT | {
    *("brighter", "darker", "gamma", "colour_cast", "shadow", "ink"),
    *("lighter_skin", "darker_skin"),
}
NOT_ON_WHITE = NOT_ON_FLAT | {"brighter", "gamma", "specular", "lighter_skin"}
# Drawn from nothing: the same for every image.
NOT_RANDOM = {
    *("brighter", "darker", "lighter_skin", "darker_skin"),
    *("defocus", "jpeg", "low_resolution"),
}
ONLY_DARKER = ("darker", "shadow", "ink", "dark_surround")
ONLY_LIGHTER = ("brighter", "specular")
DIGESTS = """
import hashlib, json
from pipeline.images.corruptions.catalogue import CORRUPTIONS, corrupt
from tests.images.corruptions.test_catalogue import digests
print(json.dumps(digests(reversed(CORRUPTIONS))))
"""


def lesion(height, width, seed=0):
    """A dark disc, off the middle, on textured skin."""
    short = min(height, width)
    centre = height / 2 + 0.06 * short, width / 2 - 0.08 * short
    return with_lesion(textured(height, width, seed), centre, 0.22 * short)


def distance(pixels, corrupted):
    """Mean absolute difference in levels, of a smaller result enlarged."""
    if corrupted.shape != pixels.shape:
        image = Image.fromarray(corrupted)
        corrupted = np.asarray(image.resize(pixels.shape[1::-1], Image.Resampling.BICUBIC))
    return np.abs(pixels.astype(int) - corrupted).mean()


def digests(names):
    pixels = lesion(90, 70)
    return {
        name: hashlib.sha256(
            corrupt(pixels, name, severity=3, image_id="ISIC_1", seed=7).tobytes()
        ).hexdigest()
        for name in names
    }


def unchanged_on(pixels):
    """Names that leave a picture as it is at every severity."""
    names = set()
    for name in CORRUPTIONS:
        counts = 0
        for severity in SEVERITIES:
            try:
                corrupt(pixels, name, severity=severity, image_id="flat", seed=0)
            except UnchangedError:
                counts += 1
        if counts == len(SEVERITIES):
            names.add(name)
    return names


def test_catalogue_holds_every_group_of_the_robustness_report():
    groups = {}
    for name, corruption in CORRUPTIONS.items():
        groups.setdefault(corruption.group, set()).add(name)

    assert groups == {
        "illumination": {"brighter", "darker", "gamma", "colour_cast", "shadow", "specular"},
        "obstruction": {
            *("hairs", "ruler", "ink", "gel_bubbles", "dark_surround", "occluding_patches"),
        },
        "skin_tone": {"lighter_skin", "darker_skin"},
        "quality": {"defocus", "motion_blur", "noise", "jpeg", "low_resolution"},
        "geometry": {"rotation", "scale", "crop_error"},
    }


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_strengths_go_one_way(name):
    steps = np.diff(CORRUPTIONS[name].strengths)

    assert len(steps) == 4
    assert (steps > 0).all() or (steps < 0).all()


@pytest.mark.parametrize("shape", [(96, 128), (64, 64), (101, 67)], ids=str)
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_distance_from_the_clean_image_grows_with_severity(name, shape):
    pixels = lesion(*shape)

    distances = [
        distance(pixels, corrupt(pixels, name, severity=severity, image_id="a", seed=1))
        for severity in SEVERITIES
    ]

    assert distances[0] > 0
    assert (np.diff(distances) > 0).all(), distances


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_result_is_a_photograph_and_the_original_is_left_alone(name):
    pixels = lesion(101, 67).copy()
    before = pixels.copy()

    corrupted = corrupt(pixels, name, severity=5, image_id="a", seed=1)

    np.testing.assert_array_equal(pixels, before)
    assert corrupted.dtype == np.uint8
    if name == "crop_error":
        assert corrupted.shape == (65, 43, 3)  # 0.64 of either side
    else:
        assert corrupted.shape == pixels.shape


@pytest.mark.slow
def test_pixels_do_not_depend_on_order_or_process():
    # Another salt of `hash`, another order.
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-c", DIGESTS], cwd=ROOT, env=environment, capture_output=True, check=True
    )

    assert json.loads(done.stdout) == digests(CORRUPTIONS)


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - NOT_RANDOM))
def test_places_differ_between_images_and_between_seeds(name):
    """Some draw one of two directions, so that a single pair may agree."""
    pixels = lesion(64, 80)

    def results(cases):
        return {corrupt(pixels, name, severity=4, **case).tobytes() for case in cases}

    by_image = results({"image_id": f"ISIC_{k}", "seed": 0} for k in range(8))
    by_seed = results({"image_id": "ISIC_0", "seed": k} for k in range(8))
    assert len(by_image) > 1
    assert len(by_seed) > 1


def test_generator_tells_seed_name_and_image_apart():
    keys = [(0, "hairs", "a"), (1, "hairs", "a"), (0, "ink", "a"), (0, "hairs", "b"), (0, "h", "b")]

    drawn = [generator(*key).random() for key in [*keys, keys[0]]]

    assert len(set(drawn)) == 5
    assert drawn[0] == drawn[-1]


@pytest.mark.parametrize("name", ["hairs", "gel_bubbles", "ink", "occluding_patches"])
def test_worse_severity_holds_what_the_better_one_covers(name):
    pixels = lesion(120, 160)

    covered = [
        (corrupt(pixels, name, severity=severity, image_id="a", seed=3) != pixels).any(axis=2)
        for severity in SEVERITIES
    ]

    for better, worse in itertools.pairwise(covered):
        assert (better & ~worse).sum() <= 0.02 * better.sum()  # soft edges of a pen's end
        assert worse.sum() > better.sum()


@pytest.mark.parametrize("name", [*ONLY_DARKER, *ONLY_LIGHTER])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_no_level_wraps_around(name, severity):
    """A byte that overflows would be dark where everything is made lighter."""
    levels = np.linspace(20, 255, 80).astype(np.uint8)
    pixels = np.repeat(np.broadcast_to(levels, (64, 80))[..., None], 3, axis=2)

    corrupted = corrupt(pixels, name, severity=severity, image_id="a", seed=0)

    if name in ONLY_DARKER:
        assert (corrupted <= pixels).all()
    else:
        assert (corrupted >= pixels).all()


@pytest.mark.parametrize(
    ("level", "expected"), [(0, NOT_ON_BLACK), (128, NOT_ON_FLAT | {"jpeg"}), (255, NOT_ON_WHITE)]
)
def test_flat_images_are_refused_exactly_where_nothing_can_change(level, expected):
    assert unchanged_on(np.full((64, 80, 3), level, np.uint8)) == expected


def test_grey_image_stays_grey_where_only_light_changes():
    grey = np.repeat(lesion(64, 64)[..., :1], 3, axis=2)

    for name in ("brighter", "darker", "gamma", "shadow", "specular", "defocus", "motion_blur"):
        corrupted = corrupt(grey, name, severity=5, image_id="a", seed=0)
        assert (corrupted == corrupted[..., :1]).all(), name


def test_corruption_that_does_nothing_is_caught(monkeypatch):
    idle = Corruption("quality", "nothing", "-", lambda pixels, *_: pixels.copy(), (1, 2, 3, 4, 5))
    monkeypatch.setitem(CORRUPTIONS, "idle", idle)

    with pytest.raises(
        UnchangedError,
        match=r"^corruption 'idle' at severity 2 must change image 'ISIC_9'\. "
        r"Got: the same pixels, of levels 7 to 7\. Leave this case out",
    ):
        corrupt(np.full((64, 64, 3), 7, np.uint8), "idle", severity=2, image_id="ISIC_9", seed=0)


def test_one_changed_level_is_a_change(monkeypatch):
    def change_one(pixels, *_):
        changed = pixels.copy()
        changed[3, 4, 1] ^= 1
        return changed

    slight = Corruption("quality", "slight", "-", change_one, (1, 2, 3, 4, 5))
    monkeypatch.setitem(CORRUPTIONS, "slight", slight)
    pixels = lesion(64, 64)

    corrupted = corrupt(pixels, "slight", severity=1, image_id="a", seed=0)

    assert (corrupted != pixels).sum() == 1


@pytest.mark.parametrize("severity", [0, 6, -1, 2.0, "3", True, None])
def test_severity_that_does_not_exist_is_refused(severity):
    with pytest.raises(ValueError, match=r"^severity must be a whole number from 1 to 5\. Got: "):
        corrupt(lesion(64, 64), "noise", severity=severity, image_id="a", seed=0)


def test_severity_may_be_read_from_an_array():
    pixels = lesion(64, 64)

    one, other = (
        corrupt(pixels, "noise", severity=severity, image_id="a", seed=0)
        for severity in (2, np.int64(2))
    )

    np.testing.assert_array_equal(one, other)


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"^name must be one of \['brighter', .*Got: 'fog'\.$"):
        corrupt(lesion(64, 64), "fog", severity=1, image_id="a", seed=0)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((64, 64), np.uint8),  # grey
        np.zeros((64, 64, 4), np.uint8),  # with alpha
        np.zeros((64, 64, 3), np.float32),  # already scaled to 0-1
        np.zeros((31, 64, 3), np.uint8),  # too small
    ],
)
def test_only_rgb_bytes_of_some_size_are_accepted(pixels):
    with pytest.raises(ValueError, match=r"^pixels must be .* at least 32 px a side\. Got: \("):
        corrupt(pixels, "noise", severity=1, image_id="a", seed=0)


def test_smallest_image_survives_every_corruption():
    pixels = lesion(32, 47)

    for name in CORRUPTIONS:
        corrupted = corrupt(pixels, name, severity=5, image_id="a", seed=0)
        assert not np.array_equal(corrupted, pixels), name


def test_shares_of_the_side_make_large_and_small_images_suffer_alike():
    small, names = lesion(120, 160), set(CORRUPTIONS) - {"noise", "jpeg", "low_resolution"}
    large = np.asarray(Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC))

    for name in names:
        at_small, at_large = (
            distance(pixels, corrupt(pixels, name, severity=5, image_id="a", seed=2))
            for pixels in (small, large)
        )
        assert at_large == pytest.approx(at_small, rel=0.25), name
