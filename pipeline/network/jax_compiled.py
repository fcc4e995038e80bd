"""The optimizer step and scoring, compiled by JAX: pure functions of state and batch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pipeline.network.augmentation.apply import apply_augmentation
from pipeline.network.batch import Batch, Result
from pipeline.network.distribution import Distribution
from pipeline.network.members import logits_model
from pipeline.network.objective import case_losses
from pipeline.network.train_params import TrainParams

State = tuple[list[jax.Array], list[jax.Array], list[jax.Array]]


def count_devices() -> int:
    """Return how many devices of this machine JAX computes on."""
    return jax.local_device_count()


class JaxStep:
    """One optimizer step; between `begin` and `end` the state lives here, not in the variables.

    Over several devices the batch is parted and everything else is on each of them; JAX computes
    what one device would, batch normalisation and dropout included, to rounding.
    """

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
        self._optimizer = optimizer
        self._settings = settings
        trained = {id(variable) for variable in variables}
        # The order of `stateless_call`, in which what trains now comes first.
        self._trained = self._network.trainable_variables
        self._others = self._network.non_trainable_variables
        if {id(v) for v in self._trained} != trained:
            raise ValueError("variables must be those that train in the network.")
        self._rate_at = [v is optimizer.learning_rate for v in optimizer.variables].index(True)
        self._state: State = ([], [], [])
        self._on_each = self._parted = None
        if distribution.devices == "all":
            mesh = Mesh(np.array(jax.local_devices()), ("batch",))
            self._on_each = NamedSharding(mesh, PartitionSpec())
            self._parted = NamedSharding(mesh, PartitionSpec("batch"))
        self._compiled = jax.jit(self._take, donate_argnums=0, out_shardings=self._on_each)

    def begin(self) -> None:
        """Copy the variables' values, as the step gives its inputs away."""
        self._state = tuple(
            [self._placed(jnp.array(variable.value), self._on_each) for variable in part]
            for part in (self._trained, self._others, self._optimizer.variables)
        )

    def end(self) -> None:
        """Assign the state to the variables."""
        for part, values in zip(
            (self._trained, self._others, self._optimizer.variables), self._state, strict=True
        ):
            for variable, value in zip(part, values, strict=True):
                variable.assign(value.addressable_data(0) if self._on_each else value)

    def __call__(self, batch: Batch, learning_rate: float) -> Result:
        arrays = (batch.pixels, batch.demographics, batch.labels, batch.weights, batch.drawn)
        arrays = tuple(self._placed(array, self._parted) for array in arrays)
        self._state, scalars = self._compiled(self._state, arrays, jnp.float32(learning_rate))
        return Result(*scalars)

    def _placed(self, array: Any, sharding: NamedSharding | None) -> Any:
        return jax.device_put(array, sharding) if sharding else array

    def _take(
        self, state: State, arrays: tuple[jax.Array, ...], rate: jax.Array
    ) -> tuple[State, tuple[Any, Any, Any]]:
        trained, others, optimizer = state
        pixels, known, labels, weights, drawn = arrays
        images = apply_augmentation(pixels, drawn, self._settings.augment)

        def loss_of(values: list[jax.Array]) -> tuple[jax.Array, tuple[jax.Array, Any]]:
            logits, changed = self._network.stateless_call(
                values, others, [images, known][: self._taken], training=True
            )
            losses = case_losses(self._settings.loss, labels, logits)
            return jnp.mean(weights * losses), (logits, changed)

        (loss, (logits, others)), gradients = jax.value_and_grad(loss_of, has_aux=True)(trained)
        optimizer = [*optimizer]
        optimizer[self._rate_at] = rate
        trained, optimizer = self._optimizer.stateless_apply(optimizer, gradients, trained)
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(g.astype(jnp.float32))) for g in gradients))
        accuracy = jnp.mean((jnp.argmax(logits, axis=1) == labels).astype(jnp.float32))
        return (trained, others, optimizer), (loss, accuracy, norm)


def make_predictor(model: keras.Model) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Compile a member's inference: pixels and demographics in, `(batch, 9)` float32 out."""
    taken = len(model.inputs)  # a member without demographics takes pixels alone
    largest = 0

    @jax.jit
    def compiled(
        trained: list[jax.Array], others: list[jax.Array], inputs: list[jax.Array]
    ) -> jax.Array:
        return model.stateless_call(trained, others, inputs, training=False)[0]

    def predict(pixels: np.ndarray, known: np.ndarray) -> np.ndarray:
        nonlocal largest
        count, largest = len(pixels), max(largest, len(pixels))
        # Every shape is compiled anew: the last, smaller batch is filled up.
        padded = [
            np.pad(array, [(0, largest - count)] + [(0, 0)] * (array.ndim - 1))
            for array in (pixels, known)
        ]
        values = (
            [variable.value for variable in part]
            for part in (model.trainable_variables, model.non_trainable_variables)
        )
        return np.asarray(compiled(*values, padded[:taken]))[:count]

    return predict
