"""The table of backbones: how each is built and normalises its pixels, where weights come from.

EfficientNet comes from the `efficientnet` package, the one with the noisy-student weights. It is
frozen upstream and asks the backend module for names that Keras 3 no longer has, so it is called
through `efficientnet.model` with a small backend object of our own; nothing else knows about it.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import efficientnet.model
import efficientnet.weights
import keras
import numpy as np

from pipeline.storage import sha256_of

# ImageNet's channel means and standard deviations, of pixels in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class WeightsError(ValueError):
    """Pretrained weights are absent, altered, or of another network."""


@dataclass(frozen=True)
class Backbone:
    """One row of the table.

    Attributes:
        build: `(input_px, drop_connect)` to a Keras model from normalised pixels, `(batch,
            input_px, input_px, 3)` float32, to pooled features `(batch, channels)`.
        mean: Subtracted from pixels in [0, 1], per channel.
        std: Divides them after that.
        published: Weights by name (`imagenet`, `noisy-student`): address and MD5, as published.
    """

    build: Callable[[int, float], keras.Model]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    published: dict[str, tuple[str, str]]


def _efficientnet(variant: str) -> Backbone:
    def build(input_px: int, drop_connect: float) -> keras.Model:
        return getattr(efficientnet.model, f"EfficientNet{variant.upper()}")(
            include_top=False,
            weights=None,
            pooling="avg",
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
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        published={
            "imagenet": (
                tables.IMAGENET_WEIGHTS_PATH + imagenet,
                tables.IMAGENET_WEIGHTS_HASHES[name][1],
            ),
            "noisy-student": (tables.NS_WEIGHTS_PATH + student, tables.NS_WEIGHTS_HASHES[name][1]),
        },
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


def _mobilenet_v2(input_px: int, drop_connect: float) -> keras.Model:
    if drop_connect:
        raise ValueError(f"drop_connect must be 0 for MobileNetV2. Got: {drop_connect}.")
    return keras.applications.MobileNetV2(
        input_shape=(input_px, input_px, 3),
        alpha=0.35,
        include_top=False,
        weights=None,
        pooling="avg",
    )


BACKBONES = {f"b{n}": _efficientnet(f"b{n}") for n in range(8)} | {
    # Pixels to [-1, 1], as Keras' own weights expect.
    "mobilenet_v2_035": Backbone(_mobilenet_v2, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), {}),
}


def zero_residual_branches(model: keras.Model) -> int:
    """Set the last scale of every residual branch to 0; return how many there are.

    A branch ends in batch normalisation `<block>project_bn` and is added in `<block>add`.
    """
    names = {layer.name.lower(): layer for layer in model.layers}
    ends = [
        names[name.removesuffix("add") + "project_bn"]
        for name in names
        if name.endswith("add") and name.removesuffix("add") + "project_bn" in names
    ]
    for layer in ends:
        layer.gamma.assign(keras.ops.zeros_like(layer.gamma))
    return len(ends)


def load_pretrained(model: keras.Model, backbone: str, weights: str, sha256: str) -> None:
    """Load weights into a freshly built backbone.

    Args:
        model: What `BACKBONES[backbone].build` returned.
        backbone: Key of `BACKBONES`.
        weights: `none`, `imagenet`, `noisy-student`, or the path of a file: Keras' `.weights.h5`,
            a legacy `.h5` as published, or an `.npz` of arrays named by variable path.
        sha256: Expected SHA-256 of the file; required where `weights` is a path.

    Raises:
        WeightsError: The file is absent, cannot be fetched, has another checksum, or does not fit.
    """
    if weights == "none":
        return
    path = (
        _fetch(backbone, weights)
        if weights in ("imagenet", "noisy-student")
        else _checked(Path(weights), sha256)
    )
    try:
        with warnings.catch_warnings():
            # Keras only warns where a file lacks layers, and leaves those at random.
            warnings.simplefilter("error", UserWarning)
            _load_npz(model, path) if path.suffix == ".npz" else model.load_weights(path)
    except (ValueError, KeyError, OSError, UserWarning) as error:
        raise WeightsError(f"{path} must hold weights of {backbone}. Got: {error}") from error


def _fetch(backbone: str, name: str) -> Path:
    """Return the published file from Keras' cache, downloading it the first time."""
    published = BACKBONES[backbone].published
    if name not in published:
        raise WeightsError(f"{backbone} has the weights {sorted(published)}. Got: {name!r}.")
    address, md5 = published[name]
    file_name = address.rsplit("/", 1)[1]
    try:
        # A cached file with the right checksum is used without any connection.
        return Path(keras.utils.get_file(file_name, address, cache_subdir="models", file_hash=md5))
    except Exception as error:  # get_file raises a bare Exception
        raise WeightsError(
            f"{name} weights of {backbone} must be in Keras' cache or be fetched from {address}. "
            f"Got: {error}. Offline: put {file_name} (MD5 {md5}) into ~/.keras/models."
        ) from error


def _checked(path: Path, sha256: str) -> Path:
    if not path.is_file():
        raise WeightsError(f"weights must be none, imagenet, noisy-student or a file. Got: {path}.")
    found = sha256_of(path)
    if found != sha256:
        raise WeightsError(f"{path} must have the sha256 {sha256!r} of params.yaml. Got: {found}.")
    return path


def _load_npz(model: keras.Model, path: Path) -> None:
    """Assign arrays by variable path, `/` written `|` in the archive; all must be there."""
    with np.load(path, allow_pickle=False) as arrays:
        missing = [v.path for v in model.variables if v.path.replace("/", "|") not in arrays]
        if missing:
            raise KeyError(f"{len(missing)} variables missing, first {missing[:5]}")
        for variable in model.variables:
            variable.assign(arrays[variable.path.replace("/", "|")])
