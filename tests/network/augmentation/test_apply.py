"""Tests of `pipeline.network.augmentation.apply`."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from pipeline.network.augmentation.apply import apply_augmentation
from tests.network.augmentation.pictures import augmented, draw_for, noise, smooth
from tests.network.networks import (
    FULL_AUGMENTATION,
    NO_AUGMENTATION,
    STRENGTHS,
    augmentation,
)

pytestmark = pytest.mark.slow  # imports TensorFlow


@functools.cache
def compile_once(params):
    return tf.function(lambda i, d: apply_augmentation(i, d, params), jit_compile=False)


def compiled(images, drawn, params):
    return compile_once(params)(tf.constant(images), tf.constant(drawn)).numpy()


def test_switched_off_leaves_pixels_untouched():
    images = noise()

    np.testing.assert_array_equal(augmented(images, NO_AUGMENTATION), images)


@pytest.mark.parametrize("name", STRENGTHS)
def test_image_that_an_operation_is_not_drawn_for_is_untouched(name):
    """What is compiled in, but not drawn, must not change a bit."""
    images, params = noise(size=24), augmentation({name: 1.0})
    drawn = draw_for(images, NO_AUGMENTATION)

    np.testing.assert_array_equal(apply_augmentation(images, drawn, params), images)


@pytest.mark.parametrize("name", STRENGTHS)
def test_share_of_images_that_change_is_the_probability(name):
    probability = 0.4
    images = np.tile(smooth(count=1, size=24), (200, 1, 1, 1))

    results = augmented(images, augmentation({name: probability}))

    changed = (results != images).any(axis=(1, 2, 3)).mean()
    assert abs(changed - probability) < 0.1  # three standard deviations of 200 draws


def test_dihedral_gives_exactly_the_eight_views():
    """Turning and flipping moves pixels and never blends them."""
    images = noise(count=64)
    results = augmented(images, augmentation(dihedral=True))

    seen = set()
    for image, result in zip(images, results, strict=True):
        views = [
            np.rot90(flipped, turns) for flipped in (image, image[:, ::-1]) for turns in range(4)
        ]
        matches = [i for i, view in enumerate(views) if np.array_equal(view, result)]
        assert len(matches) == 1
        seen.add(matches[0])
    assert seen == set(range(8))


@pytest.mark.parametrize(("count", "size"), [(16, 33), (5, 64), (3, 150)])
def test_result_is_the_same_to_the_bit_whatever_the_batch(count, size):
    """Sizes that vector code does and does not divide; compiled, as in training."""
    images = noise(count, size)
    drawn = draw_for(images, FULL_AUGMENTATION)
    whole = compiled(images, drawn, FULL_AUGMENTATION)

    alone = [compiled(images[[i]], drawn[[i]], FULL_AUGMENTATION)[0] for i in range(min(count, 6))]
    backwards = compiled(images[::-1], drawn[::-1], FULL_AUGMENTATION)[::-1]

    np.testing.assert_array_equal(whole[: len(alone)], alone)
    np.testing.assert_array_equal(whole, backwards)


def test_batch_of_unknown_size_can_be_compiled():
    images = noise(count=5, size=32)
    drawn = draw_for(images, FULL_AUGMENTATION)
    signature = [
        tf.TensorSpec((None, 32, 32, 3), tf.uint8),
        tf.TensorSpec((None, drawn.shape[1]), tf.float32),
    ]

    flexible = tf.function(
        lambda i, d: apply_augmentation(i, d, FULL_AUGMENTATION), input_signature=signature
    )

    expected = apply_augmentation(images, drawn, FULL_AUGMENTATION)
    np.testing.assert_array_equal(flexible(images, drawn), expected)


@pytest.mark.parametrize("choice", [{"epoch": 1}, {"repetition": 1}])
def test_another_epoch_or_repetition_looks_different(choice):
    images = smooth(count=8)

    first = augmented(images, FULL_AUGMENTATION)
    other = augmented(images, FULL_AUGMENTATION, **choice)

    assert (first != other).any(axis=(1, 2, 3)).all()


def test_operation_that_is_off_is_not_in_the_graph():
    def operations(params):
        images = noise(count=2, size=32)
        graph = tf.function(lambda i, d: apply_augmentation(i, d, params))
        concrete = graph.get_concrete_function(images, draw_for(images, params))
        return {node.type for node in concrete.graph.get_operations()}

    without = operations(augmentation(dict.fromkeys(STRENGTHS, 1.0) | {"softening": 0, "clahe": 0}))

    assert not without & {"DepthwiseConv2dNative", "UnsortedSegmentSum", "RightShift"}
    assert operations(augmentation({"clahe": 1})) >= {"UnsortedSegmentSum"}
    assert operations(augmentation({"softening": 1})) >= {"DepthwiseConv2dNative", "RightShift"}
    assert "GatherV2" not in operations(augmentation({"brightness": 1}))
