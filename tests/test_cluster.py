"""Tests of `pipeline.cluster`, on a Ray cluster of two nodes on this machine.

Every process joins it over the loopback. The images are real JPEG files; the stages are run as
they are.
"""

import contextlib
import logging
import math
import os
import re
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from pipeline import manifest
from pipeline.cluster import AHEAD, CHUNK
from pipeline.parallel import map_in_order
from pipeline.processes import ParallelError
from pipeline.storage import sha256_of
from stages import crop, ingest, resize
from tests.cases.tables import write_csv
from tests.images.pictures import encode, textured
from tests.ray_nodes import two_nodes
from tests.stages.crops import PARAMS, contents

pytestmark = [
    pytest.mark.slow,
    # Ray leaves sockets and files of its own to the garbage collector, and starts with a warning.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
IMAGES = 96
LOST = rf"ray: a task of {CHUNK} items was lost \(WorkerCrashedError\), run again, 1 of at most 3$"
HEADER = "isic_id,diagnosis_1,diagnosis_2,diagnosis_3,sex,age_approx,anatom_site_1,image_type"


@pytest.fixture(scope="module")
def cluster():
    """Address of a cluster of two nodes with one core each."""
    with two_nodes() as address:
        yield address


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Images and a table in today's isic-cli form."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "raw").mkdir()
    for number in range(IMAGES):
        pixels = textured(300 + number, 400)
        (folder / f"raw/ISIC_{number:03d}.jpg").write_bytes(encode(pixels, "JPEG", quality=95))
    nevus = "Benign,Benign melanocytic proliferations,Nevus,male,45,Trunk,dermoscopic"
    write_csv(
        folder / "raw/metadata.csv", HEADER, *[f"ISIC_{n:03d},{nevus}" for n in range(IMAGES)]
    )
    return folder


def run_stages(target):
    """Hash, crop and resize everything into a folder; return every byte of it."""
    ingest.main(["--source", "here", "--form", "isic_cli", "raw", f"{target}/ingest"])
    crop.main([f"{target}/ingest/manifest.csv", f"{target}/crop"])
    resize.main(["--member", "b4", f"{target}/crop", f"{target}/resize"])
    return contents(Path(target))


def set_engine(project, engine, address):
    line = f'parallel: {{engine: {engine}, workers: 0, ray_address: "{address}"}}'
    text = re.sub(r"(?m)^parallel: .*$", line, PARAMS)
    (project / "params.yaml").write_text(text)


def kill_a_worker_of_a_stage():
    """Kill the first process of this test's own cluster that Ray shows at a task of ours."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "ray::_apply" in " ".join(process.cmdline()):
                    process.kill()
                    return
        time.sleep(0.005)


def kill_a_worker_at_work(pids):
    """Kill a process that has said it is at work, once several have."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found = sorted(pids.glob("*"))
        if len(found) >= 3:
            os.kill(int(found[-1].name.partition("-")[0]), signal.SIGKILL)
            return
        time.sleep(0.01)


def note_and_hash(path):
    """Hash a file slowly, and say first which process does it."""
    (path.parent.parent / "pids" / f"{os.getpid()}-{path.stem}").touch()
    time.sleep(0.05)
    return sha256_of(path)


def test_stages_write_the_same_bytes_on_a_cluster_that_loses_a_worker(
    cluster, project, monkeypatch, caplog
):
    monkeypatch.chdir(project)
    set_engine(project, "local", "")
    local = run_stages("local")
    set_engine(project, "ray", cluster)
    killer = threading.Thread(target=kill_a_worker_of_a_stage)
    killer.start()
    with caplog.at_level(logging.WARNING, logger="pipeline.cluster"):
        on_ray = run_stages("ray")
    killer.join()

    assert any(re.match(LOST, message) for message in caplog.messages), caplog.messages
    assert len(manifest.read(Path("ray/ingest/manifest.csv"))) == IMAGES
    assert local == on_ray


def test_killed_worker_is_replaced_and_nothing_is_lost(cluster, project, monkeypatch, caplog):
    monkeypatch.chdir(project)
    (project / "pids").mkdir()
    paths = sorted((project / "raw").glob("*.jpg"))
    killer = threading.Thread(target=kill_a_worker_at_work, args=[project / "pids"])
    killer.start()

    with caplog.at_level(logging.WARNING, logger="pipeline.cluster"):
        found = list(map_in_order(note_and_hash, paths, 0, cluster))
    killer.join()

    assert found == [sha256_of(path) for path in paths]
    assert any(re.match(LOST, message) for message in caplog.messages), caplog.messages
    pids = {path.name.partition("-")[0] for path in (project / "pids").iterdir()}
    assert len(pids) >= 3  # both nodes, and the one in place of the killed
    assert str(os.getpid()) not in pids


def end_process(_item):
    os._exit(1)


def test_task_that_ends_every_process_is_given_up(cluster, project, monkeypatch, caplog):
    monkeypatch.chdir(project)

    with pytest.raises(ParallelError, match=r"^a task must end\. Got: lost 4 times, lastly by Wor"):
        list(map_in_order(end_process, [1], 0, cluster))

    ends = [message.rpartition(", ")[2] for message in caplog.messages]
    assert ends == [f"{n} of at most 3" for n in (1, 2, 3)]


def test_error_of_a_task_is_that_of_the_function(cluster, project, monkeypatch):
    monkeypatch.chdir(project)

    with pytest.raises(ValueError, match="not defined for negative values"):
        list(map_in_order(math.factorial, [1, -1, 2], 0, cluster))


def test_items_are_taken_only_so_far_ahead(cluster, project, monkeypatch):
    """A slow reader must not fill the memory of the cluster with results."""
    monkeypatch.chdir(project)
    taken = []

    def items():
        for item in range(1000):
            taken.append(item)
            yield item

    results = map_in_order(math.factorial, items(), 0, cluster)
    next(results)
    ahead = len(taken)
    results.close()

    assert ahead <= 2 * AHEAD * CHUNK


def test_cluster_that_is_not_there_is_named(project, monkeypatch):
    monkeypatch.chdir(project)

    message = r"^ray_address must be that of a cluster\. Got: 127\.0\.0\.1:1, .*refused\.$"

    with pytest.raises(ParallelError, match=message):
        list(map_in_order(math.factorial, [1], 0, "127.0.0.1:1"))


def test_nothing_to_do_asks_for_no_cluster():
    assert list(map_in_order(math.factorial, [], 0, "127.0.0.1:1")) == []
