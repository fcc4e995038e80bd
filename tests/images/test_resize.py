"""Tests of `pipeline.images.resize`."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cykooz_resizer import CpuExtensions, Resizer
from PIL import Image

from pipeline.images import resize
from pipeline.images.resize import RESAMPLERS, ResizeParams, resize_box, resize_to_square
from tests.images.pictures import textured

ROOT = Path(__file__).resolve().parents[2]


def checkerboard(height, width):
    """Pixels alternating between 0 and 255, the hardest case for shrinking."""
    board = np.indices((height, width)).sum(axis=0) % 2
    return np.repeat(board[..., None] * 255, 3, axis=2).astype(np.uint8)


def check_averages(resize):
    """A fine checkerboard becomes even grey; picking pixels would leave black or white."""
    np.testing.assert_allclose(resize(checkerboard(512, 512)), 127.5, atol=1)


def test_result_is_square_rgb():
    small = resize_to_square(checkerboard(90, 70), 38, resample="bicubic")

    assert small.shape == (38, 38, 3)
    assert small.dtype == np.uint8


@pytest.mark.parametrize("resample", sorted(RESAMPLERS))
def test_shrinking_averages_instead_of_picking_pixels(resample):
    check_averages(lambda image: resize_to_square(image, 32, resample=resample))


def test_picking_pixels_would_be_caught():
    def nearest(image):
        return np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.NEAREST))

    with pytest.raises(AssertionError):
        check_averages(nearest)


def test_shrinking_without_antialiasing_would_be_caught():
    """What OpenCV's and TensorFlow's bilinear do: two neighbours, however many are passed over."""

    def two_neighbours(image):
        small = image[8::16, 8::16].astype(int) + image[8::16, 9::16]
        return small // 4 * 2 + image[8::16, 8::16] // 4

    with pytest.raises(AssertionError):
        check_averages(two_neighbours)


@pytest.mark.parametrize("resample", sorted(RESAMPLERS))
def test_same_size_leaves_pixels_untouched(resample):
    image = textured(38, 38)

    np.testing.assert_array_equal(resize_to_square(image, 38, resample=resample), image)


@pytest.mark.parametrize("resample", sorted(RESAMPLERS))
def test_even_colour_stays_when_enlarged(resample):
    image = np.full((20, 20, 3), (200, 100, 3), np.uint8)

    large = resize_to_square(image, 51, resample=resample)

    assert np.unique(large.reshape(-1, 3), axis=0).tolist() == [[200, 100, 3]]


def test_enlarging_is_smooth_not_blocks():
    ramp = np.repeat(np.arange(0, 200, 20, dtype=np.uint8)[None, :, None], 10, axis=0)

    large = resize_to_square(np.repeat(ramp, 3, axis=2), 40, resample="bicubic")

    steps = np.diff(large[20, 4:-4, 0].astype(int))
    assert steps.min() >= 3
    assert steps.max() <= 7


def test_box_of_whole_pixels_is_cut_out_exactly():
    image = textured(50, 60)

    cut = resize_box(image, (7, 5, 47, 35), (30, 40), resample="lanczos")

    np.testing.assert_array_equal(cut, image[5:35, 7:47])


def test_box_of_fractions_lies_between_pixels():
    """Half a pixel to the right on a slope of 10 a pixel reads 5 more."""
    slope = np.repeat(np.arange(0, 200, 10, dtype=np.uint8)[None, :, None], 20, axis=0)
    image = np.repeat(slope, 3, axis=2)

    cut = resize_box(image, (4.5, 4, 14.5, 14), (10, 10), resample="bilinear")

    np.testing.assert_array_equal(cut[5, :, 0], image[5, 4:14, 0] + 5)


@pytest.mark.parametrize("resample", sorted(RESAMPLERS))
@pytest.mark.parametrize("side", [40, 170, 700])
def test_result_is_next_to_that_of_pillow(resample, side):
    image, box = textured(300, 400), (10.25, 3.5, 380.75, 290.0)
    filters = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS
    by_pillow = dict(zip(("bilinear", "bicubic", "lanczos"), filters, strict=True))

    ours = resize_box(image, box, (side, side), resample=resample)

    def noise(name, moved):
        part = tuple(edge + moved for edge in box)
        wanted = Image.fromarray(image).resize((side, side), by_pillow[name], box=part)
        return np.mean((np.asarray(wanted, float) - ours) ** 2)

    assert noise(resample, 0) < 255**2 / 10**5  # 50 dB
    assert noise(resample, -0.25 * max(1, 280 / side)) > 255**2 / 10**5  # a quarter of a pixel
    assert all(noise(other, 0) > noise(resample, 0) for other in by_pillow if other != resample)


@pytest.mark.parametrize("resample", sorted(RESAMPLERS))
def test_processors_without_vector_code_make_the_same_bytes(resample, monkeypatch):
    """Training and CAD may run on different machines."""

    class Plain(Resizer):
        def __init__(self):
            super().__init__()
            self.cpu_extensions = CpuExtensions.none

    image, box = textured(300, 400), (10.25, 3.5, 380.75, 290.0)
    fast = [resize_box(image, box, (side, side), resample=resample) for side in (40, 170, 700)]

    monkeypatch.setattr(resize, "Resizer", Plain)

    for wanted in fast:
        plain = resize_box(image, box, wanted.shape[:2], resample=resample)
        np.testing.assert_array_equal(plain, wanted)


def test_threads_do_not_disturb_each_other():
    images = [textured(200, 150 + step) for step in range(16)]
    alone = [resize_to_square(image, 90, resample="bicubic") for image in images]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda i: resize_to_square(i, 90, resample="bicubic"), images))

    np.testing.assert_array_equal(together, alone)


def test_rows_that_are_not_next_to_each_other_are_read_right():
    image = textured(60, 50)

    thinned = resize_box(image[1::3, ::-1], (2, 1, 48, 19), (18, 46), resample="bicubic")

    np.testing.assert_array_equal(thinned, image[1::3, ::-1][1:19, 2:48])


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.uint8),  # grey
        np.zeros((8, 8, 4), np.uint8),  # with alpha
        np.zeros((8, 8, 3), np.float32),  # already scaled to 0-1
    ],
)
def test_only_rgb_bytes_are_accepted(image):
    with pytest.raises(ValueError, match=r"^image must be \(height, width, 3\) uint8\. Got: "):
        resize_to_square(image, 4, resample="bicubic")


@pytest.mark.parametrize("box", [(-1, 0, 4, 4), (0, 0, 9, 4), (0, 0, 4, 8.5), (3, 0, 3, 4)])
def test_box_outside_the_image_is_refused(box):
    message = r"^box must lie inside the image of 8 x 8 px and not be empty\. Got: "

    with pytest.raises(ValueError, match=message):
        resize_box(np.zeros((8, 8, 3), np.uint8), box, (4, 4), resample="bicubic")


def test_unknown_resampler_is_refused_before_any_image_is_read():
    message = r"^resample must be one of \['bicubic', 'bilinear', 'lanczos'\]\. Got: 'nearest'\.$"

    with pytest.raises(ValueError, match=message):
        ResizeParams(resample="nearest", shard_images=1)


def test_empty_shards_are_refused():
    with pytest.raises(ValueError, match=r"^shard_images must be at least 1\. Got: 0\.$"):
        ResizeParams(resample="bicubic", shard_images=0)


ENLARGE = """
import numpy as np
from pipeline.images.resize import resize_box
columns = np.random.default_rng(0).integers(0, 256, (1, 65, 3)).astype(np.uint8)
image = np.repeat(columns, 65, axis=0)
for left, width, size in ((16.25, 32.5, 65), (5.25, 16.0, 32), (7.375, 8.0, 32), (2.125, 24.0, 32)):
    box = (left, 3.0, left + width, 3.0 + width)
    found = resize_box(image, box, (size, size), resample="bicubic")
    first = round(left + 0.5 * width / size - 0.5)
    assert np.abs(found[:, 0].astype(int) - columns[0, first]).max() <= 1, (left, width, size)
"""


def test_first_column_on_the_centre_of_a_pixel_does_not_crash_the_process():
    """The resizer itself reads outside its memory there; hence a process of its own."""
    done = subprocess.run([sys.executable, "-c", ENLARGE], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
