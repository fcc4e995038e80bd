"""Small cases and members that the tests of `network` share."""

import numpy as np

from pipeline.demographics import DEMOGRAPHICS_WIDTH
from pipeline.network.augment import AugmentParams
from pipeline.network.inputs import Cases
from pipeline.network.member_params import MemberParams
from pipeline.shards.array_writer import write_array_shards
from pipeline.shards.arrays import ArrayShards

SIZE_PX = 32
NO_AUGMENTATION = AugmentParams(False, 0, 0, 0, 0, 0, 0, 0, 0)
AUGMENTATION = AugmentParams(True, 0.1, 0.2, 0.2, 20, 0.1, 0.0625, 0.375, 0.3)


def small_member(**changes):
    """The smallest backbone of the table, a few steps long."""
    values = {
        "backbone": "mobilenet_v2_035",
        "crop_px": 64,
        "input_px": SIZE_PX,
        "weights": "none",
        "weights_sha256": "",
        "demographics": True,
        "freeze_batch_norm": False,
        "batch_norm_momentum": 0.9,
        "zero_init_residual": False,
        "drop_connect": 0.0,
        "dropout": 0.2,
        "batch_size": 8,
        "epochs": 3,
        "warmup_epochs": 1,
        "peak_learning_rate": 1e-3,
    }
    return MemberParams(**(values | changes))


def build_lively(seed, **changes):
    """An untrained network whose answers depend on the image.

    Its batch normalisation has the statistics of noise; with those that a new network starts from,
    every activation fades to nothing on the way through.
    """
    import keras

    from pipeline.network.members import build_member

    keras.utils.set_random_seed(seed)
    model = build_member(small_member(batch_norm_momentum=0.0, **changes))
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (16, SIZE_PX, SIZE_PX, 3)).astype(np.uint8)
    known = rng.random((16, DEMOGRAPHICS_WIDTH)).astype(np.float32)
    model([pixels, known][: len(model.inputs)], training=True)
    return model


def bright_ninths(folder, count=45):
    """Cases whose class is the ninth of the image that is bright."""
    rng = np.random.default_rng(0)
    labels = np.arange(count, dtype=np.int32) % 9
    pixels = rng.integers(0, 60, (count, SIZE_PX, SIZE_PX, 3)).astype(np.uint8)
    third = SIZE_PX // 3
    for image, label in zip(pixels, labels, strict=True):
        down, across = divmod(int(label), 3)
        image[down * third : (down + 1) * third, across * third : (across + 1) * third] += 180
    ids = [f"case{n:03d}" for n in range(count)]
    write_array_shards(folder, zip(ids, pixels, strict=True), shard_images=16)
    known = rng.random((count, DEMOGRAPHICS_WIDTH)).astype(np.float32)
    return Cases(ids, labels, known, ArrayShards(folder))
