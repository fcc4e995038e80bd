"""Grad-CAM: where in an image a member sees a class.

The last feature map is what the backbone hands to the head. The mean over its places of the score's
gradient says how much each channel counts; the channels' weighted sum, where it is above 0, is the
map, as coarse as the feature map: `input_px / 32` cells along a side for most backbones. With a
`flatten` head the mean also levels what the head weighs differently from place to place.

Several networks or views of one member are one network with more channels, each view's laid back:
their sums are added before what is below 0 is cut.

Which score: `log_odds`, log p - log(1 - p) of the class, from the logits. Its gradient is that of
p and that of log p up to a positive factor, so all three give one map; but the factors, p (1 - p)
and 1 - p, round to 0 where the network is sure, and the map of a confident error with them. The
`logit` alone, as published, is another map: logits may all rise by one number without any change of
the answer, and such a rise would show. It is here to compare with other tools.

Source: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from pipeline.classes import CLASSES
from pipeline.images.heat_map import resize_map
from pipeline.network.compiled import Predictor, make_predictor
from pipeline.network.views import check_views, list_views

LEAST_CELLS = 2  # along a side of the feature map; one cell would be a constant map


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps of one class per image.

    Attributes:
        heat: `(batch, input_px, input_px)` float32 in [0, 1], the highest point of each 1: it says
            where, not how much. NaN all over where a map is undefined.
        is_defined: `(batch,)` bool. False where no place speaks for the class: that is not to say
            that there is nothing to see.
    """

    heat: np.ndarray
    is_defined: np.ndarray


@dataclass(frozen=True, eq=False)
class Seen:
    """What the networks of a member made of a batch; serves the maps of every class.

    Attributes:
        feature_maps: `(views * batch, height, width, channels)`, a backend tensor per network.
        known: `(views * batch, DEMOGRAPHICS_WIDTH)`, or none where the member takes none.
        logits: `(views * batch, 9)` float32 per network.
    """

    feature_maps: list[Any]
    known: list[Any]
    logits: list[np.ndarray]


@dataclass(frozen=True, eq=False)
class Halves:
    """A network taken apart at its last feature map; both halves share its weights.

    Attributes:
        trunk: Compiled; pixels and demographics, which it leaves out, to the feature map. Run op by
            op, B7 takes ten times as long, and JAX compiles each op by itself.
        head: Keras model; feature map and demographics, where the member takes them, to logits.
    """

    trunk: Predictor
    head: keras.Model


class GradCam:
    """A member ready to explain its answers."""

    def __init__(self, model: keras.Model, *, views: int) -> None:
        """Take a member apart.

        Args:
            model: From `members.build_member`, or from `scored.load_scored` with the same `views`.
            views: Of `predict.views`.

        Raises:
            ValueError: There is no such set of views, no member, or no place on its feature map.
        """
        check_views(views)
        self._views = views
        self._networks = [_take_apart(network) for network in list_networks(model)]
        self._input_px = model.inputs[0].shape[1]

    def look(self, pixels: np.ndarray, known: np.ndarray) -> Seen:
        """Run the networks once.

        Args:
            pixels: RGB, `(batch, input_px, input_px, 3)` uint8.
            known: `(batch, DEMOGRAPHICS_WIDTH)` float32; unused by a member without demographics.
        """
        views = list_views(pixels)[: self._views]
        laid = np.concatenate([keras.ops.convert_to_numpy(view) for view in views])
        repeated = np.tile(np.asarray(known, np.float32), (self._views, 1))
        feature_maps = [
            keras.ops.convert_to_tensor(network.trunk(laid, repeated)) for network in self._networks
        ]
        taken = len(self._networks[0].head.inputs) - 1  # 0 without demographics
        vectors = [keras.ops.convert_to_tensor(repeated)][:taken]
        logits = [
            keras.ops.convert_to_numpy(network.head([feature_map, *vectors], training=False))
            for network, feature_map in zip(self._networks, feature_maps, strict=True)
        ]
        return Seen(feature_maps, vectors, logits)

    def explain(self, seen: Seen, classes: np.ndarray, *, target: str) -> Maps:
        """Draw the map of one class for each image.

        Args:
            seen: From `look`.
            classes: Indices into `CLASSES`, `(batch,)` int.
            target: Key of `TARGETS`: the score that the map is of.

        Raises:
            ValueError: There is no such target.
        """
        if target not in TARGETS:
            raise ValueError(f"target must be one of {list(TARGETS)}. Got: {target!r}.")
        wanted = np.tile(classes, self._views)
        total = sum(
            _weighted_sum(network.head, feature_map, seen.known, TARGETS[target](logits, wanted))
            for network, feature_map, logits in zip(
                self._networks, seen.feature_maps, seen.logits, strict=True
            )
        )  # (views * batch, height, width)
        summed = np.sum(lay_back(total, self._views), axis=0)
        return _normalise(np.maximum(summed, 0), self._input_px)


def list_networks(model: keras.Model) -> list[keras.Model]:
    """Find the networks, each with a head of its own, that a member's answer is the mean of.

    Raises:
        ValueError: There is none.
    """
    found = _networks_inside(model)
    if not found:
        raise ValueError(f"model must hold a layer 'head_features'. Got: {model.name}.")
    return found


def lay_back(maps: np.ndarray, views: int) -> np.ndarray:
    """Turn the maps of `list_views` back to how the image lies.

    Args:
        maps: `(views * batch, side, side)`.
        views: How many, in the order of `list_views`.

    Returns:
        `(views, batch, side, side)`.
    """
    upright = []
    for number, view in enumerate(maps.reshape(views, -1, *maps.shape[1:])):
        is_turned, flips = divmod(number, 4)
        view = view[:, ::-1] if flips % 2 else view
        view = view[:, :, ::-1] if flips >= 2 else view
        upright.append(view.transpose(0, 2, 1) if is_turned else view)
    return np.stack(upright)


def log_odds_direction(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Gradient of a class's log-odds by the logits, `(batch, 9)` float32; never all 0.

    1 for the class; for the others, less their probabilities among themselves.
    """
    chosen = _one_hot(classes)
    others = np.where(chosen > 0, -np.inf, logits)
    shares = np.exp(others - others.max(axis=1, keepdims=True))
    return chosen - shares / shares.sum(axis=1, keepdims=True)


def logit_direction(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Gradient of a class's logit by the logits, `(batch, 9)` float32."""
    return _one_hot(classes)


TARGETS = {"log_odds": log_odds_direction, "logit": logit_direction}


def _one_hot(classes: np.ndarray) -> np.ndarray:
    return np.eye(len(CLASSES), dtype=np.float32)[classes]


def _networks_inside(model: keras.Model) -> list[keras.Model]:
    if any(layer.name == "head_features" for layer in model.layers):
        return [model]
    inside = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return [network for layer in inside for network in _networks_inside(layer)]


def _take_apart(network: keras.Model) -> Halves:
    feature_map = network.get_layer("head_features").input
    image, *known = network.inputs
    height, width = feature_map.shape[1:3]
    if min(height, width) < LEAST_CELLS:
        raise ValueError(
            f"the last feature map must have at least {LEAST_CELLS} x {LEAST_CELLS} cells. "
            f"Got: {height} x {width} of {network.name} at {image.shape[1]} px."
        )
    logits = network.get_layer("probabilities").input
    trunk, head = keras.Model([image], feature_map), keras.Model([feature_map, *known], logits)
    return Halves(make_predictor(trunk), head)


def _weighted_sum(
    head: keras.Model, feature_map: Any, known: list[Any], direction: np.ndarray
) -> np.ndarray:
    """Weigh channels by their mean gradient and add them up, `(batch, height, width)` float32."""
    gradient = _head_gradient(head, feature_map, known, direction)
    weights = keras.ops.convert_to_numpy(gradient).astype(np.float32).mean(axis=(1, 2))
    channels = keras.ops.convert_to_numpy(feature_map).astype(np.float32)
    return np.einsum("bhwc,bc->bhw", channels, weights)


def _head_gradient(
    head: keras.Model, feature_map: Any, known: list[Any], direction: np.ndarray
) -> Any:
    """Differentiate `direction · logits` by the feature map; Keras has no call for it."""
    if keras.backend.backend() == "jax":
        import jax

        _, pull_back = jax.vjp(lambda part: head([part, *known], training=False), feature_map)
        return pull_back(jax.numpy.asarray(direction))[0]
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(feature_map)
        logits = head([feature_map, *known], training=False)
    return tape.gradient(logits, feature_map, output_gradients=tf.constant(direction))


def _normalise(maps: np.ndarray, side_px: int) -> Maps:
    enlarged = np.stack([resize_map(part, (side_px, side_px)) for part in maps])
    highest = enlarged.max(axis=(1, 2), keepdims=True)
    is_defined = highest > 0
    heat = np.divide(enlarged, highest, out=np.full_like(enlarged, np.nan), where=is_defined)
    return Maps(heat, is_defined[:, 0, 0])
