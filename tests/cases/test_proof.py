"""Tests of `pipeline.cases.proof`: each kind of leak is planted once, and must be caught."""

import dataclasses

import pandas as pd
import pytest

from pipeline.cases.duplicates import find_duplicates
from pipeline.cases.proof import ABOUT, LeakError, prove
from pipeline.cases.split import SplitParams, join_sources, read_parts, split
from tests.cases.tables import make_manifest, random_hash

PARAMS = SplitParams(
    seed=7,
    test_share=0.2,
    calibration_share=0.0,
    folds=2,
    train_folds=(0,),
    near_duplicate_bits=24,
    keep="",
    keep_sha256="",
    too_good_auroc=0.995,
    too_good_cases=10,
)
NOTHING = read_parts(PARAMS)
PARTS = ["test", "0", "1"]


def make_parted(*rows):
    """One row per part, and then the rows given, each in the part it names."""
    rows = [*({"fold": part} for part in PARTS), *rows]
    frame = make_manifest(*({k: v for k, v in row.items() if k != "fold"} for row in rows))
    return frame.assign(
        group_id=frame.image_id, fold=[row["fold"] for row in rows], is_repeated=False
    )


@pytest.mark.parametrize(
    ("shared", "message"),
    [
        ({"patient_id": "P1"}, r"^each patient must be in one fold\. Got: 1 in several.*\['P1'\]"),
        ({"lesion_id": "L1"}, r"^each lesion must be in one fold\. Got: 1 in several.*\['L1'\]"),
        ({"sha256": "aa"}, r"^each duplicate must be .*\['image_0003 = image_0004'\]"),
        ({"perceptual_hash": random_hash(1)}, r"^each duplicate must be in one fold"),
    ],
)
@pytest.mark.parametrize("parts", [("test", "0"), ("0", "1")])
def test_planted_leak_is_caught(shared, message, parts):
    frame = make_parted(*({"fold": part} | shared for part in parts))

    with pytest.raises(LeakError, match=message):
        prove(frame, PARAMS, NOTHING)


def test_planted_leak_of_a_turned_copy_is_caught():
    parts = random_hash(1).split("-")
    frame = make_parted(
        {"fold": "0", "perceptual_hash": "-".join(parts)},
        {"fold": "1", "perceptual_hash": "-".join(parts[::-1])},
    )

    with pytest.raises(LeakError, match=r"^each duplicate must be in one fold"):
        prove(frame, PARAMS, NOTHING)


def test_component_in_two_folds_is_caught():
    frame = make_parted()
    frame["group_id"] = "image_0000"

    with pytest.raises(LeakError, match=r"^each component must be in one fold"):
        prove(frame, PARAMS, NOTHING)


def test_leak_through_a_repeated_row_is_caught():
    """The row will not be written, but what it says of its image is true all the same."""
    frame = make_parted({"fold": "0", "lesion_id": "L1"}, {"fold": "1", "lesion_id": "L1"})
    frame["is_repeated"] = [False, False, False, False, True]

    with pytest.raises(LeakError, match=r"^each lesion must be in one fold"):
        prove(frame, PARAMS, NOTHING)


def test_case_moved_by_hand_after_an_honest_split_is_caught():
    frame = join_sources([make_manifest(*({"patient_id": f"P{n // 4}"} for n in range(40)))])
    parted = split(frame, find_duplicates(frame, 24), PARAMS, NOTHING)
    prove(parted, PARAMS, NOTHING)
    row = parted.index[parted.fold == "0"][0]

    parted.loc[row, "fold"] = "1"

    with pytest.raises(LeakError, match=r"^each patient must be in one fold"):
        prove(parted, PARAMS, NOTHING)


def test_empty_identifiers_are_no_leak():
    assert set(prove(make_parted(), PARAMS, NOTHING)["crossings"].values()) == {0}


@pytest.mark.parametrize("folds", [["test", "0", "0"], ["test", "0", "2"], ["0", "0", "1"]])
def test_missing_or_unknown_fold_is_caught(folds):
    frame = make_parted().assign(fold=folds)

    with pytest.raises(LeakError, match=r"^folds must be \['0', '1', 'test'\]\. Got: "):
        prove(frame, PARAMS, NOTHING)


def test_counts_are_those_of_the_table():
    text = random_hash(1)
    frame = make_parted(
        {"fold": "0", "sha256": "aa", "patient_id": "P"},
        {"fold": "0", "sha256": "aa", "diagnosis": "MEL"},
        {"fold": "1", "perceptual_hash": text},
        {"fold": "1", "perceptual_hash": text},
    )
    frame.loc[4, "group_id"] = frame.loc[3, "group_id"]

    proof = prove(frame, PARAMS, NOTHING)

    assert proof["cases"] == 7
    assert (proof["components"], proof["largest_component"]) == (6, 2)
    assert proof["duplicate_pairs"] == {"equal_bytes": 1, "near": 1, "with_different_diagnosis": 1}
    assert proof["folds"]["0"]["cases"] == 3
    assert proof["folds"]["0"]["classes"]["MEL"] == 1
    assert proof["folds"]["0"]["components"] == 2
    assert proof["test_share"] == {"wanted": 0.2, "reached": 1 / 7}
    assert proof["classes_absent"] == {"0": [], "1": ["MEL"], "test": ["MEL"]}


def test_repeated_rows_are_counted_apart():
    frame = make_parted({"fold": "0"})
    frame["is_repeated"] = [False, False, False, True]

    proof = prove(frame, PARAMS, NOTHING)

    assert (proof["cases"], proof["repeated_rows_dropped"]) == (3, 1)
    assert proof["repeated_with_different_diagnosis"] == []


@pytest.mark.parametrize("other", ["test", "0", "1"])
def test_patient_in_calibration_part_and_elsewhere_is_caught(other):
    params = dataclasses.replace(PARAMS, calibration_share=0.1)
    frame = make_parted({"fold": "calibration", "patient_id": "P1"}, {"fold": other})
    prove(frame, params, NOTHING)
    frame.loc[frame.index[-1], "patient_id"] = "P1"

    with pytest.raises(LeakError, match=r"^each patient must be in one fold\. Got: 1 in several"):
        prove(frame, params, NOTHING)


def test_calibration_part_must_be_there_where_it_is_wanted_and_only_there():
    with_one = make_parted({"fold": "calibration"})

    with pytest.raises(LeakError, match=r"^folds must be \['0', '1', 'test'\]\. Got: .*'calib"):
        prove(with_one, PARAMS, NOTHING)
    with pytest.raises(LeakError, match=r"^folds must be \['0', '1', 'calibration', 'test'\]\. G"):
        prove(make_parted(), dataclasses.replace(PARAMS, calibration_share=0.1), NOTHING)


def test_share_of_the_calibration_part_is_told_and_explained_where_there_is_one():
    params = dataclasses.replace(PARAMS, calibration_share=0.1)

    proof = prove(make_parted({"fold": "calibration"}), params, NOTHING)

    assert proof["calibration_share"] == {"wanted": 0.1, "reached": 0.25}
    assert set(proof) <= set(proof["about"]) | {"metadata_alone"}
    assert "calibration_share" not in prove(make_parted(), PARAMS, NOTHING)["about"]


def test_every_key_of_the_proof_is_explained():
    assert set(prove(make_parted(), PARAMS, NOTHING)) | {"metadata_alone"} == set(ABOUT)


def test_cases_are_counted_by_how_many_images_their_patient_has():
    rows = [{"fold": "0", "patient_id": patient} for patient in [*["P"] * 8, *["Q"] * 3, "R"]]

    bands = prove(make_parted(*rows), PARAMS, NOTHING)["folds"]["0"]["images_of_patient"]

    assert {name: count for name, count in bands.items() if count} == {
        "unknown": 1,
        "1": 1,
        "2 to 3": 3,
        "8 to 15": 8,
    }


def test_kept_cases_and_those_that_had_to_move_are_counted():
    earlier = pd.Series({"image_0000": "test", "image_0001": "1", "gone": "0"})

    assert prove(make_parted(), PARAMS, earlier)["kept"] == {"cases": 2, "moved": 1}
