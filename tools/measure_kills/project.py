"""A folder in which `stages.train` can run: params, a table and arrays of generated images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from pipeline import manifest, params
from pipeline.classes import CLASSES
from pipeline.shards.array_writer import write_array_shards
from pipeline.storage import atomic_write

SEED = 20200601
NAME = "killed"  # of the member
TABLE, ARRAYS, TARGET = "manifest.csv", "arrays", "trained"
COMMAND = ("stages.train", "--member", NAME, "--fold", "0", TABLE, ARRAYS, TARGET)
RESUME = Path(".resume/train") / f"{NAME}-0"

# All that has a state of its own: two optimizers, one after another, moving averages, gradients
# half accumulated, five generators of dropout, and the best weights so far.
STATEFUL = {
    "optimizer": {"kind": "adamw", "weight_decay": 0.01, "clip_norm": 5.0, "ema_momentum": 0.9},
    "early_stopping": {"patience": 3, "inner_share": 0.2},
    "sampling": "balanced",
    "checkpoint_steps": 3,
}
COMMON = {
    "weights": "none",
    "head": {"kind": "five_dropouts", "dense": [], "dropout": 0.4},
    "demographics": True,
    "accumulation_steps": 2,
    "frozen_epochs": 1,
    "warmup_epochs": 1,
}


@dataclass(frozen=True)
class Example:
    """A member to kill.

    Attributes:
        base: Member of `params.yaml` that it starts from.
        changes: What differs, besides `COMMON`.
        images: Of which a fifth is the fold left out, and a fifth of the rest is monitored.
    """

    base: str
    changes: dict[str, Any]
    images: int


EXAMPLES = {
    "small": Example(
        "b4",
        {
            **{"backbone": "small", "width": 0.5, "input_px": 32, "batch_size": 16, "epochs": 5},
            "zero_init_residual": False,
        },
        images=240,
    ),
    "real": Example(
        "b4",
        {"backbone": "b0", "input_px": 64, "batch_size": 8, "epochs": 4, "drop_connect": 0.2},
        images=100,
    ),
}


def write_project(folder: Path, example: Example, params_file: Path = params.PARAMS_FILE) -> None:
    """Write what `COMMAND` reads.

    Args:
        folder: Where; made if absent.
        example: The member.
        params_file: From which the sections are taken that it changes.
    """
    member = params.read_section(f"member.{example.base}", params_file)
    train = params.read_section("train", params_file)
    values = {
        "train": {**train, **STATEFUL},
        "member": {NAME: {**member, **COMMON, **example.changes}},
    }
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    with atomic_write(folder / "params.yaml", "w") as file:
        yaml.dump(values, file)
    labels = np.arange(example.images) % len(CLASSES)
    manifest.write(make_table(labels), folder / TABLE)
    pixels = make_images(labels, example.changes["input_px"])
    named = ((_image_id(number), image) for number, image in enumerate(pixels))
    write_array_shards(folder / ARRAYS, named, shard_images=64)


def make_table(labels: np.ndarray) -> pd.DataFrame:
    """Make a split's manifest of cases in five folds, every third without a known age or sex."""
    count = len(labels)
    ids = [_image_id(number) for number in range(count)]
    columns = {
        "image_id": ids,
        "diagnosis": [CLASSES[label] for label in labels],
        "age_years": [
            np.nan if number % 3 == 0 else 5.0 * (number % 18) for number in range(count)
        ],
        "sex": [("", "female", "male")[number % 3] for number in range(count)],
        "group_id": ids,
        # Every class in every fold.
        "fold": [str(number // len(CLASSES) % 5) for number in range(count)],
        "width_px": 64,
        "height_px": 64,
    }
    names = [*manifest.COLUMNS, *manifest.SPLIT_COLUMNS]
    return pd.DataFrame({name: columns.get(name, "") for name in names}, index=range(count))


def make_images(labels: np.ndarray, side_px: int) -> np.ndarray:
    """Draw noise with one bright ninth, which tells the class, `(n, side, side, 3)` uint8."""
    rng = np.random.default_rng(SEED)
    pixels = rng.integers(0, 60, (len(labels), side_px, side_px, 3), np.uint8)
    third = side_px // 3
    for image, label in zip(pixels, labels, strict=True):
        down, across = divmod(int(label), 3)
        image[down * third : (down + 1) * third, across * third : (across + 1) * third] += 180
    return pixels


def _image_id(number: int) -> str:
    return f"case{number:05d}"
