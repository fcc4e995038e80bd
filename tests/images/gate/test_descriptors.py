"""Tests of `pipeline.images.gate.descriptors`."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pipeline.images.gate.descriptors import (
    COLOUR_OCTAVES,
    FEATURES,
    OCTAVES,
    describe,
    entropy,
    measure_layout,
    octave_energies,
)
from tests.images.pictures import textured, with_lesion

SIDE = 256


@pytest.fixture(scope="module")
def lesion():
    return with_lesion(textured(SIDE, SIDE), (SIDE / 2, SIDE / 2), 70)


def named(pixels, width_px=SIDE, height_px=SIDE):
    return dict(
        zip(FEATURES, describe(pixels, width_px=width_px, height_px=height_px), strict=True)
    )


def plain(*levels):
    return np.full((SIDE, SIDE, 3), levels, np.uint8)


def test_names_are_different():
    assert len(set(FEATURES)) == len(FEATURES)
    assert f"octave_{OCTAVES - 1}" in FEATURES
    assert f"colour_octave_{COLOUR_OCTAVES - 1}" in FEATURES


def test_one_colour_has_no_structure_but_its_colour():
    found = named(plain(255, 0, 0))

    assert found["light_p50"] == pytest.approx(53.24, abs=0.01)  # of sRGB's red in CIELAB
    assert found["a_mean"] == pytest.approx(80.1, abs=0.01)
    assert found["b_mean"] == pytest.approx(67.23, abs=0.01)
    assert found["clipped_share"] == pytest.approx(1 / 3)  # red alone, of three channels
    assert found["entropy"] == found["colour_entropy"] == 0
    assert found["flat_share"] == 1
    assert found["plan_spread"] == pytest.approx(np.log2(0.1))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_plain_images_have_finite_numbers(level):
    assert np.isfinite(describe(plain(level, level, level), width_px=9, height_px=3)).all()


def test_halves_of_black_and_white_have_worked_values():
    pixels = plain(0, 0, 0)
    pixels[:, SIDE // 2 :] = 255

    found = named(pixels)

    assert found["contrast"] == pytest.approx(np.log2(0.25), abs=1e-4)  # variance of 0 and 1
    assert found["entropy"] == found["colour_entropy"] == 1  # one bit
    assert found["dark_share"] == 0.5
    assert found["clipped_share"] == 0.5
    assert found["plan_spread"] == pytest.approx(np.log2(50.1))  # L* 0 and 100
    assert found["axis_share"] == pytest.approx(1, abs=1e-3)
    assert found["direction_2"] == pytest.approx(1, abs=1e-3)  # all of one direction
    assert found["grey_share"] == 1
    assert found["point_symmetry"] == pytest.approx(-1, abs=1e-4)  # white turned onto black


def test_aspect_ratio_is_that_of_the_original_either_way(lesion):
    assert named(lesion, 600, 200)["aspect_ratio"] == 3
    assert named(lesion, 200, 600)["aspect_ratio"] == 3


def test_octaves_hold_the_energy_of_their_own_scale():
    """Columns of ±1, two pixels wide: lost not by the first averaging but by the second."""
    columns = np.tile([1.0, 1.0, -1.0, -1.0], 4)
    values = np.broadcast_to(columns, (16, 16))[..., None]

    np.testing.assert_allclose(octave_energies(values, 3), [0, 1, 0], atol=1e-12)


def test_entropy_worked_by_hand():
    assert entropy(np.array([2, 1, 1, 0])) == 1.5


def test_centre_is_told_from_rim():
    lab = np.zeros((64, 64, 3))
    y, x = (np.indices((64, 64)) + 0.5) / 32 - 1
    lab[np.hypot(y, x) < 0.6] = (-20, 5, 3)

    centre, ring, tilt = (lambda f: (f[:3], f[5], f[6]))(measure_layout(lab))

    np.testing.assert_allclose(centre, (-20, 5, 3))
    assert ring > 0.6
    assert tilt == pytest.approx(0, abs=1e-9)


def test_blur_lowers_sharpness_at_every_strength(lesion):
    image = Image.fromarray(lesion)
    blurred = [image.filter(ImageFilter.GaussianBlur(radius)) for radius in (1, 2, 4, 8)]

    sharpness = [named(np.asarray(each))["sharpness"] for each in (image, *blurred)]

    assert all(following < sharpness[0] - 0.5 for following in sharpness[2:])
    assert sharpness[1] < sharpness[0]


def test_darker_image_is_as_sharp(lesion):
    """A dim image must not be called blurred."""
    dim = (lesion * 0.5).round().astype(np.uint8)

    assert named(dim)["sharpness"] == pytest.approx(named(lesion)["sharpness"], abs=0.1)


@pytest.mark.parametrize("turn", [np.rot90, np.fliplr, np.flipud, lambda p: p.swapaxes(0, 1)])
def test_turned_image_has_the_same_descriptor(lesion, turn):
    moved = np.roll(lesion, (20, 5), (0, 1))

    turned = describe(np.ascontiguousarray(turn(moved)), width_px=SIDE, height_px=SIDE)

    np.testing.assert_allclose(
        turned, describe(moved, width_px=SIDE, height_px=SIDE), rtol=1e-6, atol=1e-6
    )


def test_size_of_the_crop_changes_little(lesion):
    """Members may have crops of any size; the same picture must get the same numbers."""
    doubled = np.repeat(np.repeat(lesion, 2, axis=0), 2, axis=1)

    one, other = named(lesion), named(doubled)

    for name in ("light_p50", "a_mean", "b_mean", "contrast", "plan_spread", "entropy"):
        assert other[name] == pytest.approx(one[name], abs=0.05), name


def test_image_without_pixels_is_refused(lesion):
    with pytest.raises(ValueError, match=r"^width_px and height_px must be at least 1\. Got: "):
        describe(lesion, width_px=0, height_px=5)


def test_only_rgb_bytes_are_accepted():
    with pytest.raises(ValueError, match=r"^image must be \(height, width, 3\) uint8\."):
        describe(np.zeros((8, 8), np.uint8), width_px=8, height_px=8)
