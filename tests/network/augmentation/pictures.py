"""Pictures and drawn rows that the tests of augmentation share."""

import numpy as np
from keras import ops

from pipeline.network.augmentation.apply import apply_augmentation
from pipeline.network.augmentation.draw import draw_augmentation


def noise(count=16, size=12):
    """Bytes without any structure."""
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def smooth(count=4, size=40):
    """Bytes that vary slowly, of a few waves."""
    rng = np.random.default_rng(1)
    line = np.linspace(0, 2 * np.pi, size)
    waves = [
        np.sin(a * line[:, None] + p) * np.cos(b * line[None] + q)
        for a, b, p, q in rng.uniform(0.5, 2, (count * 3, 4))
    ]
    pixels = 128 + 100 * np.stack(waves).reshape(count, 3, size, size)
    return np.round(pixels).astype(np.uint8).transpose(0, 2, 3, 1)


def draw_for(images, params, epoch=0, repetition=0):
    return draw_augmentation(
        params,
        seed=3,
        epoch=epoch,
        count=len(images),
        size_px=images.shape[1],
        repetition=repetition,
    )


def augmented(images, params, **choices):
    return np.asarray(apply_augmentation(images, draw_for(images, params, **choices), params))


def planes(images):
    """Lay images out in planes, float32 tensors."""
    return ops.convert_to_tensor(np.asarray(images, np.float32).transpose(0, 3, 1, 2))


def unplaned(pixels):
    """Bring planes back to `(batch, size, size, 3)` float32."""
    return np.asarray(pixels).transpose(0, 2, 3, 1)
