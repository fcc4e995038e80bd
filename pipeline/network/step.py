"""The compiled training step on the TensorFlow backend; all else in `network` is Keras 3 alone."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from pipeline.classes import CLASSES
from pipeline.network.augmentation.apply import apply_augmentation
from pipeline.network.augmentation.params import AugmentParams

TrainStep = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float], tuple[float, float]]


def prepare_tensorflow() -> None:
    """Set what holds for every process that trains or predicts.

    Grappler's rewriting of B7's 52,000-node training graph takes 20 s of CPU at start-up and gains
    nothing measurable there; on a GPU its layout pass does, so it stays.
    """
    if not tf.config.list_physical_devices("GPU"):
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)


def make_train_step(
    model: keras.Model, optimizer: keras.Optimizer, augment: AugmentParams
) -> TrainStep:
    """Compile one optimizer step.

    Args:
        model: A member, as `members.build_member` makes it.
        optimizer: Built for `model.trainable_variables`.
        augment: What each batch's augmentation is drawn with.

    Returns:
        Function of pixels `(batch, px, px, 3)` uint8, demographics `(batch, 10)` float32, labels
        `(batch,)` int32, drawn augmentation `(batch, AUGMENTATION_WIDTH)` float32 and the learning
        rate. It returns the mean cross-entropy and the accuracy on the augmented batch before the
        step.
    """
    logits_model = keras.Model(model.inputs, model.get_layer("logits").output)
    taken = len(model.inputs)  # a member without demographics takes pixels alone

    # XLA is named, never "auto": on a CPU it is 7-10 times slower.
    @tf.function(jit_compile=False, reduce_retracing=True)
    def compiled(
        pixels: tf.Tensor, known: tf.Tensor, labels: tf.Tensor, drawn: tf.Tensor, rate: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        optimizer.learning_rate.assign(rate)
        images = apply_augmentation(pixels, drawn, augment)
        truth = tf.one_hot(labels, len(CLASSES))
        with tf.GradientTape() as tape:
            logits = logits_model([images, known][:taken], training=True)
            losses = keras.losses.categorical_crossentropy(truth, logits, from_logits=True)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients)
        right = tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels)
        return loss, tf.reduce_mean(tf.cast(right, tf.float32))

    def step(
        pixels: np.ndarray, known: np.ndarray, labels: np.ndarray, drawn: np.ndarray, rate: float
    ) -> tuple[float, float]:
        loss, right = compiled(
            tf.constant(pixels),
            tf.constant(known),
            tf.constant(labels),
            tf.constant(drawn),
            tf.constant(rate, tf.float32),
        )
        return float(loss), float(right)

    return step
