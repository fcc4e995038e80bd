"""What `make benchmark-training` trains: a member, its settings, and generated images on disk."""

import resource
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import params
from pipeline.network.member_params import MemberParams
from pipeline.network.train_params import TrainParams
from pipeline.shards.array_writer import write_array_shards

SEED = 20200601
LEARNING_RATE = 1e-4

# Backbone, width and input of the members that are measured, by name.
MEMBERS = {
    "small": ("small", 1.0, 64),
    "mobilenet_v2": ("mobilenet_v2", 0.35, 96),
    "b0": ("b0", 1.0, 96),
    "b4": ("b4", 1.0, 380),
    "b5": ("b5", 1.0, 448),
    "b7": ("b7", 1.0, 380),
}


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes:
        member: What is trained, for as many epochs as there are rounds, and one to warm up.
        settings: How, as this project's loop takes it.
        steps: Of an epoch.
    """

    member: MemberParams
    settings: TrainParams
    steps: int

    @property
    def images(self) -> int:
        return self.steps * self.member.batch_size


# In a process of its own: is told `True` before every epoch and `False` in the end, answers with a
# row per epoch (`images_per_s`, `wait_share`), and with its peak memory in MiB in the end.
Worker = Callable[[Connection, Case, Path], None]


def make_case(
    name: str, *, input_px: int, batch: int, steps: int, rounds: int, augments: bool
) -> Case:
    """Make a case of a member in `MEMBERS`; all that is not measured is as plain as can be.

    Args:
        name: Of the member.
        input_px: Side of its input; 0 for the one of `MEMBERS`.
        batch: Images of a step.
        steps: Of an epoch.
        rounds: Epochs that are timed.
        augments: Whether as `params.yaml` has it, or not at all.
    """
    backbone, width, usual_px = MEMBERS[name]
    member = params.read_section("member.b4") | {
        **{"backbone": backbone, "width": width, "input_px": input_px or usual_px},
        **{"batch_size": batch, "epochs": rounds + 1, "warmup_epochs": 0, "frozen_epochs": 0},
        **{"demographics": False, "weights": "none", "zero_init_residual": False},
        **{"accumulation_steps": 1, "peak_learning_rate": LEARNING_RATE, "drop_connect": 0.0},
    }
    train = params.read_section("train")
    train |= {
        "schedule": train["schedule"] | {"kind": "constant"},
        "optimizer": {"kind": "adam", "weight_decay": 0.0, "clip_norm": 0.0, "ema_momentum": 0.0},
        "loss": train["loss"] | {"kind": "cross_entropy", "label_smoothing": 0.0},
        "early_stopping": {"patience": 0, "inner_share": 0.0},
        **{"sampling": "natural", "demographics_dropout": 0.0, "checkpoint_steps": 0},
        "augment": train["augment"] if augments else switch_off(train["augment"]),
    }
    return Case(
        params.build(member, MemberParams, f"benchmark of {name}"),
        params.build(train, TrainParams, "benchmark: train"),
        steps,
    )


def switch_off(section: dict[str, Any]) -> dict[str, Any]:
    """Set every strength of section `train.augment` to 0; of an operation, its probability."""
    off: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, dict):
            off[key] = value | {"probability": 0.0} if "probability" in value else switch_off(value)
        else:
            off[key] = type(value)(0)
    return off


def write_images(case: Case, folder: Path) -> None:
    """Write noise as arrays of the member's input size."""
    side = case.member.input_px
    rng = np.random.default_rng(SEED)
    images = (rng.integers(0, 256, (side, side, 3), np.uint8) for _ in range(case.images))
    named = ((f"case{number:05d}", image) for number, image in enumerate(images))
    write_array_shards(folder, named, shard_images=512)


def make_labels(case: Case) -> np.ndarray:
    """Give each image one of nine classes in turn, `(n,)` int32."""
    return np.arange(case.images, dtype=np.int32) % 9


def peak_mib() -> float:
    """Return the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
