"""From the split's table and a member's arrays to the cases that are trained on and scored."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from pipeline import manifest
from pipeline.classes import CLASSES
from pipeline.demographics import DEMOGRAPHICS_WIDTH, encode_demographics
from pipeline.manifest import CALIBRATION, TEST
from pipeline.shards.arrays import ArrayShards


@dataclass(frozen=True)
class Cases:
    """Cases with all that a member needs of them; pixels stay on disk.

    Attributes:
        image_ids: Names, in a fixed order.
        labels: Index into `CLASSES`, `(n,)` int32.
        demographics: `(n, DEMOGRAPHICS_WIDTH)` float32.
        shards: Their arrays at the member's input size.
    """

    image_ids: list[str]
    labels: np.ndarray
    demographics: np.ndarray
    shards: ArrayShards

    def __len__(self) -> int:
        return len(self.image_ids)

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        """Read the images of some rows, `(rows, input_px, input_px, 3)` uint8."""
        return self.shards.read([self.image_ids[row] for row in rows])


def load_cases(table: Path, arrays: Path) -> tuple[pd.DataFrame, ArrayShards]:
    """Open the split's manifest and the arrays of one member.

    Raises:
        ValueError: An image of the manifest has no array.
    """
    frame = manifest.read(table)
    shards = open_arrays(frame, arrays)
    return frame, shards


def open_arrays(rows: pd.DataFrame, arrays: Path) -> ArrayShards:
    """Open a member's arrays; those of other images than the rows' need not be there.

    Raises:
        ValueError: An image of the rows has no array.
    """
    shards = ArrayShards(arrays)
    absent = sorted(set(rows.image_id) - set(shards.image_ids))
    if absent:
        raise ValueError(
            f"{arrays} must hold every image of the table's rows. "
            f"Missing {len(absent)}, first {absent[:5]}. Run stage resize."
        )
    return shards


def select_cases(frame: pd.DataFrame, shards: ArrayShards) -> Cases:
    """Take the rows of a table as cases, in the table's order."""
    rows = frame[["age_years", "sex", "site"]].itertuples(index=False)
    vectors = [encode_demographics(*row) for row in rows]
    return Cases(
        image_ids=frame.image_id.tolist(),
        labels=frame.diagnosis.map(CLASSES.index).to_numpy(np.int32),
        demographics=np.reshape(vectors, (len(frame), DEMOGRAPHICS_WIDTH)).astype(np.float32),
        shards=shards,
    )


def split_fold(frame: pd.DataFrame, fold: int) -> dict[str, pd.DataFrame]:
    """Part a table into rows as seen from one fold.

    Returns:
        `training`; `out_of_fold`, the fold left out; `test`; and `calibration`, which is empty
        unless that part was set aside. Only the first is trained on.

    Raises:
        ValueError: A part that training needs is empty.
    """
    parts = {
        "training": frame[~frame.fold.isin([TEST, CALIBRATION, str(fold)])],
        "out_of_fold": frame[frame.fold == str(fold)],
        TEST: frame[frame.fold == TEST],
        CALIBRATION: frame[frame.fold == CALIBRATION],
    }
    for name in ("training", "out_of_fold"):
        if parts[name].empty:
            raise ValueError(f"fold {fold} must have {name} rows. Got: none of {len(frame)} rows.")
    return parts


def set_inner_part_aside(
    frame: pd.DataFrame, share: float, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part training rows into those trained on and those monitored, by component and class.

    Args:
        frame: Training rows of `split_fold`.
        share: Of the rows, about, that is monitored; in (0, 0.5].
        seed: Of the choice.
    """
    splitter = StratifiedGroupKFold(max(2, round(1 / share)), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with fewer cases than parts cannot be in each of them; nothing can be done.
        warnings.simplefilter("ignore", UserWarning)
        kept, inner = next(splitter.split(frame, frame.diagnosis, frame.group_id))
    return frame.iloc[kept], frame.iloc[inner]


@dataclass(frozen=True)
class FoldCases:
    """The cases of a training run.

    Attributes:
        training: Trained on.
        monitored: The inner part, by which weights are chosen; `None` where none is set aside.
        held_out: Of the fold left out.
    """

    training: Cases
    monitored: Cases | None
    held_out: Cases


def gather_fold(
    frame: pd.DataFrame, shards: ArrayShards, fold: int, *, inner_share: float, seed: int
) -> FoldCases:
    """Gather what is trained on, monitored and left out where one fold is.

    Args:
        frame: Table of the split.
        shards: Arrays of the member.
        fold: The fold left out.
        inner_share: Of `set_inner_part_aside`; 0 sets nothing aside.
        seed: Of that choice.

    Raises:
        ValueError: A part that training needs is empty.
    """
    parts = split_fold(frame, fold)
    training, monitored = parts["training"], None
    if inner_share:
        training, inner = set_inner_part_aside(training, inner_share, seed)
        monitored = select_cases(inner, shards)
    held_out = select_cases(parts["out_of_fold"], shards)
    return FoldCases(select_cases(training, shards), monitored, held_out)
