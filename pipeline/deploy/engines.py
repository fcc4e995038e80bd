"""One engine in one process: load a model, answer once, then obey lines on stdin.

`python -m pipeline.deploy.engines JOB.json`, started by `pipeline.deploy.engine_process`. Only the
engines that need TensorFlow import it, so that ONNX Runtime's start and memory are its own.

Each reply is one line of JSON on stdout, in the order of the requests; whatever a library prints
goes to stderr. After the first answer, unasked: `{"ready": true}`. Then:

- `time BATCH REPEATS`: `{"ms": [...]}`, the wall time of each call. One call before them is not
  timed: it brings the weights back into the caches, and the other engines' threads to rest.
- `answer BATCH`: `{"probabilities": [[...], ...]}`, `(batch, 9)`.
- `peak`: `{"peak_mib": x}`, the largest resident memory since the process started.
- `quit`, or the end of stdin: the process ends.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

# Input name to one array per input, first axis the batch, to probabilities `(batch, 9)`.
Answer = Callable[[dict[str, np.ndarray]], np.ndarray]
# The same for one network, whose inputs come in its own order.
Call = Callable[[list[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class NativeModel:
    """One member as Keras scores with it.

    Attributes:
        member: Its name, for example `b4`.
        recipe: Section `member.<name>` of `params.yaml`.
        weights: Files of its trained weights, one for each network that it averages.
        views: How many views of an image it averages.
        inputs: Names of its inputs, in the order of the network's.
    """

    member: str
    recipe: dict[str, Any]
    weights: list[str]
    views: int
    inputs: list[str]


@dataclass(frozen=True)
class EngineJob:
    """What one engine process serves; travels as JSON.

    Attributes:
        engine: Key of `ENGINES`.
        member: Name of a member, or `ensemble`.
        cpus: The CPUs that the process may use; as many threads compute.
        arrays: `.npz` with one array per input name, first axis the image.
        models: The networks, one for a member, all of them for the ensemble.
        reference: The ensemble's stored out-of-fold scores; empty for a member.
        probability_map: The ensemble's map of joined scores; empty for a member.
        onnx: The graph.
        output: The graph's output that is asked for.
    """

    engine: str
    member: str
    cpus: list[int]
    arrays: str
    models: list[NativeModel]
    reference: str
    probability_map: str
    onnx: str
    output: str


def read_job(path: Path) -> EngineJob:
    """Read a job from the JSON that the parent wrote."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields["models"] = [NativeModel(**model) for model in fields["models"]]
    return EngineJob(**fields)


def load_keras_predict(job: EngineJob) -> Answer:
    """Serve the networks through `keras.Model.predict`, as a notebook would."""

    def caller(network: Any) -> Call:
        return lambda inputs: network.predict(inputs, batch_size=len(inputs[0]), verbose=0)

    return _load_native(job, caller)


def load_tf_function(job: EngineJob) -> Answer:
    """Serve the networks as `tf.function`s, TensorFlow's own best without another file."""
    import tensorflow as tf

    def caller(network: Any) -> Call:
        # One trace for every batch, as in the ONNX graph; traces with fixed batches are no faster.
        # XLA is named, never "auto": on a CPU it is 7-10 times slower.
        signature = [tf.TensorSpec(value.shape, value.dtype) for value in network.inputs]
        graph = tf.function(
            lambda inputs: network(inputs, training=False),
            input_signature=[signature],
            jit_compile=False,
        )
        return lambda inputs: graph([tf.constant(array) for array in inputs]).numpy()

    return _load_native(job, caller)


def _load_native(job: EngineJob, caller: Callable[[Any], Call]) -> Answer:
    """Load the job's networks; `caller` makes of each what is called."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(len(job.cpus))
    tf.config.threading.set_inter_op_parallelism_threads(1)
    calls = {model.member: caller(_load_network(model)) for model in job.models}

    def scores(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {m.member: calls[m.member]([arrays[name] for name in m.inputs]) for m in job.models}

    if not job.reference:
        return lambda arrays: scores(arrays)[job.member]
    combine = _load_combination(job)
    return lambda arrays: combine(scores(arrays))


def _load_network(model: NativeModel) -> Any:
    from pipeline import params
    from pipeline.network.member_params import MemberParams
    from pipeline.network.scored import load_scored

    recipe = params.build(model.recipe, MemberParams, f"member {model.member}")
    weights = [Path(path) for path in model.weights]
    return load_scored(recipe, weights, views=model.views)


def _load_combination(job: EngineJob) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """Join the members' scores and map them to probabilities, in NumPy."""
    from pipeline.scoring.ensemble import combine, load_reference
    from pipeline.scoring.probability_map import load_probability_map

    references = load_reference(Path(job.reference))
    probability_map = load_probability_map(Path(job.probability_map))
    return lambda scores: probability_map.apply(combine(references, scores))


def load_onnx_runtime(job: EngineJob) -> Answer:
    """Serve the graph with ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(job.cpus)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(job.onnx, options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    return lambda arrays: session.run([job.output], {name: arrays[name] for name in names})[0]


ENGINES: dict[str, Callable[[EngineJob], Answer]] = {
    "keras.predict": load_keras_predict,
    "tf.function": load_tf_function,
    "onnxruntime": load_onnx_runtime,
}

# What an engine imports; `--rehearse` brings it into the disk cache before anything is timed.
NATIVE = ("tensorflow", "pipeline.network.scored", "pipeline.scoring.ensemble")
LIBRARIES = {"keras.predict": NATIVE, "tf.function": NATIVE, "onnxruntime": ("onnxruntime",)}


def serve(answer: Answer, arrays: dict[str, np.ndarray], requests: IO[str], reply: Any) -> None:
    """Answer once, say so, then obey requests until `quit` or the end of `requests`.

    Args:
        answer: The loaded engine.
        arrays: Inputs by name, at least as many images as the largest batch.
        requests: Lines as in the module's docstring.
        reply: Called with each reply, a dict.
    """
    answer(_first(arrays, 1))
    reply({"ready": True})
    for line in requests:
        word, *numbers = line.split()
        if word == "time":
            batch, repeats = map(int, numbers)
            reply({"ms": time_calls(answer, _first(arrays, batch), repeats)})
        elif word == "answer":
            reply({"probabilities": answer(_first(arrays, int(numbers[0]))).tolist()})
        elif word == "peak":
            reply({"peak_mib": peak_mib()})
        elif word == "quit":
            return
        else:
            raise ValueError(f"request must be time, answer, peak or quit. Got: {line!r}.")


def time_calls(answer: Answer, arrays: dict[str, np.ndarray], repeats: int) -> list[float]:
    """Return the wall time of each of `repeats` calls in milliseconds, after one untimed call."""
    answer(arrays)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        answer(arrays)
        times.append(1000 * (time.perf_counter() - started))
    return times


def _first(arrays: dict[str, np.ndarray], batch: int) -> dict[str, np.ndarray]:
    return {name: array[:batch] for name, array in arrays.items()}


def peak_mib() -> float:
    """Return this process' peak resident memory: Linux' VmHWM, which starts anew at each exec."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status must have the line VmHWM, as on Linux.")


def _keep_stdout_clean() -> IO[str]:
    """Return the real stdout, and send everything that libraries print there to stderr."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return replies


def main(argv: list[str]) -> None:
    # TensorFlow's converter imports JAX where it is installed: a second that serving does not need.
    sys.modules.setdefault("jax", None)
    if argv[0] == "--rehearse":
        for library in {name for engine in argv[1:] for name in LIBRARIES[engine]}:
            importlib.import_module(library)
        return
    replies = _keep_stdout_clean()
    job = read_job(Path(argv[0]))
    os.sched_setaffinity(0, job.cpus)  # before any library counts cores or starts threads
    with np.load(job.arrays, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    answer = ENGINES[job.engine](job)
    serve(answer, arrays, sys.stdin, lambda value: print(json.dumps(value), file=replies))


if __name__ == "__main__":
    main(sys.argv[1:])
    # TensorFlow takes more than a second to tear itself down, and nothing is left to be written.
    os._exit(0)
