"""Tests of `pipeline.deploy.clean`, on small graphs of the forms that tf2onnx writes."""

from collections import Counter

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline.deploy.clean import clean, pool_in_place

CHANNELS, SIDE = 6, 5
RNG = np.random.default_rng(3)


def constant(name, values, kind=np.float32):
    return numpy_helper.from_array(np.asarray(values, kind), name)


def conv(source, target, number, *, count=CHANNELS):
    """A 1×1 convolution, channels first, and its weights."""
    weights = RNG.normal(size=(count, CHANNELS, 1, 1))
    return helper.make_node("Conv", [source, f"w{number}"], [target]), constant(
        f"w{number}", weights
    )


def graph(nodes, constants, outputs):
    """A graph of an image with channels last, as Keras has it."""
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", SIDE, SIDE, CHANNELS])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    return helper.make_model(
        helper.make_graph(nodes, "g", [image], ends, constants),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )


def turn(source, target, perm):
    return helper.make_node("Transpose", [source], [target], perm=perm)


def mean(source, target, axes="axes_last"):
    return helper.make_node("ReduceMean", [source, axes], [target], keepdims=0)


AXES = [constant("axes_last", [1, 2], np.int64), constant("axes_first", [2, 3], np.int64)]


def squeeze_and_excite(*, shared=False):
    """A convolution, its swish, and the factors that a mean over the image gives to it."""
    first, weights = conv("x_first", "a", 1)
    second, more = conv("s_first", "e", 2)
    nodes = [
        turn("x", "x_first", [0, 3, 1, 2]),
        first,
        helper.make_node("Sigmoid", ["a"], ["g"]),
        helper.make_node("Mul", ["a", "g"], ["b"]),
        turn("b", "b_last", [0, 2, 3, 1]),
        mean("b_last", "m"),
        helper.make_node("Reshape", ["m", "shape"], ["s"]),
        turn("s", "s_first", [0, 3, 1, 2]),
        second,
        helper.make_node("Mul", ["b", "e"], ["c"]),
    ]
    outputs = ["c", "s"] if shared else ["c"]
    return graph(
        nodes, [weights, more, constant("shape", [-1, 1, 1, CHANNELS], np.int64), *AXES], outputs
    )


def head(*, shift_shape=(CHANNELS,), and_also=None):
    """What ends a network: a shift and a swish with channels last, and the mean of it."""
    first, weights = conv("x_first", "a", 1)
    nodes = [
        turn("x", "x_first", [0, 3, 1, 2]),
        first,
        turn("a", "a_last", [0, 2, 3, 1]),
        helper.make_node("Add", ["a_last", "shift"], ["b"]),
        helper.make_node("Sigmoid", ["b"], ["g"]),
        helper.make_node("Mul", ["b", "g"], ["c"]),
        mean("c", "m"),
    ]
    outputs = ["m"]
    if and_also == "output":
        outputs.append("c")
    if and_also == "flatten":
        nodes.append(helper.make_node("Reshape", ["c", "flat"], ["f"]))
        outputs.append("f")
    values = np.resize(RNG.normal(size=CHANNELS), shift_shape)
    flat = constant("flat", [0, SIDE * SIDE * CHANNELS], np.int64)
    return graph(nodes, [weights, constant("shift", values), flat, *AXES], outputs)


def run(model, batch=3):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    image = np.random.default_rng(1).normal(size=(batch, SIDE, SIDE, CHANNELS))
    return session.run(None, {"x": image.astype(np.float32)})


def kinds(model):
    return Counter(node.op_type for node in model.graph.node)


FORMS = {
    "squeeze": squeeze_and_excite,
    "squeeze that is read": lambda: squeeze_and_excite(shared=True),
    "head": head,
    "head with a wide shift": lambda: head(shift_shape=(1, 1, 1, CHANNELS)),
    "head with a shift of the image": lambda: head(shift_shape=(SIDE, SIDE, CHANNELS)),
    "head that is an output": lambda: head(and_also="output"),
    "head that is flattened too": lambda: head(and_also="flatten"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("work", [clean, pool_in_place])
def test_a_clean_graph_answers_the_same(form, work):
    model = FORMS[form]()
    before = run(model)

    after = run(work(model) or model)

    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("form", ["squeeze", "head", "head with a wide shift"])
def test_only_the_image_is_turned(form):
    found = kinds(clean(FORMS[form]()))

    assert found["Transpose"] == 1
    assert found["Reshape"] == 0


def test_the_shift_behind_a_convolution_becomes_its_bias():
    found = kinds(clean(head()))

    assert found["Add"] == 0
    assert found["Conv"] == 1


@pytest.mark.parametrize("form", ["head that is an output", "head that is flattened too"])
def test_what_is_read_with_channels_last_stays_so(form):
    """A flattened image has its channels last: turned weights would meet other pixels."""
    model = FORMS[form]()

    pool_in_place(model)

    assert kinds(model)["Transpose"] == 2


def test_a_mean_that_is_wanted_flat_stays_flat():
    model = FORMS["squeeze that is read"]()

    pool_in_place(model)

    assert kinds(model)["Reshape"] == 1


def test_a_product_and_a_sum_are_folded_into_the_convolution():
    """Batch normalisation as tf2onnx leaves it behind a depthwise convolution."""
    first, weights = conv("x_first", "a", 1)
    wide = (1, CHANNELS, 1, 1)
    nodes = [
        turn("x", "x_first", [0, 3, 1, 2]),
        first,
        helper.make_node("Mul", ["a", "scale"], ["b"]),
        helper.make_node("Add", ["b", "shift"], ["c"]),
    ]
    constants = [constant(name, RNG.normal(size=wide)) for name in ("scale", "shift")]
    model = graph(nodes, [weights, *constants], ["c"])

    cleaned = clean(model)

    assert kinds(cleaned) == {"Transpose": 1, "Conv": 1}
    np.testing.assert_allclose(run(cleaned)[0], run(model)[0], atol=1e-5)


def test_a_clean_graph_is_of_onnx_alone_and_the_same_bytes_again():
    model = squeeze_and_excite()

    first, again = clean(model), clean(model)

    assert [(entry.domain, entry.version) for entry in first.opset_import] == [("", 18)]
    assert first.SerializeToString(deterministic=True) == again.SerializeToString(
        deterministic=True
    )


def test_a_transpose_with_a_wrong_axis_of_the_mean_stays():
    """The planted fault: a mean over other axes is not one over the image."""
    model = head()
    (axes,) = (t for t in model.graph.initializer if t.name == "axes_last")
    axes.CopyFrom(constant("axes_last", [1, 3], np.int64))
    before = run(model)

    pool_in_place(model)

    assert kinds(model)["Transpose"] == 2
    np.testing.assert_array_equal(run(model)[0], before[0])
