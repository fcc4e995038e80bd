"""The optimizer step and scoring, compiled by TensorFlow."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from pipeline.demographics import DEMOGRAPHICS_WIDTH
from pipeline.network.augmentation.apply import apply_augmentation
from pipeline.network.batch import Batch, Result
from pipeline.network.members import logits_model
from pipeline.network.objective import case_losses
from pipeline.network.train_params import TrainParams


def prepare_tensorflow() -> None:
    """Set what holds for every process that trains or predicts.

    Grappler's rewriting of B7's 52,000-node training graph takes 20 s of CPU at start-up and gains
    nothing measurable there; on a GPU its layout pass does, so it stays.
    """
    devices = tf.config.list_physical_devices("GPU")
    if devices:
        # The same bits in every run; the kernels that are in use on a CPU give them anyway.
        tf.config.experimental.enable_op_determinism()
    else:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)


class TensorFlowStep:
    """One optimizer step as a `tf.function`; variables are updated in place."""

    def __init__(
        self,
        model: keras.Model,
        variables: list[keras.Variable],
        optimizer: keras.Optimizer,
        settings: TrainParams,
    ) -> None:
        self._network = logits_model(model)
        self._taken = len(model.inputs)  # a member without demographics takes pixels alone
        self._variables = variables
        self._optimizer = optimizer
        self._settings = settings
        # XLA is named, never "auto": on a CPU it is 7-10 times slower.
        self._compiled = tf.function(
            self._take, jit_compile=settings.compile_xla, reduce_retracing=True
        )

    def begin(self) -> None:
        """Do nothing: the step works on the variables themselves."""

    def end(self) -> None:
        """Do nothing, as in `begin`."""

    def __call__(self, batch: Batch, learning_rate: float) -> Result:
        arrays = (batch.pixels, batch.demographics, batch.labels, batch.weights, batch.drawn)
        tensors = [tf.constant(array) for array in arrays]
        return Result(*self._compiled(*tensors, tf.constant(learning_rate, tf.float32)))

    def _take(
        self,
        pixels: tf.Tensor,
        known: tf.Tensor,
        labels: tf.Tensor,
        weights: tf.Tensor,
        drawn: tf.Tensor,
        rate: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        self._optimizer.learning_rate.assign(rate)
        images = apply_augmentation(pixels, drawn, self._settings.augment)
        variables = [variable.value for variable in self._variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            logits = self._network([images, known][: self._taken], training=True)
            loss = tf.reduce_mean(weights * case_losses(self._settings.loss, labels, logits))
        gradients = tape.gradient(loss, variables)
        self._optimizer.apply(gradients, self._variables)
        right = tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels)
        accuracy = tf.reduce_mean(tf.cast(right, tf.float32))
        return loss, accuracy, tf.linalg.global_norm(gradients)


def make_predictor(model: keras.Model) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Compile a member's inference: pixels and demographics in, `(batch, 9)` float32 out."""
    taken = len(model.inputs)  # a member without demographics takes pixels alone
    # A free batch dimension: the last, smaller batch needs no second trace.
    signature = [
        tf.TensorSpec(model.inputs[0].shape, tf.uint8),
        tf.TensorSpec((None, DEMOGRAPHICS_WIDTH), tf.float32),
    ]

    @tf.function(jit_compile=False, input_signature=signature)
    def compiled(pixels: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        return model([pixels, known][:taken], training=False)

    def predict(pixels: np.ndarray, known: np.ndarray) -> np.ndarray:
        return compiled(tf.constant(pixels), tf.constant(known)).numpy()

    return predict
