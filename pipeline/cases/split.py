"""Part the cases into test set, calibration part and folds that no patient, lesion or copy crosses.

Images that share a patient, a lesion or a picture, directly or through others, are one component;
a component is never parted. Missing identifiers link nothing. Parts are alike in classes and in how
many images their patients have (see `pipeline.cases.deal`). The result does not depend on the order
of rows; the test set depends neither on the number of folds nor on the calibration part. Another
row may move any component to another part: where that must not be, the parts of an earlier manifest
are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.cases.deal import FREE, Components, deal
from pipeline.cases.duplicates import find_equal
from pipeline.cases.near_search import HASH_BITS
from pipeline.classes import CLASSES
from pipeline.manifest import CALIBRATION, TEST
from pipeline.storage import sha256_of

LINKS = ("image_id", "patient_id", "lesion_id")
# Bands of images per patient: 1, 2 to 3, 4 to 7, and so on; the last holds all larger ones.
BANDS = 8


class SplitError(ValueError):
    """The cases cannot be parted as asked."""


@dataclass(frozen=True)
class SplitParams:
    """Section `split` of `params.yaml`."""

    seed: int
    test_share: float
    calibration_share: float
    folds: int
    train_folds: tuple[int, ...]
    near_duplicate_bits: int
    keep: str
    keep_sha256: str
    too_good_auroc: float
    too_good_cases: int

    def __post_init__(self) -> None:
        self._check_parts()
        if self.too_good_auroc <= 0.5:
            raise ValueError(f"too_good_auroc must be above 0.5. Got: {self.too_good_auroc}.")
        if self.too_good_cases < 1:
            raise ValueError(f"too_good_cases must be at least 1. Got: {self.too_good_cases}.")
        if not 0 <= self.near_duplicate_bits <= HASH_BITS // 4:
            # Unrelated hashes differ in about half of their bits.
            raise ValueError(
                f"near_duplicate_bits must be from 0 to {HASH_BITS // 4}. "
                f"Got: {self.near_duplicate_bits}."
            )

    def _check_parts(self) -> None:
        if not 0 < self.test_share < 1:
            raise ValueError(f"test_share must be between 0 and 1. Got: {self.test_share}.")
        if not 0 <= self.calibration_share < 1 - self.test_share:
            raise ValueError(
                "calibration_share must be at least 0 and leave some beside test_share "
                f"{self.test_share}. Got: {self.calibration_share}."
            )
        if self.folds < 2:
            raise ValueError(f"folds must be at least 2. Got: {self.folds}.")
        known = set(range(self.folds))
        if not self.train_folds or not known.issuperset(self.train_folds):
            raise ValueError(
                f"train_folds must be some of 0 to {self.folds - 1}. Got: {list(self.train_folds)}."
            )
        if len(set(self.train_folds)) != len(self.train_folds):
            raise ValueError(f"train_folds must differ. Got: {list(self.train_folds)}.")

    @property
    def parts(self) -> set[str]:
        """Names of all parts, as the column `fold` has them."""
        calibration = {CALIBRATION} if self.calibration_share else set()
        return {TEST, *map(str, range(self.folds))} | calibration


def join_sources(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the manifests of several sources under one another.

    An image that two sources hold stays twice: the patient and the lesion of both rows are links.

    Returns:
        The rows in the order given, with a fresh index and a column `is_repeated`.

    Raises:
        SplitError: Two sources use one image id for different files.
    """
    frame = pd.concat(frames, ignore_index=True)
    digests = frame.groupby("image_id").sha256.nunique()
    clashing = digests.index[digests > 1].tolist()
    if clashing:
        sources = frame.source[frame.image_id == clashing[0]].tolist()
        raise SplitError(
            f"image_id must mean one image in all sources. Got: {clashing[0]!r} for different "
            f"files in {sources}; {len(clashing)} such ids, first {clashing[:5]}."
        )
    return frame.assign(is_repeated=frame.image_id.duplicated())


def split(
    frame: pd.DataFrame, duplicates: np.ndarray, params: SplitParams, earlier: pd.Series
) -> pd.DataFrame:
    """Give every row its `group_id` and `fold`.

    Args:
        frame: As from `join_sources`. Repeated rows link, but do not count.
        duplicates: `(pairs, 2)` positions of rows that show one picture.
        params: Shares and seed.
        earlier: `fold` by `image_id` of cases whose part is kept, as from `read_parts`.

    Returns:
        `frame` with two more columns; `fold` is text, one of `params.parts`.

    Raises:
        SplitError: There are too few components for every part to get one.
    """
    groups = name_components(frame, duplicates)
    names, components = count_components(frame, groups)
    if len(names) < len(params.parts):
        calibration = ", the calibration part" if params.calibration_share else ""
        raise SplitError(
            f"cases must form at least {len(params.parts)} components, one for the test set"
            f"{calibration} and each fold. Got: {len(names)} from {len(frame)} rows."
        )
    kept = keep_parts(frame.image_id, groups, earlier).reindex(names)
    rng = np.random.default_rng(params.seed)
    fold = set_aside(components, kept, params, rng)
    rest = fold == ""
    shares, least = [1 / params.folds] * params.folds, [1] * params.folds
    bound = kept[rest].fillna(str(FREE)).astype(int).to_numpy()
    fold[rest] = deal(components.pick(rest), shares, least, bound, rng).astype(str)
    fold_of_group = dict(zip(names, fold, strict=True))
    return frame.assign(group_id=groups, fold=[fold_of_group[group] for group in groups])


def set_aside(
    components: Components, kept: pd.Series, params: SplitParams, rng: np.random.Generator
) -> np.ndarray:
    """Deal the test set out of all components, then the calibration part out of the others.

    Returns:
        `test`, `calibration`, or empty for what is left to the folds, `(components,)` text.
    """
    fold = np.full(len(components), "", dtype=object)
    left, parts = 1.0, len(params.parts)
    for part, share in ((TEST, params.test_share), (CALIBRATION, params.calibration_share)):
        if share:
            parts -= 1
            rows = np.flatnonzero(fold == "")
            bound = np.where(kept.iloc[rows].isna(), FREE, kept.iloc[rows] != part)
            shares = [share / left, 1 - share / left]
            dealt = deal(components.pick(rows), shares, [1, parts], bound, rng)
            fold[rows[dealt == 0]] = part
            left -= share
    return fold


def read_parts(params: SplitParams) -> pd.Series:
    """Read `fold` by `image_id` from the earlier manifest whose parts are kept; empty without one.

    Raises:
        SplitError: The file is another than the one that was meant, or has other folds.
    """
    if not params.keep:
        return pd.Series([], index=pd.Index([], dtype=str), dtype=str)
    path = Path(params.keep)
    if not path.is_file() or (digest := sha256_of(path)) != params.keep_sha256:
        found = f"a file of {digest}" if path.is_file() else "no file"
        raise SplitError(f"{path} must be there with keep_sha256. Got: {found}.")
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    if not {"image_id", "fold"} <= set(table.columns) or not params.parts >= set(table.fold):
        raise SplitError(
            f"{path} must be a manifest of stage split with folds {sorted(params.parts)}. "
            f"Got: columns {list(table.columns)}, folds "
            f"{sorted(set(table.get('fold', [])))[: params.folds + 5]}."
        )
    return table.set_index("image_id").fold


def keep_parts(image_ids: pd.Series, groups: np.ndarray, earlier: pd.Series) -> pd.Series:
    """Return the part that a component keeps, by `group_id`; only of those that had one.

    Where new links join parts, the one with most of the component's cases is kept, but a case that
    was learnt from is never moved to where it must be unknown: a case of the test set goes to the
    calibration part or to a fold, and one of the calibration part to a fold.
    """
    parts = image_ids.map(earlier).to_numpy()
    had = pd.notna(parts)
    counts = pd.crosstab(groups[had], parts[had]) if had.any() else pd.DataFrame()
    learnt = counts.drop(columns=[TEST, CALIBRATION], errors="ignore").sum(axis=1) > 0
    for part in (CALIBRATION, TEST):
        if part in counts:
            own = counts[part] > 0
            counts.loc[learnt, part] = 0
            learnt |= own
    return counts.idxmax(axis=1) if len(counts) else pd.Series([], dtype=str)


def count_components(frame: pd.DataFrame, groups: np.ndarray) -> tuple[np.ndarray, Components]:
    """Count each component's images by class and by band of images per patient, by `group_id`.

    An image of an unknown patient stands in the band of its component's size.
    """
    counted = ~frame.is_repeated.to_numpy()
    groups, patients = groups[counted], frame.patient_id.to_numpy()[counted]
    units = pd.Series(np.where(patients == "", "component " + groups, "patient " + patients))
    sizes = units.groupby(units).transform("size").to_numpy()
    bands = np.minimum(np.log2(sizes).astype(int), BANDS - 1)
    classes = pd.crosstab(groups, frame.diagnosis.to_numpy()[counted])
    classes = classes.reindex(columns=list(CLASSES), fill_value=0).sort_index()
    banded = pd.crosstab(groups, bands).reindex(classes.index)
    return classes.index.to_numpy(), Components(classes.to_numpy(), banded.to_numpy())


def name_components(frame: pd.DataFrame, duplicates: np.ndarray) -> np.ndarray:
    """Return the smallest image_id of each row's component, `(rows,)` text."""
    links = [duplicates, *(find_equal(frame[column]) for column in LINKS)]
    rows, others = np.concatenate(links).T
    graph = coo_array((np.ones(len(rows), np.int8), (rows, others)), shape=(len(frame),) * 2)
    _, labels = connected_components(graph, directed=False)
    return frame.image_id.groupby(labels).transform("min").to_numpy(object)
