"""Tests of `pipeline.supervise`: who may be killed, and that the command goes with them."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from pipeline.cluster import PROJECT

# Starts the supervised command as a Ray worker does, and waits for it.
WORKER = """\
import os, subprocess, sys
words = [sys.executable, "-m", "pipeline.supervise", sys.argv[1], str(os.getpid()), "/bin/sh", "-c"]
sys.exit(subprocess.call([*words, sys.argv[2]]))
"""
# Two processes, of which the second outlives its parent unless all of the group is killed.
COMMAND = "sleep 600 & echo $$ $! > pids.txt; wait"


@pytest.fixture
def permit(tmp_path):
    path = tmp_path / "permit"
    path.touch()
    return path


def start(permit, command):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    words = [sys.executable, "-c", WORKER, str(permit), command]
    return subprocess.Popen(words, cwd=permit.parent, env=environment, process_group=0)


def pids_of(folder):
    """Wait for the process numbers of a command."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if (folder / "pids.txt").exists() and (text := (folder / "pids.txt").read_text()):
            return [int(pid) for pid in text.split()]
        time.sleep(0.05)
    raise TimeoutError(folder)


def have_ended(pids):
    """Tell whether processes end within five seconds."""
    end = time.monotonic() + 5
    while alive := [pid for pid in pids if psutil.pid_exists(pid)]:
        if all(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE for pid in alive):
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize(
    ("command", "code"), [("true", 0), ("exit 3", 3), ("kill -9 $$", 128 + signal.SIGKILL)]
)
def test_exit_status_is_that_of_the_command(permit, command, code):
    assert start(permit, command).wait(timeout=30) == code


@pytest.mark.slow
def test_command_ends_with_the_worker_that_is_killed(permit):
    worker = start(permit, COMMAND)
    pids = pids_of(permit.parent)

    worker.kill()
    worker.wait()

    assert have_ended(pids)


@pytest.mark.slow
def test_command_ends_with_the_process_group_of_the_worker(permit):
    """Which Ray kills, the supervisor with it, when it finds that a worker was killed."""
    worker = start(permit, COMMAND)
    pids = pids_of(permit.parent)

    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()

    assert have_ended(pids)


@pytest.mark.slow
def test_command_ends_with_its_supervisor(permit):
    """Ray kills the children of a worker, and no more, when the worker ends in order."""
    worker = start(permit, COMMAND)
    pids = pids_of(permit.parent)
    (supervisor,) = psutil.Process(worker.pid).children()

    supervisor.kill()
    worker.wait()

    assert have_ended(pids)


@pytest.mark.slow
def test_command_ends_with_its_permit(permit):
    worker = start(permit, COMMAND)
    pids = pids_of(permit.parent)

    permit.unlink()

    assert worker.wait(timeout=30) == 128 + signal.SIGKILL
    assert have_ended(pids)
