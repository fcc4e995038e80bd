"""Refuse an environment in which ONNX Runtime or TensorFlow would fall back to the CPU in silence.

Usage: python -m tools.check_gpu   (part of `make setup GPU=1`)

A provider that is listed as available may still fail to load its CUDA libraries; only a session
tells. Needs a GPU.
"""

import onnxruntime
import tensorflow as tf
from onnx import TensorProto, helper

from pipeline.command import run_stage

PROVIDER = "CUDAExecutionProvider"


def main() -> None:
    onnxruntime.preload_dlls()  # from the CUDA wheels that tensorflow[and-cuda] brought
    session = onnxruntime.InferenceSession(tiny_graph(), providers=[PROVIDER])
    if session.get_providers()[0] != PROVIDER:
        raise ValueError(f"ONNX Runtime must run on {PROVIDER}. Got: {session.get_providers()}.")
    if not tf.config.list_physical_devices("GPU"):
        raise ValueError("TensorFlow must see a GPU. Got: none.")
    print(
        f"check_gpu: onnxruntime {onnxruntime.__version__} and tensorflow {tf.__version__} see it"
    )


def tiny_graph() -> bytes:
    """Build the smallest graph that a provider can run."""
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "tiny", [value], [result])
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
