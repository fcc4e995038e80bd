"""Tests of `pipeline.parallel`."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.parallel import ParallelParams, map_in_order
from pipeline.processes import AHEAD, ParallelError

ROOT = Path(__file__).resolve().parents[1]


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


def end_process(item):
    os._exit(1)


def test_process_that_is_ended_from_outside_ends_in_a_clear_message():
    with pytest.raises(ParallelError, match=r"^worker processes must live\. Got: one was ended"):
        list(map_in_order(end_process, [1, 2], 2))


@pytest.mark.parametrize(
    ("engine", "workers", "processes", "cluster"),
    [
        ("local", 3, 3, None),
        ("local", 0, os.cpu_count(), None),
        ("ray", 0, 0, "host:6379"),
        ("ray", 3, 3, "host:6379"),
    ],
)
def test_params_say_where_and_how_many(engine, workers, processes, cluster):
    params = ParallelParams(engine, workers, "host:6379")

    assert (params.processes, params.cluster) == (processes, cluster)
    assert params.with_workers(None) == params
    assert params.with_workers(7).processes == 7


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("dask", 0, ""), r"^engine must be local or ray\. Got: 'dask'\.$"),
        (("ray", -1, ""), r"^workers must be at least 0\. Got: -1\.$"),
    ],
)
def test_params_that_make_no_sense_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        ParallelParams(*values)


@pytest.mark.slow
def test_ray_is_imported_only_where_it_is_asked_for():
    code = "import sys, stages.crop, stages.resize, stages.ingest; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert done.stdout == "False\n"
