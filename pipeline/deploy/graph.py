"""What every exported graph keeps: names, shapes, versions and facts; how it is written.

Knows ONNX alone; conversion from Keras is in `export`.
"""

import json
from pathlib import Path

import onnx

from pipeline.classes import CLASSES
from pipeline.images.preprocess import PREPROCESSING_VERSION
from pipeline.storage import atomic_write

# ONNX Runtime 1.26 and older CAD runtimes read it; onnx itself would write its newest.
IR_VERSION = 10
PRODUCER = "dermensemble"
LIMIT_BYTES = int(1.9 * 2**30)  # protobuf ends at 2 GiB, and external data is not allowed


class ExportError(ValueError):
    """A converted graph does not keep its contract."""


def image_input_name(crop_px: int, input_px: int) -> str:
    """Name the image input of a pair of sizes, `image_<crop_px>_<input_px>`."""
    return f"image_{crop_px}_{input_px}"


def rename_output(model: onnx.ModelProto, name: str) -> None:
    """Give the only output of a graph its name, wherever the graph mentions it."""
    old = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = [name if output == old else output for output in node.output]
        node.input[:] = [name if value == old else value for value in node.input]
    model.graph.output[0].name = name


def name_batch(model: onnx.ModelProto) -> None:
    """Call the first dimension of every input and output `batch`; tf2onnx numbers it."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    # Inferred shapes would still carry the old names.
    del model.graph.value_info[:]


def finish(model: onnx.ModelProto, facts: dict[str, str]) -> None:
    """Write what the graph says of itself: producer, versions, classes, preprocessing."""
    model.ir_version = IR_VERSION
    model.producer_name = PRODUCER
    model.producer_version = ""
    del model.metadata_props[:]
    facts = facts | {
        "classes": json.dumps(list(CLASSES)),
        "preprocessing_version": str(PREPROCESSING_VERSION),
        "notice": "Research use only; not a diagnosis.",
    }
    for key in sorted(facts):
        model.metadata_props.add(key=key, value=facts[key])


def check_contract(
    model: onnx.ModelProto, inputs: dict[str, list[int]], outputs: dict[str, list[int]]
) -> None:
    """Refuse a graph whose inputs, outputs or shapes differ from what was promised.

    `onnx.checker` accepts graphs with inputs that nothing feeds; this does not.

    Args:
        model: The graph.
        inputs: Expected shape by name, without the batch.
        outputs: Likewise.

    Raises:
        ExportError: Something differs.
    """
    onnx.checker.check_model(model)
    for kind, wanted, values in (
        ("inputs", inputs, model.graph.input),
        ("outputs", outputs, model.graph.output),
    ):
        found = {value.name: _shape(value) for value in values}
        promised = {name: ["batch", *shape] for name, shape in wanted.items()}
        if found != promised:
            raise ExportError(f"{kind} of the graph must be {promised}. Got: {found}.")


def _shape(value: onnx.ValueInfoProto) -> list[int | str]:
    dimensions = value.type.tensor_type.shape.dim
    return [dim.dim_param or dim.dim_value for dim in dimensions]


def write_graph(path: Path, model: onnx.ModelProto) -> None:
    """Write a graph into one file."""
    check_size(path, model.ByteSize())
    with atomic_write(path) as file:
        file.write(model.SerializeToString(deterministic=True))


def check_size(path: Path, size_bytes: int) -> None:
    """Refuse a graph that one file cannot hold.

    Raises:
        ExportError: It is larger than `LIMIT_BYTES`.
    """
    if size_bytes > LIMIT_BYTES:
        raise ExportError(
            f"{path} must stay below 1.9 GiB, {LIMIT_BYTES} bytes. Got: {size_bytes} bytes. "
            "Deploy fewer members, or one network of each (ensemble.deploy: fold)."
        )
