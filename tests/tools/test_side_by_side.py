"""Tests of `tools.side_by_side`, with a module `dvc` that `python -m dvc` finds first."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.tools.members import shared_places
from tools.dvc import ReproError
from tools.side_by_side import Place, places_here, train_side_by_side

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]
NAMES = ["b7-0", "b7-1", "b5-0", "b4-0"]
GPUS = ["0", "GPU-9b2d"]

# Called as `python -m dvc --wait-for-lock repro --single-item train@b7-0 predict@b7-0`.
DVC = """\
import os, pathlib, signal, subprocess, sys, time

def note(event):
    with open("ran.txt", "a") as file:
        file.write(f"{event} {name} {place}\\n")

assert sys.argv[1:4] == ["--wait-for-lock", "repro", "--single-item"]
name = sys.argv[4].removeprefix("train@")
assert sys.argv[5:] == ([f"predict@{name}"] if name != sys.argv[4] else [])
place = os.environ.get("CUDA_VISIBLE_DEVICES", "no GPU")
note("start")
if pathlib.Path("fails.txt").exists() and name in pathlib.Path("fails.txt").read_text():
    print("\\n".join(f"line {number}" for number in range(100)))
    sys.exit("no such luck")
if pathlib.Path("hangs.txt").exists():
    if name == "b7-1":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note(f"pids{os.getpid()},{child.pid}")
    child.wait()
# The first runs wait for one another, so that they overlap on a busy machine too.
together = int(pathlib.Path("together.txt").read_text())
for _ in range(300):
    if pathlib.Path("ran.txt").read_text().count("start") >= together:
        break
    time.sleep(0.05)
if pathlib.Path("fails.txt").exists():
    time.sleep(2)  # so that this one ends after the one that fails
note("end")
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "dvc.py").write_text(DVC)
    (tmp_path / "together.txt").write_text("1")
    return tmp_path


def ran(root):
    return (root / "ran.txt").read_text().splitlines()


def most_at_once(lines):
    """Count the runs that were under way at once."""
    under_way, most = 0, 0
    for line in lines:
        under_way += 1 if line.startswith("start") else -1
        most = max(most, under_way)
    return most


def test_no_gpu_has_two_runs_at_once_and_none_stays_idle(root):
    (root / "together.txt").write_text("2")

    train_side_by_side(root, NAMES, places_here(0, GPUS), beside=[])

    assert sorted(line.split()[1] for line in ran(root) if line.startswith("end")) == sorted(NAMES)
    assert shared_places(ran(root)) == []
    assert most_at_once(ran(root)) == 2
    assert {line.split(maxsplit=2)[2] for line in ran(root)} == set(GPUS)


def test_planted_pool_that_hands_one_gpu_out_twice_is_caught(root):
    """What the test above relies on: its check of real runs, of which two did share a GPU."""
    (root / "together.txt").write_text("2")

    train_side_by_side(root, NAMES, [*places_here(0, ["0"]), *places_here(0, ["0"])], beside=[])

    assert ("0", "b7-0", "b7-1") in [
        (place, *sorted(names)) for place, *names in shared_places(ran(root))
    ]


def test_without_a_gpu_as_many_run_at_once_as_are_asked_for(root):
    (root / "together.txt").write_text("3")

    train_side_by_side(root, NAMES, places_here(3, []), beside=[])

    assert most_at_once(ran(root)) == 3
    assert {line.split(maxsplit=2)[2] for line in ran(root)} == {"no GPU"}


def test_longest_starts_first(root):
    train_side_by_side(root, NAMES[:3], places_here(1, []), beside=[])

    assert [line.split()[1] for line in ran(root) if line.startswith("start")] == NAMES[:3]


def test_other_stages_fill_the_places_that_members_leave(root, capfd):
    train_side_by_side(root, NAMES[:2], places_here(1, []), beside=["data_report"])

    started = [line.split()[1] for line in ran(root) if line.startswith("start")]
    assert started == ["b7-0", "b7-1", "data_report"]
    assert "repro: data_report done in" in capfd.readouterr().out
    assert (root / ".resume/logs/data_report.log").is_file()


@pytest.mark.parametrize(
    ("jobs", "gpus", "labels"),
    [
        (0, [], [""]),
        (1, [], [""]),
        (3, [], ["", "", ""]),
        (0, ["0", "1", "5"], ["GPU 0", "GPU 1", "GPU 5"]),
        (2, ["0", "1", "5"], ["GPU 0", "GPU 1"]),
        (2, ["0"], ["GPU 0"]),  # two would run out of its memory
    ],
)
def test_there_are_as_many_places_as_jobs_but_no_more_than_gpus(jobs, gpus, labels):
    assert [place.label for place in places_here(jobs, gpus)] == labels


def test_numbers_of_the_driver_are_those_of_cuda(monkeypatch):
    """CUDA itself counts the fastest first."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    (found,) = places_here(0, ["1"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    (given,) = places_here(0, ["1"])

    assert found.environment == {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert given.environment == {"CUDA_VISIBLE_DEVICES": "1"}


def test_after_a_failure_the_others_finish_and_no_more_begin(root, capfd):
    (root / "fails.txt").write_text("b7-1")
    (root / "together.txt").write_text("2")

    with pytest.raises(ReproError, match=r"Got: failure of \['b7-1'\]"):
        train_side_by_side(root, NAMES, places_here(2, []), beside=[])

    shown = capfd.readouterr().out
    assert "  line 99\n  no such luck\n" in shown
    assert "line 1\n" not in shown  # only the end
    assert f"log in {root / '.resume/logs/train@b7-0.log'}" in shown
    assert "train@b7-0 and predict@b7-0 done in" in shown
    assert sorted(line.split()[1] for line in ran(root)) == ["b7-0", "b7-0", "b7-1"]


def test_run_that_fails_gives_its_gpu_back(root):
    (root / "fails.txt").write_text("b7-0")
    places = places_here(0, ["0"])

    with pytest.raises(ReproError):
        train_side_by_side(root, NAMES, places, beside=[])
    (root / "fails.txt").unlink()
    train_side_by_side(root, NAMES[:2], places, beside=[])

    assert [line for line in ran(root) if line.startswith("end")] == ["end b7-0 0", "end b7-1 0"]


# Signals as in a terminal: what runs in the background of a shell begins with some of them ignored.
INTERRUPTED = """\
import signal
import sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
import tools.side_by_side as it
it.SECONDS_TO_END = 2
places = it.places_here(2, [])
it.train_side_by_side(Path(sys.argv[1]), ["b7-0", "b7-1", "b5-0"], places, beside=[])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interruption_ends_every_run_and_its_children_even_if_they_will_not(root, number):
    (root / "hangs.txt").touch()
    command = [sys.executable, "-c", INTERRUPTED, str(root)]
    ours = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    pids = wait_for_pids(root, runs=2)

    os.kill(ours.pid, number)  # to it alone, as when it was started in the background
    out, _ = ours.communicate(timeout=30)

    assert ours.returncode == -signal.SIGINT
    assert b"interrupted, ending what runs" in out
    assert b"failed" not in out
    assert [pid for pid in pids if is_running(pid)] == []
    assert not any("b5-0" in line for line in ran(root))


def wait_for_pids(root, runs):
    """Wait until so many runs have started their child; give the process numbers of both."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        lines = ran(root) if (root / "ran.txt").exists() else []
        found = [line.split()[0] for line in lines if line.startswith("pids")]
        if len(found) == runs:
            return [int(pid) for text in found for pid in text.removeprefix("pids").split(",")]
        time.sleep(0.05)
    raise TimeoutError(lines)


def is_running(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_ignored_signal_stays_ignored(root):
    """`nohup make train-parallel` must outlive its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        train_side_by_side(root, NAMES[:1], [Place("", {})], beside=[])
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
