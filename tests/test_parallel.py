"""Tests of `pipeline.parallel`."""

import math
import os

import pytest

from pipeline.parallel import AHEAD, map_in_order


def process_of(_item):
    return os.getpid()


def test_one_worker_stays_in_this_process():
    assert set(map_in_order(process_of, range(3), 1)) == {os.getpid()}


def test_results_come_in_the_order_of_the_items():
    """Early items take longest, so they would come last if order were that of finishing."""
    items = [50_000, *range(40)]

    results = list(map_in_order(math.factorial, items, 2))

    assert results == [math.factorial(item) for item in items]


def test_work_is_done_in_other_processes():
    assert os.getpid() not in set(map_in_order(process_of, range(4), 2))


def test_items_are_taken_only_so_far_ahead():
    """A slow reader must not fill the memory with results."""
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    results = map_in_order(math.factorial, items(), 2)
    next(results)
    ahead = len(taken)
    results.close()

    assert ahead <= 2 * AHEAD + 1


def test_error_of_a_worker_is_raised_here():
    with pytest.raises(ValueError, match="not defined for negative values"):
        list(map_in_order(math.factorial, [1, -1, 2], 2))
