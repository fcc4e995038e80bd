"""Take out of a converted graph what its network does not need.

Keras computes with channels last and tf2onnx turns every convolution around, so that a raw graph
is full of transposes; batch normalisation is left as a product and a sum behind its convolution.
ONNX Runtime's own rewriting at its basic level, which keeps to ONNX's operators and to no machine,
folds these and moves the transposes; it leaves those before means over the image, which
squeeze-and-excitation and the head are made of. `pool_in_place` takes them away.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

TO_LAST, TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]  # where the channels go
# Each value out is of the values in at the same place, so the order of the axes does not matter.
ELEMENTWISE = frozenset({"Add", "Sub", "Mul", "Div", "Sigmoid", "Relu", "Tanh", "Clip"})
BASIC = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC


def clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the same network with folded normalisation and as few transposes as can be.

    Args:
        model: A converted graph, channels last at its image inputs.
    """
    simpler = simplify(model)
    pool_in_place(simpler)
    return simplify(simpler)


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let ONNX Runtime rewrite a graph at its basic level, which is the same on every machine."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = BASIC
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    with tempfile.TemporaryDirectory(prefix="clean-") as folder:
        path = Path(folder) / "graph.onnx"
        options.optimized_model_filepath = str(path)
        data = model.SerializeToString(deterministic=True)
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        simpler = onnx.load(path)
    # It lists every operator set that it knows.
    used = {node.domain for node in simpler.graph.node}
    kept = [entry for entry in simpler.opset_import if entry.domain in used]
    del simpler.opset_import[:]
    simpler.opset_import.extend(kept)
    return simpler


def pool_in_place(model: onnx.ModelProto) -> None:
    """Take means over the image with the channels where they are, and drop what that needs not."""
    for node in list(model.graph.node):
        if _permutation(node) == TO_LAST:
            _pool_behind(_Graph(model.graph), node)
    for node in list(model.graph.node):
        if node.op_type == "ReduceMean":
            _keep_dimensions(_Graph(model.graph), node)


class _Graph:
    """A graph with who reads and what is constant looked up."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.proto = graph
        self.readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for value in node.input:
                self.readers[value].append(node)
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.outputs = {value.name for value in graph.output}

    def constant(self, name: str) -> np.ndarray | None:
        tensor = self.constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def add_constant(self, name: str, value: np.ndarray) -> str:
        """Add a constant under a name that is free."""
        while name in self.constants:
            name += "_"
        self.proto.initializer.append(numpy_helper.from_array(value, name))
        self.constants[name] = self.proto.initializer[-1]
        return name

    def replace(self, old: str, new: str) -> None:
        """Let all that read one value read another."""
        for node in self.readers[old]:
            node.input[:] = [new if value == old else value for value in node.input]


def _pool_behind(graph: _Graph, transpose: onnx.NodeProto) -> None:
    """Drop a transpose from which only elementwise work leads to means over the image."""
    region = _region(graph, transpose)
    if region is None:
        return
    for node in region:
        for place, name in enumerate(node.input):
            value = graph.constant(name)
            if node.op_type == "ReduceMean" and place == 1:
                node.input[1] = graph.add_constant(f"{name}_first", np.array([2, 3]))
            elif value is not None and value.ndim:
                wide = value.reshape((1,) * (4 - value.ndim) + value.shape)
                turned = np.ascontiguousarray(wide.transpose(TO_FIRST))
                node.input[place] = graph.add_constant(f"{name}_first", turned)
    graph.replace(transpose.output[0], transpose.input[0])
    graph.proto.node.remove(transpose)


def _region(graph: _Graph, transpose: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    """Return what lies between a transpose and the means, these with it; `None` if more does."""
    inside, waiting, found = {transpose.output[0]}, [transpose], []
    while waiting:
        node = waiting.pop()
        if graph.outputs & set(node.output):
            return None
        for reader in graph.readers[node.output[0]]:
            if any(reader is known for known in found):
                continue
            found.append(reader)
            if reader.op_type in ELEMENTWISE:
                inside.add(reader.output[0])
                waiting.append(reader)
            elif not _is_mean_over(graph, reader, [1, 2], dimensions=False):
                return None
    others = {name for node in found if node.op_type in ELEMENTWISE for name in node.input}
    others = {name for name in others - inside if name}
    return found if all(_is_broadcast(graph.constant(name)) for name in others) else None


def _is_broadcast(value: np.ndarray | None) -> bool:
    return value is not None and value.ndim <= 4


def _is_mean_over(
    graph: _Graph, node: onnx.NodeProto, axes: list[int], *, dimensions: bool
) -> bool:
    if node.op_type != "ReduceMean" or len(node.input) != 2:
        return False
    found = graph.constant(node.input[1])
    return found is not None and found.tolist() == axes and _keeps(node) == dimensions


def _keep_dimensions(graph: _Graph, mean: onnx.NodeProto) -> None:
    """Let a mean keep its two axes where it is given them back right after."""
    if not _is_mean_over(graph, mean, [2, 3], dimensions=False):
        return
    readers = graph.readers[mean.output[0]]
    if not readers or mean.output[0] in graph.outputs:
        return
    dropped: list[onnx.NodeProto] = []
    for reader in readers:
        given_back = _given_back(graph, reader)
        if given_back is None:
            return
        dropped += given_back
    ends = [node for node in dropped if node.op_type == "Transpose" or _ends_first(graph, node)]
    for node in ends:
        graph.replace(node.output[0], mean.output[0])
    for node in dropped:
        graph.proto.node.remove(node)
    del mean.attribute[:]
    mean.attribute.append(helper.make_attribute("keepdims", 1))


def _given_back(graph: _Graph, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    """Return the nodes that make `(batch, channels, 1, 1)` of a mean; `None` if they make more."""
    if node.op_type != "Reshape" or node.output[0] in graph.outputs:
        return None
    if _ends_first(graph, node):
        return [node]
    shape = graph.constant(node.input[1])
    if shape is None or shape.shape != (4,) or shape[:3].tolist() != [-1, 1, 1]:
        return None
    readers = graph.readers[node.output[0]]
    if not readers or any(_permutation(reader) != TO_FIRST for reader in readers):
        return None
    if any(reader.output[0] in graph.outputs for reader in readers):
        return None
    return [node, *readers]


def _ends_first(graph: _Graph, node: onnx.NodeProto) -> bool:
    """Say whether a node reshapes to `(batch, channels, 1, 1)`."""
    shape = graph.constant(node.input[1]) if node.op_type == "Reshape" else None
    return (
        shape is not None
        and shape.shape == (4,)
        and shape[0] == -1
        and shape[2:].tolist() == [1, 1]
        and shape[1] != 1
    )


def _permutation(node: onnx.NodeProto) -> list[int] | None:
    return list(_attribute(node.attribute, "perm")) if node.op_type == "Transpose" else None


def _keeps(node: onnx.NodeProto) -> bool:
    found = _attribute(node.attribute, "keepdims")
    return found is None or bool(found)


def _attribute(attributes: Iterable[onnx.AttributeProto], name: str) -> list[int] | int | None:
    for attribute in attributes:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return None
