"""Prove from a finished table alone that nothing crosses its parts, and count what is in them.

This does not use the components that `pipeline.cases.split` built: it takes the table's
identifiers and hashes, and looks at the folds of the rows that share one.
"""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.cases.duplicates import find_duplicates
from pipeline.cases.split import SplitParams
from pipeline.classes import CLASSES
from pipeline.manifest import CALIBRATION, TEST

# What each key of the proof says, for whoever opens the file.
ABOUT = {
    "about": "What each key says.",
    "cases": "Images that were parted; an image of several sources counts once.",
    "classes_absent": "By part, classes that are among the cases but not in the part. Empty unless "
    "a class has fewer components than there are parts.",
    "components": "Groups of images that share a patient, a lesion or a picture, directly or "
    "through others. Each is in one part whole.",
    "crossings": "How many patients, lesions, images, duplicate pairs and components are in "
    "several parts, looked up in the finished table. All are 0, or stage split has failed.",
    "duplicate_pairs": "Pairs of images that show one picture: equal files, or near hashes; and "
    "how many of them differ in diagnosis.",
    "folds": "By part: cases, components, cases by class, and cases by how many images their "
    "patient has.",
    "kept": "Cases of the earlier manifest of split.keep that are here, and how many of them left "
    "their part, because new links join parts.",
    "largest_component": "Its images.",
    "metadata_alone": "AUROC, each class against the rest, of a forest that sees columns of the "
    "table and no picture, by source and part; null where a class or the rest has fewer cases than "
    "least_cases. A figure at the ceiling fails stage split; a lower one is what a network could "
    "gain from columns that say nothing of the lesion.",
    "repeated_rows_dropped": "Rows of an image that another source has already; the row of the "
    "source that comes first by name is kept.",
    "repeated_with_different_diagnosis": "Images whose dropped rows say another diagnosis.",
    "test_share": "Of the cases: wanted, and reached with whole components.",
}
ABOUT_CALIBRATION = {
    "calibration_share": "Of the cases, set aside for the probabilities of several networks "
    "together: wanted, and reached with whole components.",
}
PATIENT_BANDS = {"unknown": 0, "1": 1, "2 to 3": 2, "4 to 7": 4, "8 to 15": 8, "16 to 31": 16}
PATIENT_BANDS |= {"32 to 63": 32, "64 or more": 64}

IDENTIFIERS = {
    "patient": "patient_id",
    "lesion": "lesion_id",
    "image": "image_id",
    "component": "group_id",
}


class LeakError(ValueError):
    """Something that must be in one part is in several; the message names it."""


def prove(frame: pd.DataFrame, params: SplitParams, earlier: pd.Series) -> dict[str, Any]:
    """Check that no patient, lesion, duplicate or component is in two folds, and count.

    Args:
        frame: With `group_id`, `fold` and `is_repeated`, as from `split`.
        params: For the distance of near duplicates, and what was asked for.
        earlier: Parts that were to be kept, as from `read_parts`.

    Returns:
        What stage `split` writes as its proof.

    Raises:
        LeakError: Something crosses.
    """
    pairs = find_duplicates(frame, params.near_duplicate_bits)
    crossings = {
        **{name: crossing_values(frame, column) for name, column in IDENTIFIERS.items()},
        "duplicate": crossing_pairs(frame, pairs),
    }
    for name, found in crossings.items():
        if found:
            raise LeakError(
                f"each {name} must be in one fold. Got: {len(found)} in several, first {found[:5]}."
            )
    repeated = frame.is_repeated.to_numpy()
    return {
        "about": ABOUT | (ABOUT_CALIBRATION if params.calibration_share else {}),
        "crossings": {name: len(found) for name, found in crossings.items()},
        "duplicate_pairs": count_pairs(frame, pairs),
        "repeated_rows_dropped": int(repeated.sum()),
        "repeated_with_different_diagnosis": list_contradicted(frame),
        "kept": count_kept(frame[~repeated], earlier),
        **count_parts(frame[~repeated], params),
    }


def crossing_values(frame: pd.DataFrame, column: str) -> list[str]:
    """Return the values of a column, but the empty one, whose rows are in several folds."""
    folds = frame[frame[column] != ""].groupby(column).fold.nunique()
    return folds.index[folds > 1].tolist()


def crossing_pairs(frame: pd.DataFrame, pairs: np.ndarray) -> list[str]:
    """Return the pairs of rows `(pairs, 2)` that are in different folds, as `id = id`."""
    fold, image_id = frame.fold.to_numpy(), frame.image_id.to_numpy()
    return [f"{image_id[a]} = {image_id[b]}" for a, b in pairs if fold[a] != fold[b]]


def count_pairs(frame: pd.DataFrame, pairs: np.ndarray) -> dict[str, int]:
    """Count duplicate pairs: by equal bytes, by near hash alone, and with unlike diagnoses."""
    first, second = pairs.T
    digest, diagnosis = frame.sha256.to_numpy(), frame.diagnosis.to_numpy()
    equal = (digest[first] == digest[second]) & (digest[first] != "")
    return {
        "equal_bytes": int(equal.sum()),
        "near": int((~equal).sum()),
        "with_different_diagnosis": int((diagnosis[first] != diagnosis[second]).sum()),
    }


def list_contradicted(frame: pd.DataFrame) -> list[str]:
    """Name the images to which their rows, of several sources, give different diagnoses."""
    diagnoses = frame.groupby("image_id").diagnosis.nunique()
    return diagnoses.index[diagnoses > 1].tolist()


def count_kept(frame: pd.DataFrame, earlier: pd.Series) -> dict[str, int]:
    """Count the cases that had a part before, and those that have another."""
    before = frame.image_id.map(earlier)
    had = before.notna()
    return {"cases": int(had.sum()), "moved": int((before[had] != frame.fold[had]).sum())}


def count_patient_bands(frame: pd.DataFrame) -> pd.DataFrame:
    """Count each part's cases by how many images their patient has, `(parts, bands)`."""
    known = frame.patient_id != ""
    sizes = frame.patient_id.map(frame.patient_id[known].value_counts()).fillna(0)
    bands = pd.cut(sizes, [*PATIENT_BANDS.values(), np.inf], right=False, labels=[*PATIENT_BANDS])
    return pd.crosstab(frame.fold, bands, dropna=False)


def count_parts(frame: pd.DataFrame, params: SplitParams) -> dict[str, Any]:
    """Count cases, components and classes by part.

    Raises:
        LeakError: A part that must be there is empty, or one that must not be is there.
    """
    if set(frame.fold) != params.parts:
        raise LeakError(f"folds must be {sorted(params.parts)}. Got: {sorted(set(frame.fold))}.")
    bands, parts = count_patient_bands(frame), {}
    for fold, rows in frame.groupby("fold"):
        classes = rows.diagnosis.value_counts()
        parts[fold] = {
            "cases": len(rows),
            "components": int(rows.group_id.nunique()),
            "classes": {name: int(classes.get(name, 0)) for name in CLASSES},
            "images_of_patient": {name: int(count) for name, count in bands.loc[fold].items()},
        }
    there = set(frame.diagnosis)
    return {
        "cases": len(frame),
        "components": int(frame.group_id.nunique()),
        "largest_component": int(frame.group_id.value_counts().iloc[0]),
        "test_share": {"wanted": params.test_share, "reached": parts[TEST]["cases"] / len(frame)},
        **count_calibration(parts, params, len(frame)),
        "folds": parts,
        # Where a class has fewer components than there are parts, some part goes without.
        "classes_absent": {
            fold: [name for name in CLASSES if name in there and not part["classes"][name]]
            for fold, part in parts.items()
        },
    }


def count_calibration(
    parts: dict[str, Any], params: SplitParams, cases: int
) -> dict[str, dict[str, float]]:
    """Say how large the calibration part is; nothing where none is wanted."""
    if not params.calibration_share:
        return {}
    reached = parts[CALIBRATION]["cases"] / cases
    return {"calibration_share": {"wanted": params.calibration_share, "reached": reached}}
