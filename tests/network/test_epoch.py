"""Tests of `pipeline.network.epoch`."""

import threading
import time

import numpy as np
import pytest

from pipeline.demographics import encode_demographics
from pipeline.network.epoch import hide_demographics, plan_epoch, read_ahead

LABELS = np.array([0] * 40 + [1] * 8 + [4] * 2, np.int32)


def natural(count, batch_size, *, seed=1, epoch=0):
    labels = np.zeros(count, np.int32)
    return plan_epoch(labels, batch_size, sampling="natural", seed=seed, epoch=epoch)


def test_every_case_is_seen_once_and_the_partial_batch_left_out():
    plan = natural(10, 4)

    assert plan.rows.shape == (2, 4)
    assert len(set(plan.rows.ravel())) == 8
    assert set(plan.rows.ravel()) <= set(range(10))
    assert not plan.repetitions.any()


def test_order_depends_on_seed_and_epoch_alone():
    first = natural(50, 5, epoch=3).rows

    np.testing.assert_array_equal(first, natural(50, 5, epoch=3).rows)
    assert not np.array_equal(first, natural(50, 5, epoch=4).rows)
    assert not np.array_equal(first, natural(50, 5, seed=2, epoch=3).rows)


def test_set_smaller_than_a_batch_is_one_batch():
    assert sorted(natural(3, 8).rows[0]) == [0, 1, 2]


def test_balanced_sampling_draws_every_class_as_often():
    plan = plan_epoch(LABELS, 10, sampling="balanced", seed=0, epoch=0)

    drawn = np.bincount(LABELS[plan.rows.ravel()], minlength=9)
    assert drawn.sum() == len(LABELS)
    assert sorted(drawn[[0, 1, 4]]) == [16, 17, 17]
    # The cases of a class take turns: none comes a third time before all came twice.
    taken = np.bincount(plan.rows.ravel(), minlength=len(LABELS))
    for label in (0, 1, 4):
        assert np.ptp(taken[label == LABELS]) <= 1


def test_repetitions_count_how_often_a_case_came_before():
    plan = plan_epoch(LABELS, 10, sampling="balanced", seed=0, epoch=0)

    seen = {}
    for row, again in zip(plan.rows.ravel(), plan.repetitions.ravel(), strict=True):
        assert again == seen.get(row, 0)
        seen[row] = again + 1
    assert max(seen.values()) > 5


def test_hidden_demographics_look_like_unknown_ones_field_by_field():
    known = np.tile(encode_demographics(45.0, "male", "torso"), (4000, 1))

    hidden = hide_demographics(known, 0.25, seed=1, epoch=0)

    fields = [slice(0, 2), slice(2, 4), slice(4, 10)]
    gone = np.stack([(hidden[:, field] == 0).all(axis=1) for field in fields])
    for field, is_gone in zip(fields, gone, strict=True):
        np.testing.assert_array_equal(hidden[~is_gone, field], known[~is_gone, field])
    np.testing.assert_allclose(gone.mean(axis=1), 0.25, atol=0.03)
    # Each by itself: all three go together as often as chance has it.
    assert gone.all(axis=0).mean() == pytest.approx(0.25**3, abs=0.01)


def test_chance_0_hides_nothing_and_1_everything():
    known = np.tile(encode_demographics(45.0, "male", "torso"), (5, 1))

    np.testing.assert_array_equal(hide_demographics(known, 0.0, seed=1, epoch=0), known)
    assert not hide_demographics(known, 1.0, seed=1, epoch=0).any()


def test_read_ahead_gives_every_item_in_order_from_where_it_starts():
    items = [item for item, _ in read_ahead(lambda index: index * index, 6, start=2)]

    assert items == [4, 9, 16, 25]


def test_next_item_is_read_while_the_one_before_is_worked_on():
    begun = threading.Event()

    def read(index):
        if index == 1:
            begun.set()
        return index

    items = read_ahead(read, 3, start=0)
    next(items)

    assert begun.wait(5)


def test_waiting_is_told_where_reading_is_slower_than_work():
    waits = [waited for _, waited in read_ahead(lambda index: time.sleep(0.02), 4, start=0)]

    assert sum(waits) > 0.05


def test_error_of_a_reader_reaches_its_taker():
    def read(index):
        raise OSError("array is gone")

    with pytest.raises(OSError, match="array is gone"):
        list(read_ahead(read, 3, start=0))
