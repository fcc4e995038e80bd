"""Test-time views: a network's mean over the eight ways to lay a square image down.

A lesion has no upright, so an image turned or mirrored is as good a picture of it. The mean of the
eight softmax outputs is what the winner of SIIM-ISIC 2020 scores: https://arxiv.org/abs/2010.05351.
The views are part of the network, so that whatever converts, measures or deploys it does the same.
"""

import keras

VIEWS = (1, 8)


def check_views(views: int) -> None:
    """Refuse a number of views that there is no set of.

    Raises:
        ValueError: It is not one of `VIEWS`.
    """
    if views not in VIEWS:
        raise ValueError(f"views must be one of {list(VIEWS)}. Got: {views!r}.")


def average_views(model: keras.Model, views: int) -> keras.Model:
    """Average a network's probabilities over the views of its image.

    Args:
        model: Inputs as of `members.build_member`; output `(batch, 9)` probabilities.
        views: 1, or 8 for the four turns of the image and of its mirror image.

    Returns:
        The model itself for one view; otherwise a network with the same inputs and weights and
        output `(batch, 9)` float32. It sees the views as one batch, eight times as large, so that
        its layers stand once in the graph.

    Raises:
        ValueError: There is no such set of views.
    """
    check_views(views)
    if views == 1:
        return model
    inputs = [keras.Input(t.shape[1:], dtype=t.dtype, name=t.name) for t in model.inputs]
    image, known = inputs[0], inputs[1:]
    seen = keras.ops.concatenate(list_views(image), axis=0)  # (8 * batch, height, width, 3)
    repeated = [keras.ops.concatenate([vector] * views, axis=0) for vector in known]
    scores = model([seen, *repeated])  # (8 * batch, 9)
    by_view = keras.ops.reshape(scores, (views, -1, scores.shape[-1]))  # (8, batch, 9)
    mean = keras.ops.mean(keras.ops.cast(by_view, "float32"), axis=0)
    return keras.Model(inputs, mean, name=f"{model.name}_of_{views}_views")


def list_views(image: keras.KerasTensor) -> list[keras.KerasTensor]:
    """Lay square images down in eight ways, each `(batch, side, side, 3)`; the first as it is."""
    turned = (image, keras.ops.transpose(image, (0, 2, 1, 3)))
    return [
        view
        for upright in turned
        for view in (
            upright,
            upright[:, ::-1],
            upright[:, :, ::-1],
            upright[:, ::-1, ::-1],
        )
    ]
