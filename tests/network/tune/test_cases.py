"""Tests of `pipeline.network.tune.cases`: what a search must never see."""

import numpy as np
import pandas as pd
import pytest

from pipeline import manifest
from pipeline.network.inputs import open_arrays
from pipeline.network.tune.cases import cases_sha256, prior_loss, read_rows
from pipeline.shards.array_writer import write_array_shards

FOLDS = ["test", "0", "1", "2", "1", "2", "2", "test"]
DIAGNOSES = ["MEL", "NV", "NV", "NV", "MEL", "MEL", "NV", "NV"]


def table(**changes):
    ids = [f"case{number}" for number in range(len(FOLDS))]
    columns = {"image_id": ids, "diagnosis": DIAGNOSES, "group_id": ids, "fold": FOLDS}
    columns |= {"age_years": np.nan, "width_px": 8, "height_px": 8} | changes
    empty = dict.fromkeys((*manifest.COLUMNS, "group_id", "fold"), "")
    return pd.DataFrame(empty | columns, index=range(len(FOLDS)))


@pytest.fixture
def path(tmp_path):
    manifest.write(table(), tmp_path / "manifest.csv")
    return tmp_path / "manifest.csv"


def write_arrays(folder, ids):
    pixels = np.zeros((8, 8, 3), np.uint8)
    write_array_shards(folder, ((image_id, pixels) for image_id in ids), shard_images=4)
    return folder


def test_test_set_and_outer_fold_are_not_among_the_rows(path):
    rows = read_rows(path, 0, (1,))

    assert list(rows.image_id) == ["case2", "case3", "case4", "case5", "case6"]


def test_a_part_that_the_split_may_come_to_have_is_not_among_the_rows(path, monkeypatch):
    """Only numbered folds stay, whatever the others are called."""
    folds = ["test", "0", "1", "2", "calibration", "2", "1", "held-out 2"]
    monkeypatch.setattr(manifest, "read", lambda path: table(fold=folds))

    assert list(read_rows(path, 0, (1,)).fold) == ["1", "2", "2", "1"]


def test_arrays_of_what_is_not_searched_on_need_not_be_there(path, tmp_path):
    rows = read_rows(path, 0, (1,))
    arrays = write_arrays(tmp_path / "arrays", rows.image_id)

    assert set(open_arrays(rows, arrays).image_ids) == set(rows.image_id)


def test_rows_of_the_test_set_would_be_missed_among_the_arrays(path, tmp_path):
    """The fault that the test above would catch: rows that nobody filtered."""
    arrays = write_arrays(tmp_path / "arrays", read_rows(path, 0, (1,)).image_id)

    with pytest.raises(ValueError, match=r"Missing 3, first \['case0', 'case1', 'case7'\]"):
        open_arrays(manifest.read(path), arrays)


@pytest.mark.parametrize(
    ("outer", "inner", "message"),
    [
        (0, (1, 0), "must differ from ensemble.fold"),
        (0, (5,), r"of \['1', '2'\]. Got: 5; fold 5 must have out_of_fold rows"),
    ],
)
def test_inner_fold_that_cannot_be_scored_is_refused(path, outer, inner, message):
    with pytest.raises(ValueError, match=message):
        read_rows(path, outer, inner)


def test_inner_fold_that_leaves_none_to_train_on_is_refused(tmp_path):
    folds = ["1" if fold == "2" else fold for fold in FOLDS]
    manifest.write(table(fold=folds), tmp_path / "manifest.csv")

    with pytest.raises(ValueError, match="fold 1 must have training rows"):
        read_rows(tmp_path / "manifest.csv", 0, (1,))


def test_manifest_of_before_the_split_is_refused(tmp_path):
    whole = table().drop(columns=["group_id", "fold"])
    manifest.write(whole, tmp_path / "manifest.csv")

    with pytest.raises(ValueError, match="before stage split"):
        read_rows(tmp_path / "manifest.csv", 0, (1,))


def test_hash_of_the_cases_changes_with_what_is_used_alone(path, tmp_path):
    arrays = write_arrays(tmp_path / "arrays", read_rows(path, 0, (1,)).image_id)
    before = cases_sha256(read_rows(path, 0, (1,)), arrays)

    manifest.write(table(diagnosis=["NV", *DIAGNOSES[1:]]), path)  # of a test case
    assert cases_sha256(read_rows(path, 0, (1,)), arrays) == before
    manifest.write(table(diagnosis=[*DIAGNOSES[:2], "MEL", *DIAGNOSES[3:]]), path)
    assert cases_sha256(read_rows(path, 0, (1,)), arrays) != before


def test_prior_loss_is_that_of_the_class_shares_of_the_training_cases(path):
    """Fold 2 has NV, MEL, NV; fold 1 has NV, MEL."""
    rows = read_rows(path, 0, (1,))

    expected = -(np.log(2 / 3) + np.log(1 / 3)) / 2
    assert prior_loss(rows, (1,)) == pytest.approx(expected)
