"""A small residual network of our own, for inputs of 32 to 128 px and training from scratch.

Five stages that halve the side, each of one residual block of two depthwise-separable convolutions
each followed by batch normalisation; names follow those of EfficientNet, `<block>project_bn` and
`<block>add`, so that branches can start at zero.
"""

import keras

CHANNELS = (24, 48, 96, 160, 256)


def build_small_network(input_px: int, drop_connect: float, width: float) -> keras.Model:
    """Build the network up to its last feature map.

    Args:
        input_px: Side of the input; at least 32.
        drop_connect: Unused; the network has none.
        width: Share of the channels above.

    Raises:
        ValueError: The input is too small for five halvings.
    """
    if input_px < 32:
        raise ValueError(f"input_px must be at least 32 for small. Got: {input_px}.")
    pixels = keras.Input((input_px, input_px, 3), name="pixels")
    features = pixels
    for index, channels in enumerate(CHANNELS):
        features = _stage(features, max(8, round(channels * width)), f"stage{index}_")
    return keras.Model(pixels, features, name="small")


def _stage(features: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """Halve the side with one convolution, then add a residual branch."""
    layers = keras.layers
    features = layers.Conv2D(
        channels, 3, strides=2, padding="same", use_bias=False, name=f"{name}stem_conv"
    )(features)
    features = layers.BatchNormalization(name=f"{name}stem_bn")(features)
    features = layers.Activation("silu", name=f"{name}stem_activation")(features)
    branch = layers.SeparableConv2D(
        channels, 3, padding="same", use_bias=False, name=f"{name}expand_conv"
    )(features)
    branch = layers.BatchNormalization(name=f"{name}expand_bn")(branch)
    branch = layers.Activation("silu", name=f"{name}expand_activation")(branch)
    branch = layers.SeparableConv2D(
        channels, 3, padding="same", use_bias=False, name=f"{name}project_conv"
    )(branch)
    branch = layers.BatchNormalization(name=f"{name}project_bn")(branch)
    return layers.Add(name=f"{name}add")([features, branch])
