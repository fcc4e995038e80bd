"""Tests of `pipeline.cluster_command`, on a Ray cluster of two nodes on this machine."""

import io
import json
import os
import subprocess
import sys
import threading
import time

import pytest

from pipeline.cluster_command import (
    PERMITS,
    Ended,
    Need,
    make_task,
    run_on_cluster,
    sizes_below,
    wait_until_seen,
)
from pipeline.processes import ParallelError
from tests.ray_nodes import two_nodes

slow = pytest.mark.slow
pytestmark = [  # Ray leaves sockets and files of its own to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ON_GPU = Need(gpus=1, cpus=1)


@pytest.fixture(scope="module")
def cluster():
    """Address of a cluster of two nodes, each with what Ray takes for a GPU."""
    with two_nodes(num_gpus=1) as address:
        yield address


def run(command, address, need=ON_GPU):
    """Run a command; return its exit status and what was printed."""
    out = io.BytesIO()
    code = run_on_cluster(command, need, address, name="a command", out=out)
    return code, out.getvalue().decode()


@slow
def test_command_runs_in_this_folder_and_its_words_and_status_come_back(
    cluster, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    code, printed = run("pwd; echo wrong >&2; echo 'a  b' > made.txt; exit 3", cluster)

    assert code == 3
    assert printed.splitlines()[1:] == [str(tmp_path), "wrong"]
    assert (tmp_path / "made.txt").read_text() == "a  b\n"
    assert list((tmp_path / PERMITS).iterdir()) == []


@slow
def test_environment_of_a_command_is_as_here_but_for_its_gpu(cluster, tmp_path, monkeypatch):
    """Ray sets OMP_NUM_THREADS; the number of threads changes the bits of a network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_DETERMINISTIC_OPS", "1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    show = "python -c 'import json, os, sys; print(json.dumps([sys.executable, *map(os.environ.get,"
    show += '["CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "TF_DETERMINISTIC_OPS"])]))\''

    on_gpu = json.loads(run(show, cluster, ON_GPU)[1].splitlines()[-1])
    without = json.loads(run(show, cluster, Need(gpus=0, cpus=1))[1].splitlines()[-1])

    assert on_gpu == [sys.executable, "0", None, "1"]
    assert without == [sys.executable, "-1", None, "1"]


@slow
def test_what_a_command_prints_is_shown_while_it_runs(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command, out = "echo first; while [ ! -e go ]; do sleep 0.1; done; echo second", io.BytesIO()

    def go_on_when_shown():
        end = time.monotonic() + 60
        while b"first" not in out.getvalue() and time.monotonic() < end:
            time.sleep(0.05)
        early.append(out.getvalue())
        (tmp_path / "go").touch()

    early = []
    watcher = threading.Thread(target=go_on_when_shown)
    watcher.start()
    run_on_cluster(command, ON_GPU, cluster, name="a command", out=out)
    watcher.join()

    assert early[0].splitlines()[1:] == [b"first"]
    assert out.getvalue().splitlines()[1:] == [b"first", b"second"]


@slow
def test_machine_that_lacks_the_environment_is_named(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    with pytest.raises(ParallelError, match=r"^every machine of the cluster must see /.* and /now"):
        run("true", cluster)


@slow
def test_machine_that_lacks_the_project_can_still_say_so(tmp_path):
    """The function is sent whole, for no module of ours can be imported there."""
    import ray

    sent = ray.cloudpickle.dumps(make_task())
    there = "import sys, socket, ray; run = ray.cloudpickle.loads(sys.stdin.buffer.read()); "
    there += "assert 'pipeline' not in sys.modules; "
    there += "sys.exit(run('/x', '/x/permit', sys.executable, 'true', {}) != socket.gethostname())"

    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [sys.executable, "-c", there], input=sent, cwd=tmp_path, env=environment
    )

    assert result.returncode == 0


@slow
def test_command_that_kills_every_worker_is_given_up(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.cluster_command.GRACE_SECONDS", 1)
    kill = (
        "import os, psutil; [p.kill() for p in psutil.Process().parents() if 'ray::' in p.name()]"
    )
    out = io.BytesIO()

    with pytest.raises(ParallelError, match=r"^a command must end\. Got: lost 4 times"):
        run_on_cluster(f'python -c "{kill}"', ON_GPU, cluster, name="a command", out=out)

    lost = [line for line in out.getvalue().splitlines() if b"was lost" in line]
    assert lost == [
        b"cluster: a command was lost (WorkerCrashedError), %d times before" % n for n in range(4)
    ]


LEAVES_A_FILE_AND_IS_KILLED_ONCE = """\
import pathlib, psutil, sys
read, made, once = map(pathlib.Path, sys.argv[1:])
made.mkdir()
read.joinpath("noted").touch()
if not once.exists():
    once.touch()
    made.joinpath(".partial.h5").touch()
    [process.kill() for process in psutil.Process().parents() if "ray::" in process.name()]
made.joinpath("weights.h5").touch()
"""


@slow
def test_what_a_lost_command_left_is_gone_before_it_runs_again(cluster, tmp_path, monkeypatch):
    """DVC would take a half-written file for an output; what was there before stays."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.cluster_command.GRACE_SECONDS", 2)
    for name in ("data/read", "models", "notes"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "make.py").write_text(LEAVES_A_FILE_AND_IS_KILLED_ONCE)
    (tmp_path / "data/read/kept").touch()

    code, _ = run(f"python make.py data/read models/b4 {tmp_path}/notes/once", cluster)

    assert code == 0
    assert sorted(path.name for path in (tmp_path / "models/b4").iterdir()) == ["weights.h5"]
    assert sorted(path.name for path in (tmp_path / "data/read").iterdir()) == ["kept", "noted"]


def test_files_below_what_a_command_names_are_sized(tmp_path):
    (tmp_path / "models/b4/deep").mkdir(parents=True)
    (tmp_path / "models/b4/deep/weights.h5").write_bytes(b"123")
    (tmp_path / "models/b5").mkdir()
    (tmp_path / "models/b5/other.h5").write_bytes(b"1")
    (tmp_path / "b4").mkdir()
    (tmp_path / "b4/no_path.h5").write_bytes(b"1")

    found = sizes_below(tmp_path, "python -m stages.train --member b4 models/b4 data/none /etc")

    assert found == {"models/b4/deep/weights.h5": 3}


def test_files_of_another_machine_are_waited_for_until_they_are_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.h5").write_bytes(b"12")
    whole = threading.Timer(0.3, lambda: (tmp_path / "weights.h5").write_bytes(b"123"))
    whole.start()

    wait_until_seen(Ended(0, "there", {"weights.h5": 3}), seconds=20)

    assert (tmp_path / "weights.h5").read_bytes() == b"123"


def test_files_that_are_never_seen_are_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b").write_bytes(b"1")

    with pytest.raises(
        ParallelError, match=r"^files that there wrote .* Got: no \['a'\], 1 in all"
    ):
        wait_until_seen(Ended(0, "there", {"a": 3, "b": 1}), seconds=0)
