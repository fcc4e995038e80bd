"""A member of the ensemble: backbone, head, optional demographics branch.

The network takes uint8 RGB and normalises inside, so that no caller can get it wrong; it ends in a
float32 softmax over the nine classes.
"""

import contextlib
from collections.abc import Iterator

import keras

from pipeline.classes import CLASSES
from pipeline.demographics import DEMOGRAPHICS_WIDTH
from pipeline.network.backbones import BACKBONES, build_backbone, zero_residual_branches
from pipeline.network.member_params import HeadParams, MemberParams
from pipeline.network.pretrained import load_pretrained

FIVE_DROPOUTS = 5


def build_member(params: MemberParams, *, training: bool = False) -> keras.Model:
    """Build a member's network.

    Args:
        params: The member.
        training: Load `params.weights` into the backbone and compute in `params.precision`; leave
            out where trained weights are loaded afterwards, to score in float32.

    Returns:
        Keras model. Inputs: `image`, `(batch, input_px, input_px, 3)` uint8 RGB, then, with
        `params.demographics`, `demographics`, `(batch, DEMOGRAPHICS_WIDTH)` float32. Output:
        probabilities in the order of `CLASSES`, `(batch, 9)` float32, of layer `probabilities`,
        whose input are the logits.

    Raises:
        ValueError: No such backbone, or not with these settings.
        WeightsError: Pretrained weights are absent, altered or of another network.
    """
    with _computing_in(params.precision if training else "float32"):
        backbone = build_backbone(
            params.backbone,
            input_px=params.input_px,
            drop_connect=params.drop_connect,
            width=params.width,
        )
        if training:
            load_pretrained(backbone, params.backbone, params.weights, params.weights_sha256)
        if params.zero_init_residual:
            zero_residual_branches(backbone)
        image = keras.Input((params.input_px, params.input_px, 3), dtype="uint8", name="image")
        features = _head_features(params.head, backbone(normalise(params.backbone, image)))
        inputs = [image]
        if params.demographics:
            known = keras.Input((DEMOGRAPHICS_WIDTH,), name="demographics")
            inputs.append(known)
            features = keras.layers.Concatenate(name="join")(
                [features, _demographics_branch(known)]
            )
        logits = _logits(params.head, features)
        outputs = keras.layers.Softmax(dtype="float32", name="probabilities")(logits)
        model = keras.Model(inputs, outputs, name=f"member_{params.backbone}")
    _set_batch_norm(model, params)
    return model


def logits_model(model: keras.Model) -> keras.Model:
    """Return a member up to its logits, `(batch, 9)` float32, sharing all variables."""
    return keras.Model(model.inputs, model.get_layer("probabilities").input)


def backbone_of(model: keras.Model) -> keras.Model:
    """Return the backbone inside a member."""
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def normalise(backbone: str, image: keras.KerasTensor) -> keras.KerasTensor:
    """Bring RGB pixels, `(batch, px, px, 3)` uint8, to what a backbone takes, float32."""
    row = BACKBONES[backbone]
    means, stds = row.normalisation
    # Fixed vectors; Keras' Normalization layer would add inputs to the converted graph.
    scale = [1 / (255 * std) for std in stds]
    offset = [-mean / std for mean, std in zip(means, stds, strict=True)]
    pixels = keras.ops.cast(image, "float32")
    pixels = keras.layers.Rescaling(scale, offset, dtype="float32", name="normalise")(pixels)
    return keras.ops.take(pixels, [2, 1, 0], axis=-1) if row.is_bgr else pixels


@contextlib.contextmanager
def _computing_in(precision: str) -> Iterator[None]:
    """Build layers that compute in a precision; their weights are float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _head_features(head: HeadParams, feature_map: keras.KerasTensor) -> keras.KerasTensor:
    """Bring the last feature map to one vector per image."""
    layer = keras.layers.Flatten if head.kind == "flatten" else keras.layers.GlobalAveragePooling2D
    features = layer(name="head_features")(feature_map)
    for index, width in enumerate(head.dense):
        name = f"head_dense_{index}"
        features = keras.layers.Dense(width, activation="relu", name=name)(features)
    return features


def _logits(head: HeadParams, features: keras.KerasTensor) -> keras.KerasTensor:
    """Drop out, then weigh; five dropouts share the weights."""
    count = FIVE_DROPOUTS if head.kind == "five_dropouts" else 1
    layer = keras.layers.Dense(len(CLASSES), dtype="float32", name="logits")
    outputs = [
        layer(keras.layers.Dropout(head.dropout, name=f"head_dropout_{index}")(features))
        for index in range(count)
    ]
    return outputs[0] if count == 1 else keras.layers.Average(dtype="float32")(outputs)


def _demographics_branch(known: keras.KerasTensor) -> keras.KerasTensor:
    """Two dense layers of the 2020 winner's widths: https://arxiv.org/abs/2010.05351."""
    hidden = keras.layers.Dense(512, activation="silu", name="demographics_512")(known)
    hidden = keras.layers.Dropout(0.3, name="demographics_dropout")(hidden)
    return keras.layers.Dense(128, activation="silu", name="demographics_128")(hidden)


def set_backbone_trainable(model: keras.Model, params: MemberParams, is_trained: bool) -> None:
    """Let a member's backbone train or not; one that does not normalises with stored statistics."""
    backbone_of(model).trainable = is_trained
    if is_trained:
        _set_batch_norm(model, params)  # the line above has let all layers train


def _set_batch_norm(model: keras.Model, params: MemberParams) -> None:
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = params.batch_norm_momentum
            # A frozen layer also normalises with its stored statistics while training.
            layer.trainable = not params.freeze_batch_norm
