"""What is compiled by the backend that Keras runs on: the optimizer step, and scoring.

Everything else in `network` is Keras 3 alone; what a backend must offer is `Step` and a predictor.
"""

from collections.abc import Callable
from typing import Protocol

import keras
import numpy as np

from pipeline.network.batch import Batch, Result
from pipeline.network.distribution import Distribution
from pipeline.network.train_params import TrainParams

# Pixels and demographics of a batch in, `(batch, 9)` float32 out.
Predictor = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Step(Protocol):
    """A compiled optimizer step."""

    def begin(self) -> None:
        """Take over the variables as they are now."""

    def __call__(self, batch: Batch, learning_rate: float) -> Result:
        """Take one step, or one part of it where gradients are accumulated."""

    def end(self) -> None:
        """Put what was trained back into the variables."""


def prepare_backend() -> None:
    """Set what holds for every process that trains or predicts, before anything is built."""
    if keras.backend.backend() == "tensorflow":
        from pipeline.network.tensorflow_compiled import prepare_tensorflow

        prepare_tensorflow()


def make_step(
    model: keras.Model,
    variables: list[keras.Variable],
    optimizer: keras.Optimizer,
    settings: TrainParams,
    distribution: Distribution,
) -> Step:
    """Compile a step.

    Args:
        model: A member, as `members.build_member` makes it.
        variables: Of these, those that train.
        optimizer: Built for `variables`.
        settings: Loss, augmentation and how to compile.
        distribution: The devices; model and optimizer were built in its scope.
    """
    if keras.backend.backend() == "jax":
        from pipeline.network.jax_compiled import JaxStep

        return JaxStep(model, variables, optimizer, settings, distribution)
    if distribution.strategy:
        from pipeline.network.tensorflow_replicas import ReplicatedStep

        return ReplicatedStep(model, variables, optimizer, settings, distribution)
    from pipeline.network.tensorflow_compiled import TensorFlowStep

    return TensorFlowStep(model, variables, optimizer, settings)


def make_predictor(model: keras.Model) -> Predictor:
    """Compile a member's inference: pixels and demographics in, `(batch, 9)` float32 out.

    It scores with the variables as they are at each call.
    """
    if keras.backend.backend() == "jax":
        from pipeline.network import jax_compiled

        return jax_compiled.make_predictor(model)
    from pipeline.network import tensorflow_compiled

    return tensorflow_compiled.make_predictor(model)


def is_out_of_memory(error: Exception) -> bool:
    """Say whether a backend's error means that a batch does not fit."""
    # TensorFlow's ResourceExhaustedError, and the status that JAX's XlaRuntimeError opens with.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "ResourceExhaustedError"
        or "RESOURCE_EXHAUSTED" in str(error)
    )
