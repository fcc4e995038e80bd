"""Tests of `pipeline.network.members` and `pipeline.network.backbones`."""

import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.network.backbones import (
    BACKBONES,
    WeightsError,
    load_pretrained,
    zero_residual_branches,
)
from pipeline.network.members import build_member
from tests.network.networks import SIZE_PX, small_member

pytestmark = pytest.mark.slow

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
MOBILENET = SHARED / "weights" / "mobilenetv2_0.35_224_arrays.npz"


def pixels(count=2):
    shape = (count, SIZE_PX, SIZE_PX, 3)
    return np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("backbone", "parameters"),
    # Published sizes without top: https://arxiv.org/abs/1905.11946 and Keras' own tables.
    [("b0", 4_049_564), ("b4", 17_673_816), ("mobilenet_v2_035", 410_208)],
)
def test_backbone_has_the_published_number_of_parameters(backbone, parameters):
    assert BACKBONES[backbone].build(SIZE_PX, 0.0).count_params() == parameters


def test_output_is_a_distribution_over_nine_classes():
    model = build_member(small_member(demographics=False))

    scores = np.asarray(model([pixels()]))

    assert scores.shape == (2, 9)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert scores.dtype == np.float32


def test_demographics_change_the_answer_only_where_the_member_uses_them():
    model = build_member(small_member())
    unknown, known = np.zeros((2, 10), np.float32), np.ones((2, 10), np.float32)

    assert [i.name for i in model.inputs] == ["image", "demographics"]
    assert np.abs(model([pixels(), unknown]) - model([pixels(), known])).max() > 1e-4
    assert [i.name for i in build_member(small_member(demographics=False)).inputs] == ["image"]


def test_network_normalises_inside():
    """Black and white come out of the normalising layer as ImageNet's statistics say."""
    model = build_member(small_member(backbone="b0", demographics=False))
    layer = model.get_layer("normalise")

    ends = np.asarray(layer(np.array([[[[0.0] * 3, [255.0] * 3]]], np.float32)))[0, 0]

    np.testing.assert_allclose(ends[0], [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225], rtol=1e-5)
    np.testing.assert_allclose(ends[1], [0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225], rtol=1e-5)


def test_frozen_batch_norm_leaves_nothing_of_it_to_train():
    frozen = build_member(small_member(freeze_batch_norm=True))
    free = build_member(small_member())

    assert not any("bn" in v.path.lower() for v in frozen.trainable_variables)
    assert any("bn" in v.path.lower() for v in free.trainable_variables)


@pytest.mark.parametrize(("backbone", "branches"), [("b0", 9), ("mobilenet_v2_035", 10)])
def test_residual_branches_start_at_zero_where_asked(backbone, branches):
    """With every branch at 0 a block is its own input, whatever its kernels are."""
    model = BACKBONES[backbone].build(SIZE_PX, 0.0)

    assert zero_residual_branches(model) == branches

    zeros = [v for v in model.variables if v.path.endswith("gamma") and not np.asarray(v).any()]
    assert len(zeros) == branches


def test_residual_branches_at_zero_need_batch_norm_that_trains():
    with pytest.raises(ValueError, match="zero_init_residual must be false unless"):
        small_member(zero_init_residual=True, freeze_batch_norm=True)


def test_unknown_backbone_is_refused():
    with pytest.raises(ValueError, match=r"backbone must be one of .*Got: 'b9'"):
        build_member(small_member(backbone="b9"))


def save_as_published(model, path):
    """Write the form of Keras 2 in which the EfficientNet weights are published."""
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


@pytest.mark.parametrize("name", ["b0.weights.h5", "b0_notop.h5"])
def test_weights_file_loads_exactly(tmp_path, name):
    source = BACKBONES["b0"].build(SIZE_PX, 0.0)
    target = BACKBONES["b0"].build(SIZE_PX, 0.0)
    path = tmp_path / name
    if name.endswith(".weights.h5"):
        source.save_weights(path)
    else:
        save_as_published(source, path)

    load_pretrained(target, "b0", str(path), sha256(path))

    for found, wanted in zip(target.variables, source.variables, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_altered_weights_file_is_refused(tmp_path):
    path = tmp_path / "b0.weights.h5"
    path.write_bytes(b"something else")

    with pytest.raises(WeightsError, match=r"b0.weights.h5 must have the sha256 'abc'"):
        load_pretrained(BACKBONES["b0"].build(SIZE_PX, 0.0), "b0", str(path), "abc")


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "b1.weights.h5"
    BACKBONES["b1"].build(SIZE_PX, 0.0).save_weights(path)

    with pytest.raises(WeightsError, match="must hold weights of b0"):
        load_pretrained(BACKBONES["b0"].build(SIZE_PX, 0.0), "b0", str(path), sha256(path))


def test_absent_weights_file_is_refused():
    with pytest.raises(WeightsError, match=r"noisy-student or a file. Got: nowhere.h5"):
        load_pretrained(None, "b0", "nowhere.h5", "")


def test_unpublished_weights_are_refused():
    with pytest.raises(
        WeightsError, match=r"mobilenet_v2_035 has the weights \[\]. Got: 'imagenet'"
    ):
        load_pretrained(None, "mobilenet_v2_035", "imagenet", "")


@pytest.mark.skipif(not MOBILENET.exists(), reason="needs ../shared/data/weights")
def test_real_imagenet_weights_load_from_a_local_file():
    """The loaded network's first kernel is the file's, and its features are not noise."""
    model = BACKBONES["mobilenet_v2_035"].build(64, 0.0)

    load_pretrained(model, "mobilenet_v2_035", str(MOBILENET), sha256(MOBILENET))

    with np.load(MOBILENET) as arrays:
        for variable in model.variables:
            np.testing.assert_array_equal(variable, arrays[variable.path.replace("/", "|")])
