"""Tests of `tools.benchmark_training`; `make benchmark-training` is the real run."""

import multiprocessing
import threading
import time
from pathlib import Path

import pytest

from pipeline import params
from tools.benchmark_training import on_gpu
from tools.benchmark_training.__main__ import describe
from tools.benchmark_training.case import MEMBERS, make_case, switch_off
from tools.benchmark_training.on_gpu import (
    COMPILED,
    EAGER,
    JAX,
    NotMeasuredError,
    compare,
    in_process,
    measure_on_gpu,
    time_step,
)
from tools.benchmark_training.turns import (
    FIT,
    OURS,
    collect,
    middle,
    start_fit,
    start_ours,
    take_turns,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def make_small(augments=False, rounds=2):
    options = {"batch": 8, "steps": 3, "rounds": rounds}
    return make_case("small", input_px=32, augments=augments, **options)


def answer(connection, case, folder):
    """Stand in for a worker: 100 images/s, of which the first epoch is slow."""
    rate = 1.0
    while connection.recv():
        connection.send({"images_per_s": rate, "wait_share": None})
        rate = 100.0
    connection.send(7.0)


def answer_slowly(connection, case, folder):
    while connection.recv():
        connection.send({"images_per_s": 80.0, "wait_share": 0.25})
    connection.send(9.0)


def slowed(connection, case, folder):
    """Plant a fault into this project's loop: every step takes half a second longer."""
    from pipeline.network.tensorflow_compiled import TensorFlowStep

    step = TensorFlowStep.__call__

    def slow_step(self, batch, rate):
        time.sleep(0.5)
        return step(self, batch, rate)

    TensorFlowStep.__call__ = slow_step
    start_ours(connection, case, folder)


def collect_from(case, **started):
    """Take turns with workers that are threads."""
    lines, threads = {}, []
    for way, worker in started.items():
        lines[way], theirs = multiprocessing.Pipe()
        threads.append(threading.Thread(target=worker, args=(theirs, case, None)))
        threads[-1].start()
    found = collect(lines, rounds=3)
    for thread in threads:
        thread.join()
    return found


def test_slower_way_shows_as_a_ratio_below_one():
    case = make_small()

    found = collect_from(case, **{OURS: answer_slowly, FIT: answer})

    rows = {row["way"]: row for row in describe("small", case, found)}
    assert rows[OURS]["times_fit"] == pytest.approx(0.8)
    assert rows[FIT]["times_fit"] == 1
    assert (rows[OURS]["peak_mib"], rows[FIT]["peak_mib"]) == (9.0, 7.0)
    assert (rows[OURS]["wait_share"], rows[FIT]["wait_share"]) == (0.25, None)


def test_median_leaves_out_what_was_not_measured():
    assert middle([{"a": 3.0}, {"a": None}, {"a": 1.0}, {"a": 10.0}], "a") == 3.0
    assert middle([{"a": None}], "a") is None


def test_both_ways_train_and_a_slowed_step_is_noticed():
    case = make_small()

    found = take_turns(
        {OURS: case, "slowed": case, FIT: case},
        {OURS: start_ours, "slowed": slowed, FIT: start_fit},
        rounds=2,
    )

    rows = {row["way"]: row for row in describe("small", case, found)}
    assert all(row["images_per_s"] > 0 and row["peak_mib"] > 100 for row in rows.values())
    assert 0 <= rows[OURS]["wait_share"] < 1
    assert rows["slowed"]["images_per_s"] < 8 / 0.5
    assert rows["slowed"]["times_fit"] < 1


@pytest.mark.parametrize("name", MEMBERS)
def test_case_is_as_plain_as_can_be(name):
    case = make_case(name, input_px=0, batch=4, steps=5, rounds=2, augments=False)

    assert case.images == 20
    assert case.member.input_px == MEMBERS[name][2]
    assert (case.member.epochs, case.member.accumulation_steps) == (3, 1)
    assert (case.settings.optimizer.kind, case.settings.optimizer.ema_momentum) == ("adam", 0.0)


def test_augmentation_is_that_of_params_or_none():
    section = params.read_section("train.augment")

    assert make_small(augments=True).settings.augment != make_small().settings.augment
    assert section != switch_off(section)


def test_operation_is_switched_off_by_its_probability():
    section = {"dihedral": True, "shift": 0.1, "hairs": {"probability": 0.5, "count": 3}}

    assert switch_off(section) == {
        "dihedral": False,
        "shift": 0.0,
        "hairs": {"probability": 0.0, "count": 3},
    }


def test_step_time_is_the_median_without_the_steps_that_warm_up():
    seconds = iter([0.2] * on_gpu.WARM_STEPS + [0.01] * 19 + [0.3])

    timed = time_step(lambda: time.sleep(next(seconds)), 4, lambda: 3 * 2**20)

    assert 10 <= timed["step_ms"] < 100
    assert timed["images_per_s"] == pytest.approx(4000 / timed["step_ms"])
    assert timed["peak_mib"] == 3


def test_rows_are_compared_with_the_same_member_and_batch():
    rows = [
        {"member": "b4", "batch": 8, "way": JAX, "images_per_s": 90.0},
        {"member": "b4", "batch": 16, "way": JAX, "images_per_s": 150.0},
        {"member": "b4", "batch": 8, "way": EAGER, "images_per_s": 100.0},
    ]

    assert [row["times_eager"] for row in compare(rows)] == [0.9, None, 1.0]


def fits_up_to_16(name, batch):
    if batch > 16:
        raise MemoryError(f"batch {batch}\nand more")
    return {"images_per_s": float(batch), "step_ms": 1.0, "peak_mib": 1.0}


def is_absent(name, batch):
    raise NotMeasuredError("timm must be there.")


def in_this_process(function, name, batch):
    try:
        return function(name, batch)
    except (MemoryError, NotMeasuredError) as error:
        return str(error)


def test_batches_double_until_one_does_not_fit_and_absent_peers_are_skipped(monkeypatch):
    monkeypatch.setattr(on_gpu, "in_process", in_this_process)
    monkeypatch.setattr(on_gpu, "time_jax", fits_up_to_16)
    monkeypatch.setattr(on_gpu, "time_eager", is_absent)
    monkeypatch.setattr(on_gpu, "time_compiled", is_absent)

    result = measure_on_gpu(["b4", "b7"])

    assert [(r["member"], r["batch"]) for r in result["rows"]] == [
        *[("b4", 8), ("b4", 16)],
        *[("b7", 4), ("b7", 8), ("b7", 16)],
    ]
    assert result["skipped"] == dict.fromkeys([EAGER, COMPILED], "timm must be there.")


def test_reason_of_any_library_becomes_one_line():
    assert in_process(fits_up_to_16, "b4", 32) == "MemoryError: batch 32"


def test_machine_without_gpu_ends_in_reasons(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")

    with pytest.raises(NotMeasuredError, match=r"JAX must see a GPU\. Got: cpu"):
        measure_on_gpu(["b4"])
