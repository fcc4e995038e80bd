"""Tests of `pipeline.images.jpeg`, and of how `decode` falls back from it to Pillow."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.images.decode import FALLBACK, FAST, PILLOW, ImageError, decode
from pipeline.images.jpeg import SHRINKS, JpegError, choose_shrink, decode_jpeg
from tests.images.pictures import DECODE, encode, oriented, psnr, textured

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
KINDS = {
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "4:2:0": {"subsampling": 2},
    "coarse": {"quality": 20},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True},
    "restarts": {"restart_marker_blocks": 4},
    "stored as RGB": {"keep_rgb": True},
}


def by_pillow(data, shrink=1):
    """Decode with Pillow alone: the reference."""
    with Image.open(BytesIO(data)) as image:
        if shrink > 1:
            image.draft(None, (image.width // shrink, image.height // shrink))
        return np.asarray(image.convert("RGB"))


def with_junk(data):
    """Put bytes between two segments, where none may be; libjpeg warns and reads on."""
    start = data.index(b"\xff\xda")
    return data[:start] + b"junk" + data[start:]


@pytest.mark.parametrize("shrink", SHRINKS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(201, 333), (64, 96), (257, 33)])
def test_pixels_are_those_of_pillow(shape, kind, shrink):
    data = encode(textured(*shape), "JPEG", **KINDS[kind])

    pixels = decode_jpeg(data, *shape[::-1], shrink)

    np.testing.assert_array_equal(pixels, by_pillow(data, shrink))


@pytest.mark.parametrize("shrink", SHRINKS)
def test_grey_becomes_rgb_as_in_pillow(shrink):
    data = encode(Image.fromarray(textured(201, 333)).convert("L"), "JPEG")

    np.testing.assert_array_equal(decode_jpeg(data, 333, 201, shrink), by_pillow(data, shrink))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_eight_orientations_stay_fast_and_upright(orientation):
    pixels = textured(201, 333)

    decoded = decode(
        oriented(pixels, orientation, "JPEG", quality=95, subsampling=0),
        params=DECODE,
        least_side_px=None,
    )

    assert decoded.decoder == FAST
    assert psnr(decoded.pixels, pixels) > 38


@pytest.mark.parametrize(
    ("width", "height", "least", "shrink"),
    [
        (6000, 4000, 960, 4),
        (6000, 4000, 500, 8),
        (6000, 4000, 501, 4),
        (4000, 6000, 2000, 2),
        (767, 1024, 960, 1),
        (6000, 4000, None, 1),
        (80000, 80000, 10, 8),
    ],
)
def test_shrink_leaves_the_pixels_asked_for(width, height, least, shrink):
    assert choose_shrink(width, height, least) == shrink


@pytest.mark.parametrize("least_side_px", [None, 50])
def test_jpeg_with_a_flaw_is_decoded_by_pillow(least_side_px):
    data = encode(textured(401, 333), "JPEG")

    with pytest.raises(JpegError, match="4 extraneous bytes before marker"):
        decode_jpeg(with_junk(data), 333, 401, 1)
    flawed = decode(with_junk(data), params=DECODE, least_side_px=least_side_px)

    whole = decode(data, params=DECODE, least_side_px=least_side_px)
    assert (whole.decoder, flawed.decoder) == (FAST, FALLBACK)
    np.testing.assert_array_equal(flawed.pixels, whole.pixels)


def test_bytes_after_the_end_are_no_flaw():
    data = encode(textured(64, 96), "JPEG") + b"<html>" * 50

    assert decode(data, params=DECODE, least_side_px=None).decoder == FAST


def test_truncated_jpeg_is_given_up_by_both():
    data = encode(textured(201, 333), "JPEG")[:-2]

    with pytest.raises(JpegError):
        decode_jpeg(data, 333, 201, 1)
    with pytest.raises(ImageError, match="must be a whole, undamaged image"):
        decode(data, params=DECODE, least_side_px=None)


def test_header_of_another_size_is_refused():
    data = encode(textured(201, 333), "JPEG")

    with pytest.raises(JpegError, match=r"pixels must be \(200, 333, 3\)"):
        decode_jpeg(data, 333, 200, 1)


@pytest.mark.parametrize(("mode", "form"), [("CMYK", "JPEG"), ("RGB", "PNG"), ("L", "PNG")])
def test_what_the_fast_decoder_is_not_asked_is_no_fallback(mode, form):
    data = encode(Image.fromarray(textured(64, 96)).convert(mode), form)

    decoded = decode(data, params=DECODE, least_side_px=None)

    assert decoded.decoder == PILLOW
    np.testing.assert_array_equal(decoded.pixels, by_pillow(data))


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
@pytest.mark.parametrize("shrink", SHRINKS)
def test_pixels_of_real_originals_are_those_of_pillow(shrink):
    paths = sorted(SHARED.glob("isic_acral/images/*")) + sorted(SHARED.glob("uda1/images/*"))
    assert len(paths) >= 200

    for path in paths[::3]:
        data = path.read_bytes()
        with Image.open(BytesIO(data)) as image:
            size = image.size
        same = np.array_equal(decode_jpeg(data, *size, shrink), by_pillow(data, shrink))
        assert same, f"{path} at 1/{shrink}"
