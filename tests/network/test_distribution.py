"""Tests of `pipeline.network.distribution`: several devices train as one does.

Devices stand for themselves: two parts of this machine's processor, and two processes on it.
"""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.network.distribution import (
    ONE_DEVICE,
    Distribution,
    DistributionError,
    choose_distribution,
    read_cluster,
)
from pipeline.network.exchange import load_together, share
from pipeline.storage import read_json
from tests.network.networks import settings, small_member
from tests.stages.test_train import TRAIN, project  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 900  # for a process here; other work on the machine slows it several times over
SECONDS_TO_NOTICE = 120  # that a host has died; 7 were seen

# Summed in another order, loss and gradient norm of 12 steps differ by 1.0e-7 of their largest; the
# planted faults by 7.9e-2 and 1. A hundred times the first leaves room for other processors.
TOLERANCE = 1e-5

# No dropout and frozen statistics: the only layers whose result depends on who shares a batch.
EXACT = {"demographics": False, "freeze_batch_norm": True, "head": ["pooled", [], 0.0], "epochs": 2}
RANDOM = {**EXACT, "freeze_batch_norm": False, "head": ["pooled", [], 0.2]}


def job(devices, member=EXACT, fault="none", **changed):
    return {"devices": devices, "member": member, "settings": changed, "fault": fault}


def elaborate(devices):
    """Decay, clipping, the mean of the weights, and every batch in two parts."""
    return job(devices, {**EXACT, "accumulation_steps": 2}, optimizer=["adamw", 0.01, 1.0, 0.9])


def start_process(command, folder, **environment):
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, command)],
        cwd=folder,
        env={**os.environ, **quiet, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_hosts(commands, *folders):
    """Start one process per command, in one folder or in one each; TF_CONFIG names them all."""
    workers = [f"127.0.0.1:{port}" for port in free_ports(len(commands))]
    return [
        start_process(
            command,
            folders[index % len(folders)],
            TF_CONFIG=json.dumps(
                {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
            ),
        )
        for index, command in enumerate(commands)
    ]


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [bound.getsockname()[1] for bound in sockets]
    for bound in sockets:
        bound.close()
    return ports


def end_of(processes, seconds=SECONDS):
    """Wait for processes; return the exit status and output of each, killing what hangs."""
    try:
        return [
            (process.communicate(timeout=seconds)[0], process.returncode)[::-1]
            for process in processes
        ]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def results_of(folder, name, jobs, *, start, hosts=0, **environment):
    """Train jobs in one process, or in several hosts; return the results of each process."""
    (folder / f"{name}.json").write_text(json.dumps(jobs))
    files = [folder / f"{name}-{index}.result" for index in range(max(1, hosts))]
    commands = [
        ["tests.network.training_process", folder / f"{name}.json", file, start] for file in files
    ]
    if hosts:
        processes = start_hosts(commands, folder)
    else:
        processes = [start_process(commands[0], folder, **environment)]
    for status, output in end_of(processes):
        assert status == 0, output[-3000:]
    return [json.loads(file.read_text()) for file in files]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("devices")


@pytest.fixture(scope="module")
def one(folder):
    random = [job("one", RANDOM, seed=seed) for seed in (11, 12, 13)]
    jobs = [job("one"), elaborate("one"), *random]
    exact, elaborately, *random = results_of(folder, "one", jobs, start=folder / "start.npz")[0]
    return {"exact": exact, "elaborate": elaborately, "random": random}


@pytest.fixture(scope="module")
def several(folder, one):
    """Results of each process, by kind of devices and by job."""
    start, names = folder / "start.npz", ("exact", "elaborate", "random", "fault")
    found = {}
    for devices, fault, hosts in (("all", "gradients", 0), ("hosts", "slices", 2)):
        jobs = [job(devices), elaborate(devices), job(devices, RANDOM), job(devices, fault=fault)]
        results = results_of(folder, devices, jobs, start=start, hosts=hosts)
        found[devices] = [dict(zip(names, result, strict=True)) for result in results]
    return found


def traces_differ(result, wanted):
    """By how much loss, accuracy or gradient norm differ at most, as a share of its largest."""
    trace, wanted = np.array(result["trace"]), np.array(wanted["trace"])
    assert trace.shape == wanted.shape
    assert len(trace) >= 10
    return (np.abs(trace - wanted).max(axis=0) / np.abs(wanted).max(axis=0)).max()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["exact", "elaborate"])
@pytest.mark.parametrize("devices", ["all", "hosts"])
def test_steps_of_several_devices_are_those_of_one(one, several, devices, kind):
    for result in several[devices]:
        assert traces_differ(result[kind], one[kind]) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("devices", ["all", "hosts"])
def test_planted_fault_shows_in_the_steps(one, several, devices):
    """`all`: gradients summed twice over; `hosts`: both processes take the same part."""
    for result in several[devices]:
        assert traces_differ(result["fault"], one["exact"]) > 100 * TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("devices", ["all", "hosts"])
def test_held_out_figures_of_several_devices_are_those_of_one(one, several, devices):
    for result in several[devices]:
        for row, wanted in zip(result["exact"]["history"], one["exact"]["history"], strict=True):
            assert row["held_out_loss"] == pytest.approx(wanted["held_out_loss"], rel=1e-4)
            assert row["held_out_accuracy"] == wanted["held_out_accuracy"]


@pytest.mark.slow
def test_all_hosts_end_in_the_same_weights(several):
    first, second = (
        [result[kind]["sha256"] for kind in ("exact", "elaborate", "random")]
        for result in several["hosts"]
    )

    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("devices", ["all", "hosts"])
def test_replicas_that_normalise_and_drop_by_themselves_train_as_well(one, several, devices):
    """A replica sees 8 of 16 images, so its statistics are noisier; the mean loss of the last
    epoch stays among those of three seeds on one device, give or take a tenth of their mean."""
    losses = [result["history"][-1]["loss"] for result in one["random"]]
    margin = np.mean(losses) / 10

    for result in several[devices]:
        loss = result["random"]["history"][-1]["loss"]
        assert min(losses) - margin < loss < max(losses) + margin


@pytest.mark.slow
@pytest.mark.parametrize("devices", ["all", "hosts"])
def test_every_replica_has_dropouts_of_its_own(several, devices):
    seeds = [
        seed for result in several[devices] for layer in result["random"]["seeds"] for seed in layer
    ]

    assert len(seeds) == len(set(seeds)) == 2


@pytest.mark.slow
@pytest.mark.long
def test_jax_over_two_devices_trains_as_on_one(folder):
    """Dropout and normalisation included: JAX computes over the whole batch."""
    jobs = [job("one", RANDOM), job("all", RANDOM)]
    parted = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}

    ((one, both),) = results_of(folder, "jax", jobs, start=folder / "jax.npz", **parted)

    assert one["sha256"] != both["sha256"]  # the batch was parted
    assert traces_differ(both, one) < 10 * TOLERANCE  # 1.1e-6 was seen


def run_on_hosts(project):  # noqa: F811
    return start_hosts([TRAIN, TRAIN], project)


def weights_sha256(project):  # noqa: F811
    return hashlib.sha256((project / "trained" / "weights.weights.h5").read_bytes()).hexdigest()


@pytest.mark.slow
def test_killed_hosts_resume_to_the_same_bytes(project):  # noqa: F811
    """One of two is killed in the first epoch: the other says so and ends; then both again."""
    params = project / "params.yaml"
    text = params.read_text().replace("devices: one", "devices: hosts")
    params.write_text(text.replace("checkpoint_steps: 0", "checkpoint_steps: 1"))
    for status, output in end_of(run_on_hosts(project)):
        assert status == 0, output[-3000:]
    whole = weights_sha256(project)
    (project / "trained" / "weights.weights.h5").unlink()

    chief, other = run_on_hosts(project)
    pointer = project / ".resume" / "train" / "m-0" / "latest.json"
    deadline = time.monotonic() + SECONDS
    while not pointer.exists() and chief.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    other.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    status, output = end_of([chief])[0]
    other.communicate()
    assert time.monotonic() - killed < SECONDS_TO_NOTICE
    assert other.returncode == -signal.SIGKILL
    assert status == 1, output[-3000:]
    assert "Traceback" not in output
    assert "error: every host must stay until the end" in output.splitlines()[-1]
    assert not (project / "trained" / "weights.weights.h5").exists()
    assert len(read_json(pointer)["history"]) < 3

    for status, output in end_of(run_on_hosts(project)):
        assert status == 0, output[-3000:]
    assert weights_sha256(project) == whole
    assert not pointer.exists()


@pytest.mark.slow
def test_hosts_with_other_params_are_refused_on_each(project, tmp_path):  # noqa: F811
    others = tmp_path / "other"
    others.mkdir()
    for name in ("manifest.csv", "arrays"):
        (others / name).symlink_to(project / name)
    text = (project / "params.yaml").read_text().replace("devices: one", "devices: hosts")
    (project / "params.yaml").write_text(text)
    (others / "params.yaml").write_text(text.replace("epochs: 3", "epochs: 2"))

    ends = end_of(start_hosts([TRAIN, TRAIN], project, others))

    for (status, output), differs in zip(ends, ("does not", "does"), strict=True):
        assert status == 1
        assert f"Got: 1 of 2 that differ; this one {differs}." in output.splitlines()[-1], output
        assert "Traceback" not in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("devices", "changes", "message"),
    [
        ("hosts", {}, r"TF_CONFIG must be JSON with cluster.worker.*Got: ''"),
        ("all", {"compile_xla": True}, r"compile_xla must be false for devices: all.*Got: true"),
    ],
)
def test_what_does_not_work_is_refused(monkeypatch, devices, changes, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)

    with pytest.raises(DistributionError, match=message):
        choose_distribution(small_member(), settings(devices=devices, **changes))


def test_one_device_reads_no_cluster(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "nonsense")

    assert choose_distribution(small_member(), settings()) is ONE_DEVICE


@pytest.mark.slow
def test_run_whose_devices_were_not_chosen_is_refused():
    """Else `all` would train on one device without a word."""
    from pipeline.network.run import Run  # imports Keras

    cases = [None] * 3

    with pytest.raises(ValueError, match=r"distribution must be.*Got: 'one' and 'all'"):
        Run(None, small_member(), settings(devices="all"), *cases, None, None)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", "must be JSON"),
        ("{", "must be JSON"),
        ("[]", "must be JSON"),
        ('{"cluster": {"worker": ["a:1"]}}', "must be JSON"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}}', "must be JSON"),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, '
            '"task": {"type": "worker", "index": 0}}',
            "workers alone",
        ),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}', "alone"),
        ('{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}', "alone"),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
            r"from 0 to 1. Got: 2",
        ),
        ('{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}', "host:port"),
    ],
)
def test_cluster_that_is_not_one_is_refused(config, message):
    with pytest.raises(DistributionError, match=message):
        read_cluster(config)


def test_cluster_says_where_all_processes_are_and_which_this_is():
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}

    assert read_cluster(json.dumps(cluster)) == (["a:1", "b:1"], 1)


def test_processes_take_every_case_of_a_batch_once():
    rows = np.arange(12)
    processes = [Distribution("hosts", 3, index, 2, None) for index in range(3)]

    taken = [process.own_rows(rows) for process in processes]

    assert [len(part) for part in taken] == [4, 4, 4]
    np.testing.assert_array_equal(np.concatenate(taken), rows)
    assert [process.is_chief for process in processes] == [True, False, False]


def test_batch_that_devices_cannot_share_is_refused():
    process = Distribution("hosts", 2, 0, 2, None)

    process.check_batch(16, 2)
    with pytest.raises(DistributionError, match=r"the 4 devices.*Got: 12 images in 2 parts"):
        process.check_batch(12, 2)


def test_one_process_keeps_what_it_would_share(tmp_path):
    assert share(ONE_DEVICE, b"state") == b"state"
    assert load_together(ONE_DEVICE, tmp_path, "recipe") is None
