"""Tests of `pipeline.images.decode`."""

import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.images.decode import DecodeParams, ImageError, decode
from pipeline.images.resize import resize_box
from tests.images.pictures import DECODE, deep_png, encode, oriented, psnr, textured

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


def decode_whole(file):
    return decode(file, params=DECODE, least_side_px=None)


def png_header(width, height):
    """A PNG that says its size and ends where its pixels should begin."""
    data = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + data + struct.pack(">I", zlib.crc32(data))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 1000) + b"IDAT"


def test_png_pixels_come_back_as_they_were():
    pixels = textured(50, 70)

    decoded = decode_whole(encode(pixels))

    np.testing.assert_array_equal(decoded.pixels, pixels)
    assert (decoded.width_px, decoded.height_px, decoded.shrink) == (70, 50, 1)


def test_path_and_bytes_give_the_same_pixels(tmp_path):
    data = encode(textured(50, 70), "JPEG")
    (tmp_path / "a.jpg").write_bytes(data)

    np.testing.assert_array_equal(
        decode_whole(tmp_path / "a.jpg").pixels, decode_whole(data).pixels
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_eight_orientations_give_identical_upright_pixels(orientation):
    pixels = textured(50, 70)

    decoded = decode_whole(oriented(pixels, orientation))

    np.testing.assert_array_equal(decoded.pixels, pixels)
    assert (decoded.width_px, decoded.height_px) == (70, 50)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("least_side_px", [100, 200])
def test_box_is_not_shifted_when_decoded_at_a_fraction(orientation, least_side_px):
    """801 = 8 x 100 + 1: the decoded image has a last, or after a flip first, pixel outside."""
    data = oriented(textured(801, 1009), orientation, "JPEG", quality=95, subsampling=0)
    full = decode_whole(data)
    small = decode(data, params=DECODE, least_side_px=least_side_px)
    box = (300, 200, 900, 800)

    cuts = [
        resize_box(one.pixels, one.locate(*box), (48, 48), resample="lanczos")
        for one in (full, small)
    ]

    assert small.shrink == 800 // least_side_px
    assert psnr(*cuts) >= 45


def test_scale_taken_from_the_decoded_shape_would_be_caught():
    """The trap: ceil(801 / 8) / 801 is not 1 / 8, and the box shifts by most of a pixel."""
    data = encode(textured(801, 1009), "JPEG", quality=95, subsampling=0)
    full = decode_whole(data)
    small = decode(data, params=DECODE, least_side_px=100)
    box = (300, 200, 900, 800)
    across, down = small.pixels.shape[1] / 1009, small.pixels.shape[0] / 801
    wrong = (300 * across, 200 * down, 900 * across, 800 * down)

    good = resize_box(full.pixels, full.locate(*box), (48, 48), resample="lanczos")
    shifted = resize_box(small.pixels, wrong, (48, 48), resample="lanczos")

    assert psnr(good, shifted) < 45


def test_shorter_side_stays_at_least_as_asked():
    data = encode(textured(641, 1000), "JPEG")

    shapes = {
        least: decode(data, params=DECODE, least_side_px=least).pixels.shape[:2]
        for least in (80, 81, 320, 321, 5000)
    }

    assert shapes == {
        80: (81, 125),
        81: (161, 250),
        320: (321, 500),
        321: (641, 1000),
        5000: (641, 1000),
    }


def test_png_is_never_decoded_at_a_fraction():
    decoded = decode(encode(textured(400, 400)), params=DECODE, least_side_px=40)

    assert decoded.pixels.shape == (400, 400, 3)


def test_16_bit_grey_is_scaled_not_clipped():
    values = np.linspace(0, 65535, 64 * 64).round().astype(np.uint16).reshape(64, 64)

    pixels = decode_whole(encode(values)).pixels

    np.testing.assert_array_equal(pixels, np.round(values / 257)[..., None].repeat(3, axis=2))


def test_converting_16_bit_grey_directly_would_be_caught():
    values = np.linspace(0, 65535, 64 * 64).round().astype(np.uint16).reshape(64, 64)

    clipped = np.asarray(Image.fromarray(values).convert("RGB"))

    assert (clipped == 255).mean() > 0.9


def test_16_bit_colour_is_scaled_not_clipped():
    pixels = textured(40, 60)

    decoded = decode_whole(deep_png(pixels.astype(np.uint16) * 257))

    np.testing.assert_array_equal(decoded.pixels, pixels)


def test_palette_with_transparency_keeps_its_colours():
    image = Image.fromarray(textured(40, 40)).quantize(16)
    colours = np.asarray(image.convert("RGB"))

    pixels = decode_whole(encode(image, transparency=bytes(range(16)))).pixels

    np.testing.assert_array_equal(pixels, colours)


def test_alpha_is_dropped():
    pixels = textured(40, 40)
    alpha = np.arange(1600, dtype=np.uint8).reshape(40, 40, 1)

    decoded = decode_whole(encode(np.concatenate([pixels, alpha], axis=2)))

    np.testing.assert_array_equal(decoded.pixels, pixels)


@pytest.mark.parametrize(
    ("mode", "form"), [("L", "PNG"), ("1", "PNG"), ("LA", "PNG"), ("L", "JPEG"), ("CMYK", "JPEG")]
)
def test_every_mode_becomes_rgb(mode, form):
    image = Image.fromarray(textured(40, 60)).convert(mode)

    pixels = decode_whole(encode(image, form)).pixels

    assert pixels.shape == (40, 60, 3)
    assert pixels.dtype == np.uint8
    assert psnr(pixels, np.asarray(image.convert("RGB"))) > 25


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "0 bytes"),
        (b"%PDF-1.7\n%some document", "a file that starts with b'%PDF-1.7'"),
        (encode(textured(40, 40), "GIF"), "a file that starts with b'GIF87a"),
        (encode(textured(40, 40), "BMP"), "a file that starts with b'BM"),
    ],
)
def test_other_files_named_jpg_are_refused(tmp_path, content, found):
    path = tmp_path / "ISIC_1.jpg"
    path.write_bytes(content)

    with pytest.raises(ImageError) as raised:
        decode_whole(path)

    assert str(raised.value).startswith(f"{path} must be a JPEG or PNG image. Got: {found}")


@pytest.mark.parametrize(
    ("width", "height"), [(10, 10), (31, 400), (400, 31), (13_000, 13_000), (12_001, 40)]
)
def test_size_outside_the_limits_is_refused_from_the_header(tmp_path, width, height):
    """The file ends after its header, so a decoder that goes on would say something else."""
    path = tmp_path / "ISIC_1.png"
    path.write_bytes(png_header(width, height))
    message = (
        f"{path} must have sides of 32 to 12000 px and at most 50000000 pixels. "
        f"Got: {width} x {height} px."
    )

    with pytest.raises(ImageError, match=rf"^{re.escape(message)}$"):
        decode_whole(path)


def test_limits_are_ours_and_not_those_of_pillow():
    """Pillow warns above 89 and refuses above 179 million pixels; warnings are errors here."""
    params = DecodeParams(limit_pixels=400_000_000, limit_side_px=20_000, minimum_side_px=32)

    with pytest.raises(ImageError, match="must be a whole, undamaged image"):
        decode(png_header(20_000, 20_000), params=params, least_side_px=None)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("least_side_px", [None, 50])
def test_truncated_image_is_refused(tmp_path, form, least_side_px):
    data = encode(textured(400, 400), form)
    path = tmp_path / f"ISIC_1.{form.lower()}"
    path.write_bytes(data[: len(data) // 2])

    with pytest.raises(
        ImageError, match=rf"^{re.escape(str(path))} must be a whole, undamaged image\. Got: "
    ):
        decode(path, params=DECODE, least_side_px=least_side_px)


def test_absent_file_is_named(tmp_path):
    path = tmp_path / "ISIC_1.jpg"

    with pytest.raises(ImageError) as raised:
        decode_whole(path)

    assert str(raised.value) == f"{path} must be a readable file. Got: No such file or directory."


def test_damaged_exif_is_ignored():
    """Pillow warns of it, and warnings are errors here."""
    exif = Image.Exif()
    exif[274] = 6
    exif[270] = "x" * 100
    data = encode(textured(40, 60), "JPEG", exif=exif)
    start = data.index(b"Exif\x00\x00")
    damaged = data[: start + 16] + b"\xff" * 24 + data[start + 40 :]

    decoded = decode_whole(damaged)

    assert decoded.pixels.shape == (40, 60, 3)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_damaged_bytes_end_in_pixels_or_in_an_image_error(form):
    rng = np.random.default_rng(0)
    data = encode(textured(48, 64), form)
    ends = {"pixels": 0, "error": 0}

    for _ in range(300):
        damaged = bytearray(data)
        for place in rng.integers(0, min(len(data), rng.choice([100, len(data)])), 3):
            damaged[place] = rng.integers(256)
        try:
            decode(bytes(damaged), params=DECODE, least_side_px=40)
            ends["pixels"] += 1
        except ImageError:
            ends["error"] += 1

    assert ends["error"] > 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((100, 10, 20), "minimum_side_px must be from 1 to limit_side_px. Got: 20 and 10."),
        ((100, 10, 0), "minimum_side_px must be from 1 to limit_side_px. Got: 0 and 10."),
        ((50, 10, 8), "limit_pixels must be at least minimum_side_px squared. Got: 50."),
    ],
)
def test_limits_that_contradict_are_refused(values, message):
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        DecodeParams(*values)


@pytest.mark.data
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
def test_real_edge_cases_decode_upright_and_unclipped():
    turned = decode_whole(SHARED / "edge_cases/image_with_exif_including_orientation.jpg")
    deep = decode_whole(SHARED / "edge_cases/RCM_tile_with_exif.png")

    assert (turned.width_px, turned.height_px) == (600, 450)
    assert (deep.pixels == 255).mean() < 0.01
    assert 60 < deep.pixels.mean() < 110
