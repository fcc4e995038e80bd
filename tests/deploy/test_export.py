"""Tests of `pipeline.deploy.export`, on the smallest backbones."""

import keras
import numpy as np
import onnx
import pytest

from pipeline.deploy.parity import open_session
from tests.network.networks import SIZE_PX, build_lively, small_member

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[("b0", 1.0), ("mobilenet_v2", 0.35), ("resnet50", 1.0)])
def exported(request, tmp_path_factory):
    from pipeline.deploy.export import export_member
    from pipeline.network.members import build_member

    keras.utils.set_random_seed(1)
    backbone, width = request.param
    model = build_member(small_member(backbone=backbone, width=width))
    path = tmp_path_factory.mktemp("export") / "b4.onnx"
    export_member(model, path, member="b4", crop_px=64, opset=18)
    return model, path


def test_graph_keeps_the_contract_and_runs(exported):
    _, path = exported

    session = open_session(path)

    inputs = {i.name: (i.shape, i.type) for i in session.get_inputs()}
    assert inputs == {
        f"image_64_{SIZE_PX}": (["batch", SIZE_PX, SIZE_PX, 3], "tensor(uint8)"),
        "demographics": (["batch", 10], "tensor(float)"),
    }
    assert [(o.name, o.shape) for o in session.get_outputs()] == [
        ("probabilities_b4", ["batch", 9])
    ]


def test_graph_turns_the_image_alone_and_has_its_normalisation_folded(exported):
    _, path = exported
    graph = onnx.load(path).graph

    kinds = [node.op_type for node in graph.node]
    assert kinds.count("Transpose") == 1
    assert not {"BatchNormalization", "Reshape", "Identity"} & set(kinds)
    wide = {tensor.name for tensor in graph.initializer if list(tensor.dims)[2:] == [1, 1]}
    constants = {name for node in graph.node if node.op_type != "Conv" for name in node.input}
    assert not wide & constants


@pytest.mark.parametrize("count", [1, 5])
def test_graph_answers_as_keras_does(exported, count):
    model, path = exported
    rng = np.random.default_rng(count)
    pixels = rng.integers(0, 256, (count, SIZE_PX, SIZE_PX, 3)).astype(np.uint8)
    known = rng.random((count, 10)).astype(np.float32)

    feeds = {f"image_64_{SIZE_PX}": pixels, "demographics": known}
    (converted,) = open_session(path).run(None, feeds)

    np.testing.assert_allclose(converted, np.asarray(model([pixels, known])), atol=1e-5)


def test_file_is_float32_weights_and_little_else(exported):
    model, path = exported
    floats = sum(
        int(np.prod(tensor.dims))
        for tensor in onnx.load(path).graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    )

    assert floats <= model.count_params()
    assert not any(
        t.external_data for t in onnx.load(path, load_external_data=False).graph.initializer
    )


@pytest.fixture(scope="module")
def of_eight_views(tmp_path_factory):
    from pipeline.deploy.export import export_member
    from pipeline.network.views import average_views

    plain = build_lively(2)
    model = average_views(plain, 8)
    path = tmp_path_factory.mktemp("views") / "b4.onnx"
    export_member(model, path, member="b4", crop_px=64, opset=18)
    return plain, model, path


@pytest.mark.parametrize("count", [1, 3])
def test_graph_of_eight_views_answers_as_keras_in_any_batch(of_eight_views, count):
    plain, model, path = of_eight_views
    rng = np.random.default_rng(count)
    pixels = rng.integers(0, 256, (count, SIZE_PX, SIZE_PX, 3)).astype(np.uint8)
    known = rng.random((count, 10)).astype(np.float32)
    session = open_session(path)

    (converted,) = session.run(None, {f"image_64_{SIZE_PX}": pixels, "demographics": known})

    np.testing.assert_allclose(converted, np.asarray(model([pixels, known])), atol=1e-4)
    assert np.abs(converted - np.asarray(plain([pixels, known]))).max() > 1e-3
    assert [(o.name, o.shape) for o in session.get_outputs()] == [
        ("probabilities_b4", ["batch", 9])
    ]


def test_graph_of_eight_views_holds_the_network_once(of_eight_views):
    plain, _, path = of_eight_views

    assert path.stat().st_size < 1.2 * 4 * plain.count_params() + 200_000


def test_networks_of_two_folds_become_one_graph_and_one_savedmodel(tmp_path):
    import tensorflow as tf

    from pipeline.deploy.export import export_member, export_savedmodel
    from pipeline.network.scored import average_networks

    parts = [build_lively(seed) for seed in (3, 4)]
    model = average_networks(parts)
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (2, SIZE_PX, SIZE_PX, 3)).astype(np.uint8)
    known = rng.random((2, 10)).astype(np.float32)

    export_member(model, tmp_path / "b4.onnx", member="b4", crop_px=64, opset=18)
    export_savedmodel(model, tmp_path / "savedmodel")

    feeds = {f"image_64_{SIZE_PX}": pixels, "demographics": known}
    (converted,) = open_session(tmp_path / "b4.onnx").run(None, feeds)
    expected = np.mean([np.asarray(part([pixels, known])) for part in parts], axis=0)
    np.testing.assert_allclose(converted, expected, atol=1e-4)
    served = tf.saved_model.load(str(tmp_path / "savedmodel"))
    np.testing.assert_allclose(np.asarray(served.serve([pixels, known])), expected, atol=1e-5)
