"""One trained member to ONNX: named inputs and outputs, `batch` as the only free dimension.

`tf2onnx.convert.from_keras` with a named signature is the conversion that yields a graph which
runs: `model.export(format="onnx")` and `from_function` leave required inputs behind on some models,
and `onnx.checker` does not notice.
"""

import json
import os
from pathlib import Path

import keras
import onnx
import tensorflow as tf
import tf2onnx
from tf2onnx import optimizer

from pipeline.classes import CLASSES
from pipeline.deploy.clean import clean
from pipeline.deploy.graph import (
    check_contract,
    check_size,
    finish,
    image_input_name,
    name_batch,
    rename_output,
    write_graph,
)

# tf2onnx copies the graph before each of its passes, to go on where one fails: that takes
# long for a large network, and a pass that failed would go unnoticed. Any value turns that off.
os.environ["TF2ONNX_CATCH_ERRORS"] = "0"
# Of its passes those that make shapes constant; what the others do, ONNX Runtime does faster
# (`clean`).
PASSES = ("fold_constants", "reshape_optimizer", "remove_identity")


def export_member(
    model: keras.Model, path: Path, *, member: str, crop_px: int, opset: int
) -> onnx.ModelProto:
    """Convert a member and write it.

    Args:
        model: Trained member, as `network.members.build_member` makes it.
        path: File to write.
        member: Its name; the output is called `probabilities_<member>`.
        crop_px: Side of the crop its input was resized from.
        opset: ONNX operator set; tf2onnx 1.17 reaches 18.

    Returns:
        The graph that was written.

    Raises:
        ExportError: Inputs or outputs are not those of the contract, or one file cannot hold it.
    """
    input_px = model.inputs[0].shape[1]
    names = [image_input_name(crop_px, input_px), "demographics"][: len(model.inputs)]
    signature = [
        tf.TensorSpec(tensor.shape, tensor.dtype, name=name)
        for tensor, name in zip(model.inputs, names, strict=True)
    ]
    passes = {name: optimizer._get_optimizers()[name] for name in PASSES}
    graph, _ = tf2onnx.convert.from_keras(
        model, input_signature=signature, opset=opset, optimizers=passes
    )
    check_size(path, graph.ByteSize())
    rename_output(graph, f"probabilities_{member}")
    name_batch(graph)
    graph = clean(graph)
    name_batch(graph)
    finish(graph, {"members": json.dumps([member])})
    expected = {
        name: list(tensor.shape[1:]) for name, tensor in zip(names, model.inputs, strict=True)
    }
    check_contract(graph, expected, {f"probabilities_{member}": [len(CLASSES)]})
    write_graph(path, graph)
    return graph


def export_savedmodel(model: keras.Model, folder: Path) -> None:
    """Write the TensorFlow SavedModel, one of the baselines of the size benchmark."""
    model.export(str(folder), format="tf_saved_model", verbose=False)
