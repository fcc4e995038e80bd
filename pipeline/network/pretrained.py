"""Weights of backbones: from a local file or as published, checked before they are loaded."""

import warnings
from pathlib import Path

import keras
import numpy as np

from pipeline.network.backbones import BACKBONES
from pipeline.storage import sha256_of


class WeightsError(ValueError):
    """Weights are absent, altered, or of another network."""


def load_pretrained(model: keras.Model, backbone: str, weights: str, sha256: str) -> None:
    """Load weights into a freshly built backbone.

    Args:
        model: What `backbones.build_backbone` returned.
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
