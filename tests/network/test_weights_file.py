"""Tests of `pipeline.network.weights_file`; a full disk is tested with stage `train`."""

import keras
import numpy as np
import pytest

from pipeline.network.weights_file import save_weights

pytestmark = pytest.mark.slow


def make_network(seed):
    keras.backend.clear_session()  # names of layers are counted, and are in the file
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)])


def test_saved_weights_are_those_that_keras_loads(tmp_path):
    save_weights(make_network(1), tmp_path / "a.weights.h5")
    other = make_network(2)

    other.load_weights(tmp_path / "a.weights.h5")

    for found, saved in zip(other.get_weights(), make_network(1).get_weights(), strict=True):
        np.testing.assert_array_equal(found, saved)


def test_same_weights_are_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        save_weights(make_network(1), tmp_path / f"{name}.weights.h5")

    contents = [(tmp_path / f"{name}.weights.h5").read_bytes() for name in ("a", "b")]
    assert contents[0] == contents[1]
