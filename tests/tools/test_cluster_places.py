"""Tests of `tools.cluster_places`: DVC here, its stages on a Ray cluster of two nodes."""

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from pipeline.cluster_command import Need
from pipeline.processes import ParallelError
from tests.ray_nodes import two_nodes
from tests.tools.members import change, make_project, shared_places
from tools.cluster_places import count_places, fitting
from tools.dvc import ReproError, stale_stages
from tools.train_parallel import train_stale

pytestmark = [  # Ray leaves sockets and files of its own to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
EPOCHS = 12

# A training of so many epochs, each noted in .resume once it is over, as the real one goes on after
# a kill. Where two processes train one member at once, both fail. A node is known by its raylet.
STAGE = f"""\
import json, os, pathlib, sys, time

folder = pathlib.Path(sys.argv[1])
stage, name = folder.parent.name, folder.name
place = os.environ.get("RAY_RAYLET_PID", "here") + "/" + os.environ.get("CUDA_VISIBLE_DEVICES", "")

def note(event):
    with open("ran.txt", "a") as file:
        file.write(f"{{event}} {{name}} {{stage}} {{place}}\\n")

params = json.loads(pathlib.Path("params.yaml").read_text())
if params["member"][name.partition("-")[0]].get("fails") and stage == "train":
    print("\\n".join(f"line {{number}}" for number in range(100)))
    raise SystemExit("no such luck")
note("start")
if stage == "train":
    resume = pathlib.Path(".resume/train") / name
    resume.mkdir(parents=True, exist_ok=True)
    (resume / f"{{os.getpid()}}.pid").touch()
    others = [int(path.stem) for path in resume.glob("*.pid") if path.stem != str(os.getpid())]
    if any(pathlib.Path(f"/proc/{{pid}}").exists() for pid in others):
        raise SystemExit(f"another process trains {{name}}")
    epochs = resume / "epochs.txt"
    done = len(epochs.read_text().splitlines()) if epochs.exists() else 0
    for epoch in range(done, {EPOCHS}):
        time.sleep(0.5)
        with open(epochs, "a") as file:
            file.write(f"{{epoch}} {{os.getpid()}}\\n")
folder.mkdir(parents=True)
(folder / "out.txt").write_text(f"{{name}} of {{stage}}")
note("end")
"""


@pytest.fixture(scope="module")
def cluster():
    """Address of a cluster of two nodes, each with what Ray takes for a GPU."""
    with two_nodes(num_gpus=1) as address:
        yield address


@pytest.fixture
def root(cluster, tmp_path, monkeypatch):
    """A project of two members and one fold that trains on the cluster."""
    make_project(tmp_path, STAGE)
    change(tmp_path, "parallel", engine="ray", ray_address=cluster)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kill_the_worker_that_trains(root, name):
    """Kill the Ray worker above a training that has some epochs behind it, and nothing else."""
    until(lambda: len(read_epochs(root, name)) >= 3, 120)
    pid = read_epochs(root, name)[-1][1]
    above = psutil.Process(pid).parents()
    (worker,) = [process for process in above if "ray::" in " ".join(process.cmdline())]
    worker.kill()

    if until(lambda: not psutil.pid_exists(pid)):
        (start,) = [line for line in ran(root) if line.startswith(f"start {name} train")]
        with open(root / "ran.txt", "a") as file:
            file.write(start.replace("start", "end") + "\n")


def ran(root):
    """Read the starts and ends of trainings and predictions, without what ran before them."""
    return [line for line in (root / "ran.txt").read_text().splitlines() if " resize " not in line]


def read_epochs(root, name):
    """Read the epochs of a training, each with the process that ended it."""
    path = root / ".resume/train" / name / "epochs.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [tuple(map(int, line.split())) for line in lines]


@pytest.mark.slow
def test_members_train_on_a_node_each_and_go_on_after_a_worker_is_killed(root, capfd):
    """One test, for each call of DVC and Ray takes seconds."""
    killer = threading.Thread(target=kill_the_worker_that_trains, args=[root, "b7-0"])
    killer.start()
    trained = train_stale(root, None)
    killer.join()

    assert trained == ["b7-0", "b4-0"]
    assert "train@b7-0 starts on the cluster" in capfd.readouterr().out
    for stage in ("models/train", "data/predict"):
        for name in trained:
            text = f"{name} of {Path(stage).name}"
            assert (root / stage / name / "out.txt").read_text() == text
    assert stale_stages(root, "train", "predict") == set()
    assert train_stale(root, None) == []

    epochs = {name: read_epochs(root, name) for name in trained}
    assert [number for number, _ in epochs["b7-0"]] == list(range(EPOCHS))  # none twice
    assert [len({pid for _, pid in epochs[name]}) for name in trained] == [2, 1]
    log = (root / ".resume/logs/train@b7-0.log").read_text()
    assert "cluster: train@b7-0 was lost (WorkerCrashedError), 0 times before\n" in log
    check_places(ran(root))


def check_places(lines):
    """Check that every stage ran on the cluster, and had its node's GPU for itself."""
    runs = [f"{event} {name} {place}" for event, name, _, place in map(str.split, lines)]
    places = [line.split()[2] for line in runs]
    assert not any(place.startswith("here") for place in places), lines
    assert places[0] != places[1], lines  # the first two are the starts of both members
    assert shared_places(runs) == [], lines


@pytest.mark.slow
def test_failure_on_a_machine_shows_the_end_of_its_log_here(root, capfd):
    change(root, "member.b4", fails=True)

    with pytest.raises(ReproError, match=r"Got: failure of \['b4-0'\]"):
        train_stale(root, None)

    shown = capfd.readouterr().out
    assert "  line 99\n  no such luck\n" in shown
    assert (root / "data/predict/b7-0/out.txt").exists()  # what was under way went on to its end
    assert not (root / "models/train/b4-0").exists()


@pytest.mark.slow
def test_interrupted_runs_leave_no_process_on_the_cluster(root, heeds_interrupt):
    threading.Thread(target=interrupt_when_both_train, args=[root]).start()

    with pytest.raises(KeyboardInterrupt):
        train_stale(root, None)

    pids = [int(path.stem) for path in (root / ".resume/train").glob("*/*.pid")]
    assert len(pids) == 2
    assert until(lambda: not any(map(psutil.pid_exists, pids)))
    assert not list((root / "models/train").glob("*"))


@pytest.fixture
def heeds_interrupt():
    """A shell's background job ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_when_both_train(root):
    until(lambda: len(list((root / ".resume/train").glob("*/epochs.txt"))) == 2, 120)
    os.kill(os.getpid(), signal.SIGINT)


def until(holds, seconds=10):
    """Wait until something holds; tell whether it did."""
    end = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.05)
    return held


TWO_GPUS = {"CPU": 16.0, "GPU": 2.0}
CORES = {"CPU": 7.0}


@pytest.mark.parametrize(
    ("machines", "need", "places"),
    [
        ([TWO_GPUS, TWO_GPUS, CORES], Need(gpus=1, cpus=2), 4),
        ([TWO_GPUS, {"GPU": 3.0}], Need(gpus=2, cpus=2), 2),  # none spans two machines
        ([CORES, CORES, {}], Need(gpus=1, cpus=2), 6),  # there is no GPU
        ([TWO_GPUS, CORES], Need(gpus=0, cpus=4), 5),
    ],
)
def test_places_are_what_fits_on_single_machines(machines, need, places):
    assert count_places(machines, fitting(machines, need)) == places


@pytest.mark.parametrize(
    ("machines", "need", "message"),
    [
        ([TWO_GPUS], Need(gpus=3, cpus=1), "gpus_per_member .* of the cluster has, 2. Got: 3"),
        ([CORES, CORES], Need(gpus=1, cpus=8), "cpus_per_member .* of the cluster has, 7. Got: 8"),
    ],
)
def test_need_that_no_machine_has_is_refused_rather_than_waited_for(machines, need, message):
    with pytest.raises(ParallelError, match=f"^cluster_{message}"):
        fitting(machines, need)
