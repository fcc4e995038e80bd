"""The optimizer step over several devices, compiled by TensorFlow.

Every replica takes its part of the batch, all sum their gradients, and each updates its own copy of
the variables. Loss, accuracy and gradient norm are those of the global batch. Batch normalisation
normalises with the statistics of its replica's part.
"""

from types import MethodType

import keras
import tensorflow as tf
from keras.src.optimizers.base_optimizer import BaseOptimizer

from pipeline.network.augmentation.apply import apply_augmentation
from pipeline.network.batch import Batch, Result
from pipeline.network.distribution import Distribution
from pipeline.network.members import logits_model
from pipeline.network.objective import case_losses
from pipeline.network.train_params import TrainParams

# Keras' TensorFlow optimizer sums gradients after it has clipped them, replica by replica, and
# merges the replicas inside a condition, which fails for accumulated gradients. Its own base class
# does neither: it updates the copy at hand.
UPDATES = (
    "_apply_weight_decay",
    "_backend_update_step",
    "_backend_increment_gradient_accumulators",
)
SEED_STRIDE = 0x9E3779B1  # odd, so that no two replicas' dropouts share a seed


class ReplicatedStep:
    """One optimizer step of all replicas; variables are updated in place."""

    def __init__(
        self,
        model: keras.Model,
        variables: list[keras.Variable],
        optimizer: keras.Optimizer,
        settings: TrainParams,
        distribution: Distribution,
    ) -> None:
        self._network = logits_model(model)
        self._taken = len(model.inputs)  # a member without demographics takes pixels alone
        self._variables = variables
        self._optimizer = _updating_each_replica(optimizer)
        self._settings = settings
        self._distribution = distribution
        self._strategy = distribution.strategy
        layers = model._flatten_layers()
        self._seeds = [layer.seed_generator for layer in layers if _drops(layer)]
        self._statistics = [
            variable
            for layer in model._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
            for variable in (layer.moving_mean, layer.moving_variance)
        ]
        self._compiled = tf.function(self._take, reduce_retracing=True)
        self._averaged = tf.function(self._average_statistics)

    def begin(self) -> None:
        """Give each replica dropouts of its own, from the seeds that all have alike."""
        self._move_seeds(SEED_STRIDE)

    def end(self) -> None:
        """Make all copies alike again: the seeds, and the means of the running statistics."""
        self._move_seeds(-SEED_STRIDE)
        if self._statistics:
            self._averaged()

    def __call__(self, batch: Batch, learning_rate: float) -> Result:
        """Take a step on this process's part of the global batch."""
        arrays = (batch.pixels, batch.demographics, batch.labels, batch.weights, batch.drawn)
        local = self._distribution.local_replicas
        size = len(batch.labels) // local

        def part(replica: tf.distribute.experimental.ValueContext) -> tuple[tf.Tensor, ...]:
            first = replica.replica_id_in_sync_group % local * size
            return tuple(tf.constant(array[first : first + size]) for array in arrays)

        parts = self._strategy.experimental_distribute_values_from_function(part)
        return Result(*self._compiled(parts, tf.constant(learning_rate, tf.float32)))

    def _take(self, parts: tuple[tf.Tensor, ...], rate: tf.Tensor) -> list[tf.Tensor]:
        self._optimizer.learning_rate.assign(rate)
        results = self._strategy.run(self._take_part, args=parts)
        # All replicas have the same sums.
        return [self._strategy.experimental_local_results(result)[0] for result in results]

    def _take_part(
        self,
        pixels: tf.Tensor,
        known: tf.Tensor,
        labels: tf.Tensor,
        weights: tf.Tensor,
        drawn: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        images = apply_augmentation(pixels, drawn, self._settings.augment)
        variables = [variable.value for variable in self._variables]
        cases = tf.size(labels) * self._distribution.replicas
        share = 1 / tf.cast(cases, tf.float32)  # of one case in the mean
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            logits = self._network([images, known][: self._taken], training=True)
            losses = weights * case_losses(self._settings.loss, labels, logits)
            loss = tf.reduce_sum(losses) * share
        gradients = tape.gradient(loss, variables)
        right = tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels)
        accuracy = tf.reduce_sum(tf.cast(right, tf.float32)) * share
        loss, accuracy, *gradients = self._over_replicas("SUM", [loss, accuracy, *gradients])
        self._optimizer.apply(gradients, self._variables)
        return loss, accuracy, tf.linalg.global_norm(gradients)

    def _average_statistics(self) -> None:
        self._strategy.run(self._average_own_statistics)

    def _average_own_statistics(self) -> None:
        # A tensor made here has a device, which the reduction asks for; a variable's has none.
        values = [tf.identity(variable.value) for variable in self._statistics]
        for variable, mean in zip(
            self._statistics, self._over_replicas("MEAN", values), strict=True
        ):
            variable.assign(mean)

    def _over_replicas(self, reduction: str, values: list[tf.Tensor]) -> list[tf.Tensor]:
        """Reduce tensors over all replicas; called by each of them."""
        here = tf.distribute.get_replica_context()
        return here.all_reduce(tf.distribute.ReduceOp[reduction], values)

    def _move_seeds(self, stride: int) -> None:
        first = self._distribution.index * self._distribution.local_replicas
        for seed in self._seeds:
            copies = self._strategy.experimental_local_results(seed.state.value)
            for replica, copy in enumerate(copies, start=first):
                copy.assign_add(tf.constant([stride * replica, 0], copy.dtype))


def _drops(layer: keras.layers.Layer) -> bool:
    return getattr(layer, "seed_generator", None) is not None


def _updating_each_replica(optimizer: keras.Optimizer) -> keras.Optimizer:
    """Let an optimizer update each copy by itself, from gradients that are summed already."""
    for name in UPDATES:
        setattr(optimizer, name, MethodType(getattr(BaseOptimizer, name), optimizer))
    return optimizer
