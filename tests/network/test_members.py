"""Tests of `pipeline.network.members` and `pipeline.network.backbones`."""

import hashlib
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from pipeline.network.backbones import BACKBONES, build_backbone, zero_residual_branches
from pipeline.network.checkpoint import Checkpoint, save_checkpoint
from pipeline.network.member_params import HeadParams
from pipeline.network.members import (
    backbone_of,
    build_member,
    logits_model,
    normalise,
    set_backbone_trainable,
)
from pipeline.network.phases import make_phases
from pipeline.network.pretrained import WeightsError, load_pretrained
from tests.network.networks import SIZE_PX, settings, small_member

pytestmark = pytest.mark.slow

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
MOBILENET = SHARED / "weights" / "mobilenetv2_0.35_224_arrays.npz"


def pixels(count=2):
    shape = (count, SIZE_PX, SIZE_PX, 3)
    return np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build(name, input_px=SIZE_PX, width=None):
    row = BACKBONES[name]
    width = width or (0.35 if row.has_widths else 1.0)
    return build_backbone(
        name, input_px=input_px, drop_connect=row.drop_connect or 0.0, width=width
    )


@pytest.mark.parametrize(
    ("backbone", "parameters"),
    # Published sizes without top: https://arxiv.org/abs/1905.11946 and Keras' own tables.
    [
        ("b0", 4_049_564),
        ("b4", 17_673_816),
        ("mobilenet_v2", 410_208),
        ("resnet50", 23_587_712),
        ("resnet50v2", 23_564_800),
        ("efficientnetv2_b0", 5_919_312),
        ("vgg16", 14_714_688),
    ],
)
def test_backbone_has_the_published_number_of_parameters(backbone, parameters):
    assert build(backbone).count_params() == parameters


def test_width_scales_the_channels():
    narrow, wide = (build("small", width=width).count_params() for width in (0.5, 1.0))

    assert 2.5 < wide / narrow < 4.5


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("b0", {"width": 0.5}, "width must be 1 for b0. Got: 0.5"),
        ("vgg16", {"drop_connect": 0.2}, r"drop_connect must be 0.0 for vgg16. Got: 0.2"),
        ("b9", {}, r"backbone must be one of .*Got: 'b9'"),
        ("small", {"input_px": 16}, "input_px must be at least 32 for small. Got: 16"),
    ],
)
def test_backbone_that_cannot_be_built_so_is_refused(name, changes, message):
    values = {"input_px": SIZE_PX, "drop_connect": 0.0, "width": 1.0}

    with pytest.raises(ValueError, match=message):
        build_backbone(name, **(values | changes))


@pytest.mark.parametrize(
    ("backbone", "mode"),
    [
        *[("b4", "torch"), ("efficientnetv2_b0", "torch"), ("mobilenet_v2", "tf")],
        *[("resnet50v2", "tf"), ("resnet50", "caffe"), ("vgg16", "caffe")],
    ],
)
def test_pixels_are_normalised_as_the_published_weights_expect(backbone, mode):
    """Keras' own preprocessing, of which nothing is used, says the same."""
    image = pixels(1)

    found = np.asarray(normalise(backbone, image))

    wanted = keras.applications.imagenet_utils.preprocess_input(image.astype("float32"), mode=mode)
    np.testing.assert_allclose(found, wanted, atol=1e-3 if mode == "caffe" else 1e-5)


@pytest.mark.parametrize("backbone", sorted(set(BACKBONES) - {f"b{n}" for n in range(1, 8)}))
def test_every_backbone_makes_a_member_that_scores_nine_classes(backbone):
    row = BACKBONES[backbone]
    member = small_member(backbone=backbone, width=1.0, drop_connect=row.drop_connect or 0.0)

    model, inputs = build_member(member), [pixels(), np.zeros((2, 10), np.float32)]
    scores, logits = np.asarray(model(inputs)), np.asarray(logits_model(model)(inputs))

    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert np.abs(logits[0] - logits[1]).max() > 0


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


def count_by_layers(head, channels, side):
    """Parameters after the backbone, worked out by hand."""
    width = channels * side * side if head.kind == "flatten" else channels
    total = 0
    for units in (*head.dense, 9):
        total += width * units + units
        width = units
    return total


@pytest.mark.parametrize(
    "head",
    [
        HeadParams("pooled", (), 0.2),
        HeadParams("flatten", (500, 256), 0.2),
        HeadParams("five_dropouts", (64,), 0.5),
    ],
)
def test_head_has_the_parameters_of_its_layers(head):
    member = small_member(backbone="b0", width=1.0, demographics=False, input_px=64, head=head)

    model = build_member(member)

    after = model.count_params() - backbone_of(model).count_params()
    assert after == count_by_layers(head, channels=1280, side=2)


def test_five_dropouts_are_averaged_in_training_and_nothing_else_in_scoring():
    """At rate 0.5 the mean of five masks lies nearer to the unmasked logits than one mask."""
    distances = {}
    for kind in ("pooled", "five_dropouts"):
        keras.utils.set_random_seed(1)
        network = logits_model(build_member(small_member(head=HeadParams(kind, (), 0.5))))
        inputs = [pixels(), np.ones((2, 10), np.float32)]
        features = keras.Model(network.inputs, network.get_layer("join").output)(inputs)
        tail = keras.Model(network.get_layer("join").output, network.output)
        plain = np.asarray(tail(features, training=False))
        drawn = [np.asarray(tail(features, training=True)) for _ in range(40)]
        distances[kind] = np.mean([np.abs(d - plain).mean() for d in drawn])

    assert 0.3 < distances["five_dropouts"] / distances["pooled"] < 0.65  # 1/√5 = 0.45


def test_published_b4_has_146_8_million_parameters_and_a_checkpoint_of_1_64_gib():
    """Flatten → 500 → 256 → 9 at 380 px: 12 bytes a parameter with Adam's two moments."""
    member = small_member(
        backbone="b4",
        width=1.0,
        input_px=380,
        demographics=False,
        head=HeadParams("flatten", (500, 256), 0.2),
    )

    parameters = build_member(member).count_params()

    assert round(parameters / 1e6, 1) == 146.8
    assert round(12 * parameters / 2**30, 2) == 1.64


def test_checkpoint_on_disk_takes_12_bytes_a_parameter(tmp_path):
    """The same head at 64 px, with batch normalisation frozen as published: its scales and
    statistics, and nothing else, have no moments."""
    member = small_member(
        backbone="b4",
        width=1.0,
        input_px=64,
        demographics=False,
        freeze_batch_norm=True,
        head=HeadParams("flatten", (500, 256), 0.2),
    )
    model = build_member(member, training=True)
    (phase,) = make_phases(model, member, settings())
    arrays = [np.asarray(v) for v in (*model.variables, *phase.optimizer.variables)]

    size = save_checkpoint(tmp_path, Checkpoint(1, 0, arrays, [], [], {}), "recipe")

    trained = sum(np.asarray(v).size for v in model.trainable_variables)
    expected = 4 * (model.count_params() + 2 * trained)
    assert expected < size < 1.005 * expected
    assert trained / model.count_params() > 0.98


def test_bfloat16_computes_in_it_and_keeps_weights_and_scores_in_float32():
    model = build_member(small_member(precision="bfloat16"), training=True)
    scoring = build_member(small_member(precision="bfloat16"))

    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    assert backbone_of(model).output.dtype == "bfloat16"
    assert model.get_layer("logits").compute_dtype == "float32"
    assert model.output.dtype == "float32"
    assert backbone_of(scoring).output.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_frozen_backbone_leaves_the_layers_after_it_to_train_and_thaws():
    member = small_member(freeze_batch_norm=True)
    model = build_member(member)
    whole = {v.path for v in model.trainable_variables}

    set_backbone_trainable(model, member, False)
    after = {v.path for v in model.trainable_variables}
    set_backbone_trainable(model, member, True)

    assert after and not any(path in after for path in backbone_paths(model))
    assert {v.path for v in model.trainable_variables} == whole


def backbone_paths(model):
    return {v.path for v in backbone_of(model).variables}


def test_frozen_batch_norm_leaves_nothing_of_it_to_train():
    frozen = build_member(small_member(freeze_batch_norm=True))
    free = build_member(small_member())

    assert not any("bn" in v.path.lower() for v in frozen.trainable_variables)
    assert any("bn" in v.path.lower() for v in free.trainable_variables)


@pytest.mark.parametrize(
    ("backbone", "branches"),
    [("b0", 9), ("mobilenet_v2", 10), ("resnet50", 16), ("efficientnetv2_b0", 15), ("small", 5)],
)
def test_residual_branches_start_at_zero_where_asked(backbone, branches):
    """With every branch at 0 a block is its own input, whatever its kernels are."""
    model = build(backbone)

    assert zero_residual_branches(model) == branches

    zeros = [v for v in model.variables if v.path.endswith("gamma") and not np.asarray(v).any()]
    assert len(zeros) == branches


def test_residual_branches_at_zero_need_batch_norm_that_trains():
    with pytest.raises(ValueError, match="zero_init_residual must be false unless"):
        small_member(zero_init_residual=True, freeze_batch_norm=True)


def test_network_without_such_branches_cannot_start_them_at_zero():
    with pytest.raises(ValueError, match="zero_init_residual must be false for vgg16"):
        build_member(small_member(backbone="vgg16", width=1.0, zero_init_residual=True))


def save_as_published(model, path):
    """Write the form of Keras 2 in which the EfficientNet weights are published."""
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


@pytest.mark.parametrize("name", ["b0.weights.h5", "b0_notop.h5"])
def test_weights_file_loads_exactly(tmp_path, name):
    source = build("b0")
    target = build("b0")
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
        load_pretrained(build("b0"), "b0", str(path), "abc")


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "b1.weights.h5"
    build("b1").save_weights(path)

    with pytest.raises(WeightsError, match="must hold weights of b0"):
        load_pretrained(build("b0"), "b0", str(path), sha256(path))


def test_absent_weights_file_is_refused():
    with pytest.raises(WeightsError, match=r"noisy-student or a file. Got: nowhere.h5"):
        load_pretrained(None, "b0", "nowhere.h5", "")


def test_unpublished_weights_are_refused():
    with pytest.raises(WeightsError, match=r"mobilenet_v2 has the weights \[\]. Got: 'imagenet'"):
        load_pretrained(None, "mobilenet_v2", "imagenet", "")


@pytest.mark.skipif(not MOBILENET.exists(), reason="needs ../shared/data/weights")
def test_real_imagenet_weights_load_from_a_local_file():
    """The loaded network's first kernel is the file's, and its features are not noise."""
    model = build("mobilenet_v2", 64)

    load_pretrained(model, "mobilenet_v2", str(MOBILENET), sha256(MOBILENET))

    with np.load(MOBILENET) as arrays:
        for variable in model.variables:
            np.testing.assert_array_equal(variable, arrays[variable.path.replace("/", "|")])
