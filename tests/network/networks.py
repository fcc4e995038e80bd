"""Small cases and members that the tests of `network` share."""

import numpy as np

from pipeline.demographics import DEMOGRAPHICS_WIDTH
from pipeline.network.augmentation.params import AugmentParams
from pipeline.network.inputs import Cases
from pipeline.network.member_params import HeadParams, MemberParams
from pipeline.network.train_params import (
    EarlyStoppingParams,
    LossParams,
    OptimizerParams,
    ScheduleParams,
    TrainParams,
)
from pipeline.params import build
from pipeline.shards.array_writer import write_array_shards
from pipeline.shards.arrays import ArrayShards

SIZE_PX = 32
# Strengths of each operation at which it can be seen.
STRENGTHS = {
    "rotate": {"degrees": 90.0},
    "shift_scale_rotate": {"shift": 0.0625, "scale": 0.1, "degrees": 20.0},
    "distortion": {"optical": 0.5, "grid": 0.5, "elastic": 0.04},
    "hairs": {"count": 6, "width": 0.02, "darkness": 0.8},
    "surround": {"least_radius": 0.4, "edge": 0.03},
    "saturation": {"strength": 0.2},
    "contrast": {"strength": 0.2},
    "brightness": {"strength": 0.1},
    "softening": {"motion_px": 5.0, "gaussian_px": 1.1, "median": True, "noise": 0.05},
    "clahe": {"clip_limit": 4.0},
    "hue_saturation_value": {"hue_degrees": 20.0, "saturation": 0.1, "value": 0.05},
    "cutout": {"side": 0.375},
}


def augmentation(probabilities=None, *, dihedral=False, **strengths):
    """Every operation with its probability, 0 where none is given, and its strengths."""
    probabilities = probabilities or {}
    sections = {
        name: {"probability": probabilities.get(name, 0.0)} | values | strengths.get(name, {})
        for name, values in STRENGTHS.items()
    }
    return build({"dihedral": dihedral} | sections, AugmentParams, "augment")


NO_AUGMENTATION = augmentation()
AUGMENTATION = augmentation(
    {
        **dict.fromkeys(("shift_scale_rotate", "saturation", "contrast", "brightness"), 1.0),
        "cutout": 0.3,
    },
    dihedral=True,
)
FULL_AUGMENTATION = augmentation(dict.fromkeys(STRENGTHS, 0.6), dihedral=True)


def small_member(**changes):
    """The smallest backbone of the table, a few steps long."""
    values = {
        "backbone": "mobilenet_v2",
        "width": 0.35,
        "crop_px": 64,
        "input_px": SIZE_PX,
        "weights": "none",
        "weights_sha256": "",
        "head": HeadParams("pooled", (), 0.2),
        "demographics": True,
        "freeze_batch_norm": False,
        "batch_norm_momentum": 0.9,
        "zero_init_residual": False,
        "drop_connect": 0.0,
        "precision": "float32",
        "batch_size": 8,
        "accumulation_steps": 1,
        "epochs": 3,
        "frozen_epochs": 0,
        "frozen_learning_rate": 1e-3,
        "warmup_epochs": 1,
        "peak_learning_rate": 1e-3,
    }
    return MemberParams(**(values | changes))


def settings(**changes):
    """The plainest way to train."""
    values = {
        "seed": 11,
        "schedule": ScheduleParams("warmup_cosine", 0.5, 1),
        "optimizer": OptimizerParams("adam", 0.0, 0.0, 0.0),
        "loss": LossParams("cross_entropy", 2.0, 0.0, "none"),
        "early_stopping": EarlyStoppingParams(0, 0.0),
        "sampling": "natural",
        "demographics_dropout": 0.1,
        "checkpoint_steps": 0,
        "devices": "one",
        "compile_xla": False,
        "augment": AUGMENTATION,
    }
    return TrainParams(**(values | changes))


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
