"""Tests of `pipeline.images.corruptions.masks`."""

import numpy as np
import pytest
from PIL import Image

from pipeline.images.corruptions.masks import (
    Canvas,
    enlarge,
    fade,
    grid_places,
    lay,
    ribbon,
)


@pytest.mark.parametrize("size", [(40, 60), (450, 600), (2000, 2400)], ids=str)
def test_disc_takes_the_same_share_of_any_image(size):
    canvas = Canvas(size)
    canvas.disc(np.array([0.1, -0.2]), 0.2)

    mask = np.asarray(canvas.finish()) / 255

    assert mask.shape == size
    assert mask.sum() == pytest.approx(np.pi * (0.2 * size[0]) ** 2, rel=0.03)
    y, x = np.average(np.indices(size) + 0.5, axis=(1, 2), weights=np.stack([mask, mask]))
    np.testing.assert_allclose((y, x), (0.6 * size[0], size[1] / 2 - 0.2 * size[0]), atol=0.7)


def test_edges_of_small_images_are_smooth():
    canvas = Canvas((64, 64))
    canvas.polygon(np.array([(-0.4, -0.4), (-0.4, 0.4), (0.4, 0.0)]))

    levels = np.unique(np.asarray(canvas.finish()))

    assert len(levels) > 5


def test_ribbon_is_as_wide_as_its_widths():
    path = np.stack([np.linspace(-0.4, 0.4, 9), np.zeros(9)], axis=1)
    canvas = Canvas((500, 500))
    canvas.polygon(ribbon(path, np.linspace(0.2, 0.0, 9)))

    mask = np.asarray(canvas.finish()) / 255

    assert mask[60].sum() == pytest.approx(0.2 * 500 * 0.975, rel=0.05)  # near its thick end
    assert mask[250].sum() == pytest.approx(0.1 * 500, rel=0.05)
    assert mask[440].sum() < 5


def test_places_are_shares_of_the_shorter_side():
    y, x = grid_places((100, 200), 4)

    np.testing.assert_allclose(y[:, 0], [-0.375, -0.125, 0.125, 0.375])
    np.testing.assert_allclose(x[0, [0, -1]], [-0.875, 0.875])


def test_shares_beyond_one_do_not_wrap():
    assert np.asarray(enlarge(np.array([[1.7, 1.7], [-0.4, -0.4]]), (2, 2))).tolist() == [
        [255, 255],
        [0, 0],
    ]


def test_fade_has_soft_ends():
    np.testing.assert_allclose(fade(np.array([-1, 0, 0.25, 0.5, 1, 2])), [0, 0, 0.15625, 0.5, 1, 1])


def test_nothing_is_laid_where_it_is_not_lit():
    image, full = Image.new("RGB", (4, 1), (100, 100, 100)), Image.new("L", (4, 1), 255)
    lit = Image.fromarray(np.uint8([[255, 0, 128, 255]]))
    mask = Image.fromarray(np.uint8([[255, 255, 255, 0]]))

    everywhere = np.asarray(lay(image.copy(), (200, 0, 100), full, None))
    laid = np.asarray(lay(image.copy(), (200, 0, 100), mask, lit))

    assert (everywhere == (200, 0, 100)).all()
    assert laid[0, :, 0].tolist() == [200, 100, 150, 100]
