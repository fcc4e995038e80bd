"""A member of the ensemble: backbone, pooled head, optional demographics branch.

The network takes uint8 RGB and normalises inside, so that no caller can get it wrong; it ends in a
float32 softmax over the nine classes.
"""

import keras

from pipeline.classes import CLASSES
from pipeline.demographics import DEMOGRAPHICS_WIDTH
from pipeline.network.backbones import BACKBONES, load_pretrained, zero_residual_branches
from pipeline.network.member_params import MemberParams


def build_member(params: MemberParams, *, pretrained: bool = False) -> keras.Model:
    """Build a member's network.

    Args:
        params: The member.
        pretrained: Load `params.weights` into the backbone; leave out where trained weights of the
            whole member are loaded afterwards.

    Returns:
        Keras model. Inputs: `image`, `(batch, input_px, input_px, 3)` uint8 RGB, then, with
        `params.demographics`, `demographics`, `(batch, DEMOGRAPHICS_WIDTH)` float32. Output:
        probabilities in the order of `CLASSES`, `(batch, 9)` float32; layer `logits` holds them
        before the softmax.

    Raises:
        ValueError: No such backbone.
        WeightsError: Pretrained weights are absent, altered or of another network.
    """
    if params.backbone not in BACKBONES:
        raise ValueError(f"backbone must be one of {sorted(BACKBONES)}. Got: {params.backbone!r}.")
    row = BACKBONES[params.backbone]
    backbone = row.build(params.input_px, params.drop_connect)
    if pretrained:
        load_pretrained(backbone, params.backbone, params.weights, params.weights_sha256)
    if params.zero_init_residual:
        zero_residual_branches(backbone)
    image = keras.Input((params.input_px, params.input_px, 3), dtype="uint8", name="image")
    # Fixed vectors; Keras' Normalization layer would add inputs to the converted graph.
    scale = [1 / (255 * std) for std in row.std]
    offset = [-mean / std for mean, std in zip(row.mean, row.std, strict=True)]
    pixels = keras.ops.cast(image, "float32")
    features = backbone(keras.layers.Rescaling(scale, offset, name="normalise")(pixels))
    features = keras.layers.Dropout(params.dropout, name="head_dropout")(features)
    inputs = [image]
    if params.demographics:
        known = keras.Input((DEMOGRAPHICS_WIDTH,), name="demographics")
        inputs.append(known)
        features = keras.layers.Concatenate(name="join")([features, _demographics_branch(known)])
    logits = keras.layers.Dense(len(CLASSES), dtype="float32", name="logits")(features)
    outputs = keras.layers.Softmax(dtype="float32", name="probabilities")(logits)
    model = keras.Model(inputs, outputs, name=f"member_{params.backbone}")
    _set_batch_norm(model, params)
    return model


def _demographics_branch(known: keras.KerasTensor) -> keras.KerasTensor:
    """Two dense layers of the 2020 winner's widths: https://arxiv.org/abs/2010.05351."""
    hidden = keras.layers.Dense(512, activation="silu", name="demographics_512")(known)
    hidden = keras.layers.Dropout(0.3, name="demographics_dropout")(hidden)
    return keras.layers.Dense(128, activation="silu", name="demographics_128")(hidden)


def _set_batch_norm(model: keras.Model, params: MemberParams) -> None:
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = params.batch_norm_momentum
            # A frozen layer also normalises with its stored statistics while training.
            layer.trainable = not params.freeze_batch_norm
