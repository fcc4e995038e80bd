"""The table of backbones: how each is built and normalises its pixels, where weights come from.

A backbone is one row; nothing else knows its name. EfficientNet B0-B7 come from the `efficientnet`
package, the one with the noisy-student weights. It is frozen upstream and asks the backend module
for names that Keras 3 no longer has, so it is called through `efficientnet.model` with a small
backend object of our own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import efficientnet.model
import efficientnet.weights
import keras

from pipeline.network.small_network import build_small_network

# ImageNet's channel means and standard deviations, of pixels in [0, 1].
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Pixels to [-1, 1].
UNIT = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# ImageNet's means of pixels in [0, 255], no scale: what the networks of 2014 and 2015 take.
CAFFE = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255))

APPLICATIONS = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True)
class Backbone:
    """One row of the table.

    Attributes:
        build: `(input_px, drop_connect, width)` to a Keras model from normalised pixels, `(batch,
            input_px, input_px, 3)`, to its last feature map, `(batch, height, width, channels)`.
        normalisation: Means and standard deviations per channel, of RGB pixels in [0, 1].
        published: Weights by name (`imagenet`, `noisy-student`): address and MD5, as published.
        drop_connect: The one value that it is built with; `None` where it can be chosen.
        has_widths: Whether `width` may be other than 1.
        is_bgr: Whether it takes the channels as blue, green, red.
    """

    build: Callable[[int, float, float], keras.Model]
    normalisation: tuple[tuple[float, float, float], tuple[float, float, float]]
    published: dict[str, tuple[str, str]]
    drop_connect: float | None = 0.0
    has_widths: bool = False
    is_bgr: bool = False


def build_backbone(name: str, *, input_px: int, drop_connect: float, width: float) -> keras.Model:
    """Build a backbone of the table without weights.

    Raises:
        ValueError: There is no such backbone, or not with these settings.
    """
    if name not in BACKBONES:
        raise ValueError(f"backbone must be one of {sorted(BACKBONES)}. Got: {name!r}.")
    row = BACKBONES[name]
    if row.drop_connect not in (None, drop_connect):
        raise ValueError(
            f"drop_connect must be {row.drop_connect} for {name}. Got: {drop_connect}."
        )
    if width != 1 and not row.has_widths:
        raise ValueError(f"width must be 1 for {name}. Got: {width}.")
    return row.build(input_px, drop_connect, width)


def _efficientnet(variant: str) -> Backbone:
    def build(input_px: int, drop_connect: float, width: float) -> keras.Model:
        return getattr(efficientnet.model, f"EfficientNet{variant.upper()}")(
            include_top=False,
            weights=None,
            pooling=None,
            input_shape=(input_px, input_px, 3),
            drop_connect_rate=drop_connect,
            backend=_backend(),
            layers=keras.layers,
            models=keras.models,
            utils=keras.utils,
        )

    name = f"efficientnet-{variant}"
    tables = efficientnet.weights
    imagenet = f"{name}_weights_tf_dim_ordering_tf_kernels_autoaugment_notop.h5"
    student = f"{name}_noisy-student_notop.h5"
    return Backbone(
        build=build,
        normalisation=IMAGENET,
        published={
            "imagenet": (
                tables.IMAGENET_WEIGHTS_PATH + imagenet,
                tables.IMAGENET_WEIGHTS_HASHES[name][1],
            ),
            "noisy-student": (tables.NS_WEIGHTS_PATH + student, tables.NS_WEIGHTS_HASHES[name][1]),
        },
        drop_connect=None,
    )


def _backend() -> Any:
    """Stand in for the `keras.backend` of Keras 2 that the `efficientnet` package expects."""
    return SimpleNamespace(
        # "tensorflow" makes the package take `tf.nn.swish`, whose gradient keeps one tensor less;
        # `keras.ops.silu` is that function on every backend.
        backend=lambda: "tensorflow",
        tf=SimpleNamespace(nn=SimpleNamespace(swish=keras.ops.silu)),
        image_data_format=keras.backend.image_data_format,
        shape=keras.ops.shape,
    )


def _application(function: Callable[..., keras.Model], **options: Any) -> Callable:
    """Take a network of `keras.applications` without head, weights and preprocessing."""

    def build(input_px: int, drop_connect: float, width: float) -> keras.Model:
        shape = (input_px, input_px, 3)
        return function(include_top=False, weights=None, input_shape=shape, **options)

    return build


def _mobilenet_v2(input_px: int, drop_connect: float, width: float) -> keras.Model:
    return keras.applications.MobileNetV2(
        input_shape=(input_px, input_px, 3), alpha=width, include_top=False, weights=None
    )


BACKBONES = {f"b{n}": _efficientnet(f"b{n}") for n in range(8)} | {
    # Keras publishes MobileNetV2's weights without checksums, so they come from a file alone.
    "mobilenet_v2": Backbone(_mobilenet_v2, UNIT, {}, has_widths=True),
    "resnet50": Backbone(
        _application(keras.applications.ResNet50),
        CAFFE,
        {
            "imagenet": (
                f"{APPLICATIONS}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
                "4d473c1dd8becc155b73f8504c6f6626",
            )
        },
        is_bgr=True,
    ),
    "resnet50v2": Backbone(
        _application(keras.applications.ResNet50V2),
        UNIT,
        {
            "imagenet": (
                f"{APPLICATIONS}/resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
                "fac2f116257151a9d068a22e544a4917",
            )
        },
    ),
    "efficientnetv2_b0": Backbone(
        _application(keras.applications.EfficientNetV2B0, include_preprocessing=False),
        IMAGENET,
        {
            "imagenet": (
                f"{APPLICATIONS}/efficientnet_v2/efficientnetv2-b0_notop.h5",
                "893217f2bb855e2983157299931e43ff",
            )
        },
        drop_connect=0.2,
    ),
    "vgg16": Backbone(
        _application(keras.applications.VGG16),
        CAFFE,
        {
            "imagenet": (
                f"{APPLICATIONS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
                "6d6bbae143d832006294945121d1f1fc",
            )
        },
        is_bgr=True,
    ),
    "small": Backbone(build_small_network, UNIT, {}, has_widths=True),
}

# How the last batch normalisation of a residual branch is called; the sum after it ends in `add`.
RESIDUAL_ENDS = ("project_bn", "3_bn")


def zero_residual_branches(model: keras.Model) -> int:
    """Set the last scale of every residual branch to 0; return how many there are.

    A branch ends in batch normalisation `<block>project_bn` and is added in `<block>add`.

    Raises:
        ValueError: The network has none.
    """
    layers = {layer.name.lower(): layer for layer in model.layers}
    blocks = [name.removesuffix("add") for name in layers if name.endswith("add")]
    ends = [layers[b + end] for b in blocks for end in RESIDUAL_ENDS if b + end in layers]
    if not ends:
        raise ValueError(
            f"zero_init_residual must be false for {model.name}. "
            "Got: true, and no residual branch that ends in batch normalisation."
        )
    for layer in ends:
        layer.gamma.assign(keras.ops.zeros_like(layer.gamma))
    return len(ends)
