"""Tests of `pipeline.network.inputs`."""

import numpy as np
import pandas as pd
import pytest

from pipeline.network.inputs import select_cases, shuffled_batches, split_fold


def table(folds):
    return pd.DataFrame(
        {
            "image_id": [f"i{n}" for n in range(len(folds))],
            "fold": folds,
            "diagnosis": "BCC",
            "age_years": [45.0, *[np.nan] * (len(folds) - 1)],
            "sex": "",
            "site": "torso",
        }
    )


def test_every_case_is_seen_once_and_the_partial_batch_left_out():
    batches = shuffled_batches(10, 4, seed=1, epoch=0)

    rows = np.concatenate(batches)
    assert [len(b) for b in batches] == [4, 4]
    assert len(set(rows)) == 8
    assert set(rows) <= set(range(10))


def test_order_depends_on_seed_and_epoch_alone():
    first = shuffled_batches(50, 5, seed=1, epoch=3)

    np.testing.assert_array_equal(first, shuffled_batches(50, 5, seed=1, epoch=3))
    assert not np.array_equal(first, shuffled_batches(50, 5, seed=1, epoch=4))
    assert not np.array_equal(first, shuffled_batches(50, 5, seed=2, epoch=3))


def test_set_smaller_than_a_batch_is_one_batch():
    (batch,) = shuffled_batches(3, 8, seed=0, epoch=0)

    assert sorted(batch) == [0, 1, 2]


def test_parts_are_apart_and_whole():
    parts = split_fold(table(["0", "1", "test", "0", "2", "calibration"]), 0)

    ids = {name: list(part.image_id) for name, part in parts.items()}
    assert ids == {
        "training": ["i1", "i4"],
        "out_of_fold": ["i0", "i3"],
        "test": ["i2"],
        "calibration": ["i5"],
    }


@pytest.mark.parametrize(
    ("folds", "missing"), [(["1", "test"], "out_of_fold"), (["0", "test"], "training")]
)
def test_empty_part_is_refused(folds, missing):
    with pytest.raises(ValueError, match=f"fold 0 must have {missing} rows"):
        split_fold(table(folds), 0)


def test_cases_carry_label_and_demographics_of_their_row():
    cases = select_cases(table(["0", "1"]), shards=None)

    assert list(cases.labels) == [2, 2]
    np.testing.assert_allclose(cases.demographics[0], [0.5, 1, 0, 0, 0, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(cases.demographics[1], [0, 0, 0, 0, 0, 1, 0, 0, 0, 0])
