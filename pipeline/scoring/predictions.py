"""Tables of predictions: read, checked against the manifest, brought into its order.

A network's table has one row per case that it did not train on: the fold left out (`out_of_fold`),
the test set (`test`), and the calibration part (`calibration`) where that is set aside. Every such
case of the manifest must be there once: a case lost on the way would change the figures without a
word.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.classes import CLASSES
from pipeline.manifest import CALIBRATION, TEST

PROBABILITIES = tuple(f"p_{name}" for name in CLASSES)
RANK_SCORES = tuple(f"r_{name}" for name in CLASSES)

# A float32 softmax sums to one within some 1e-6.
SUM_TOLERANCE = 1e-3


class PredictionsError(ValueError):
    """A table of predictions is not what the manifest and its reader need."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """Cases with their members' scores.

    Attributes:
        cases: Rows of the manifest, in its order.
        scores: Member name to probabilities, `(len(cases), 9)` float32.
    """

    cases: pd.DataFrame
    scores: dict[str, np.ndarray]

    @property
    def is_test(self) -> np.ndarray:
        """Which cases belong to the test set, `(len(cases),)` bool."""
        return (self.cases.fold == TEST).to_numpy()

    def only(self, *parts: str) -> "Predicted":
        """Return the cases of some parts, by the manifest's `fold`."""
        return self._take(self.cases.fold.isin(parts).to_numpy())

    def without(self, *parts: str) -> "Predicted":
        """Return the cases of all other parts."""
        return self._take(~self.cases.fold.isin(parts).to_numpy())

    def _take(self, chosen: np.ndarray) -> "Predicted":
        scores = {name: found[chosen] for name, found in self.scores.items()}
        return Predicted(self.cases[chosen], scores)


def read_members(
    folder: Path, members: tuple[str, ...], fold: int, manifest: pd.DataFrame
) -> Predicted:
    """Read the predictions of all members that left one fold out.

    Args:
        folder: Holds `<member>-<fold>/predictions.csv`.
        members: Their names.
        fold: The fold left out.
        manifest: With the column `fold`.

    Raises:
        PredictionsError: A table is not as it must be; the message names it.
    """
    cases = manifest[manifest.fold.isin([TEST, CALIBRATION, str(fold)])]
    scores = {}
    for member in members:
        path = folder / f"{member}-{fold}" / "predictions.csv"
        frame = read_predictions(path, ("member", "fold", "split", *PROBABILITIES))
        for column, wanted in (("member", member), ("fold", fold)):
            if not (frame[column].astype(str) == str(wanted)).all():
                raise PredictionsError(f"{path}: {column} must be {wanted} in every row.")
        frame = align(frame, cases, path)
        scores[member] = probabilities_of(frame, path).astype(np.float32)
    return Predicted(cases, scores)


def read_ensemble(path: Path, cases: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Read the ensemble's rank scores and probabilities, each `(len(cases), 9)` float64.

    Raises:
        PredictionsError: The table is not as it must be.
    """
    frame = align(read_predictions(path, ("split", *RANK_SCORES, *PROBABILITIES)), cases, path)
    return unit_interval(frame, RANK_SCORES, path), probabilities_of(frame, path)


def read_predictions(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read a table with `image_id` and exactly some other columns.

    Raises:
        PredictionsError: It is empty, its columns are others, or an image stands there twice.
    """
    try:
        # pandas 3 reads floats exactly; a score that is off by a unit in the last place would
        # miss its own place in the reference.
        frame = pd.read_csv(path, dtype={"image_id": str}, keep_default_na=False)
    except pd.errors.EmptyDataError:
        raise PredictionsError(f"{path} must be a table. Got: an empty file.") from None
    missing, unknown = sorted({"image_id", *columns} - {*frame}), {*frame} - {"image_id", *columns}
    if missing or unknown:
        raise PredictionsError(
            f"{path}: columns must be {['image_id', *columns]}. "
            f"Missing: {missing}. Unknown: {sorted(unknown)}."
        )
    twice = sorted(set(frame.image_id[frame.image_id.duplicated()]))
    if twice:
        raise PredictionsError(
            f"{path}: image_id must be unique. Got: {len(twice)} twice, first {twice[:5]}."
        )
    return frame


def align(frame: pd.DataFrame, cases: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Bring predictions into the order of the cases.

    Raises:
        PredictionsError: Other cases are predicted than these, or another split is written.
    """
    absent = sorted(set(cases.image_id) - set(frame.image_id))
    extra = sorted(set(frame.image_id) - set(cases.image_id))
    if absent or extra:
        raise PredictionsError(
            f"{path} must predict the {len(cases)} cases that were not trained on. "
            f"Missing {len(absent)}: {absent[:5]}. Not among them {len(extra)}: {extra[:5]}."
        )
    frame = frame.set_index("image_id").loc[cases.image_id]
    wrong = frame.index[frame.split.to_numpy() != split_of(cases)].tolist()
    if wrong:
        raise PredictionsError(
            f"{path}: split must be the manifest's. "
            f"Got another for {len(wrong)} cases, first {wrong[:5]}."
        )
    return frame


def probabilities_of(frame: pd.DataFrame, path: Path) -> np.ndarray:
    """Take the probabilities of aligned predictions, `(n, 9)` float64.

    Raises:
        PredictionsError: A value is outside [0, 1], or a row does not sum to one.
    """
    values = unit_interval(frame, PROBABILITIES, path)
    wrong = frame.index[np.abs(values.sum(axis=1) - 1) > SUM_TOLERANCE].tolist()
    if wrong:
        raise PredictionsError(
            f"{path}: probabilities of a case must sum to 1. "
            f"Got others for {len(wrong)} cases, first {wrong[:5]}."
        )
    return values


def unit_interval(frame: pd.DataFrame, columns: tuple[str, ...], path: Path) -> np.ndarray:
    """Take columns of numbers in [0, 1], `(n, len(columns))` float64."""
    values = frame[list(columns)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    # Not a number fails both comparisons.
    wrong = frame.index[~((values >= 0) & (values <= 1)).all(axis=1)].tolist()
    if wrong:
        raise PredictionsError(
            f"{path}: {columns[0]} to {columns[-1]} must be in [0, 1]. "
            f"Got others for {len(wrong)} cases, first {wrong[:5]}."
        )
    return values


def split_of(cases: pd.DataFrame) -> np.ndarray:
    """Return what `split` says of cases that a network did not train on, `(n,)` text."""
    return np.where(cases.fold.isin([TEST, CALIBRATION]), cases.fold, "out_of_fold")


def labels_of(cases: pd.DataFrame) -> np.ndarray:
    """Return the true class of each case as index into `CLASSES`, `(n,)` int64."""
    return cases.diagnosis.map(CLASSES.index).to_numpy(np.int64)
