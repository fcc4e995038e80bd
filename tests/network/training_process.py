"""A process of its own that trains small members over several devices, for the tests.

Usage: python -m tests.network.training_process jobs.json results.json start.npz

TensorFlow's devices are set once a process, before its first operation, so each kind needs one.
`jobs.json` lists what to train, one after another; `results.json` gets a trace of each. All begin
with the weights in `start.npz`, which are trained first where the file is absent.
"""

import dataclasses
import hashlib
import json
import sys
from pathlib import Path

import keras
import numpy as np

from pipeline.network import distribution as distributions
from pipeline.network import train as loop
from pipeline.network.compiled import prepare_backend
from pipeline.network.member_params import HeadParams
from pipeline.network.members import build_member
from pipeline.network.run import Run
from pipeline.network.train_params import OptimizerParams
from tests.network import networks

IMAGES = 96


def main(jobs_path, results_path, start_path):
    jobs = json.loads(Path(jobs_path).read_text())
    folder = Path(results_path).with_suffix("")
    prepare_backend()
    if any(job["devices"] == "all" for job in jobs) and keras.backend.backend() == "tensorflow":
        part_the_processor()
    chosen = {"one": distributions.ONE_DEVICE}
    cases = networks.bright_ninths(folder / "arrays", count=IMAGES)
    if not Path(start_path).exists():
        np.savez(start_path, *warm_up(cases, folder / "warm-up"))
    with np.load(start_path) as stored:
        start = [stored[name] for name in stored.files]
    results = [
        train_one(job, cases, folder / f"resume-{number}", chosen, start)
        for number, job in enumerate(jobs)
    ]
    Path(results_path).write_text(json.dumps(results))


def part_the_processor():
    import tensorflow as tf

    processor = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(processor, parts)


def warm_up(cases, folder):
    """Train for a while from scratch: with random statistics, frozen layers would pass nothing."""
    member = small_member({"head": ["pooled", [], 0.0], "demographics": False, "epochs": 4})
    model = build_member(member, training=True)
    loop.train(Run(model, member, networks.settings(), cases, None, cases, folder, None), name="")
    return [np.asarray(variable) for variable in weights_of(model)]


def weights_of(model):
    """All variables but the seeds, which a model without dropout does not have."""
    return [v for v in model.variables if "seed_generator" not in v.path]


def train_one(job, cases, folder, chosen, start):
    """Train as a job says; return the numbers of each step, of each epoch, and the weights'."""
    member = small_member(job["member"])
    devices = job["devices"]
    settings = small_settings(devices, job["settings"])
    if devices not in chosen:
        chosen[devices] = distributions.choose_distribution(member, settings)
    with_fault = FAULTS[job.get("fault", "none")]
    keras.utils.set_random_seed(settings.seed)
    with chosen[devices].scope():
        model = build_member(member, training=True)
    for variable, array in zip(weights_of(model), start, strict=True):
        variable.assign(array)
    run = Run(model, member, settings, cases, None, cases, folder, None, chosen[devices])
    trace, seeds = [], []
    with recorded(trace, seeds), with_fault():
        outcome = loop.train(run, name=devices)
    return {
        "trace": [[float(value) for value in dataclasses.astuple(result)] for result in trace],
        "seeds": seeds,
        "history": outcome.history,
        "sha256": hashlib.sha256(
            b"".join(np.asarray(v).tobytes() for v in model.variables)
        ).hexdigest(),
    }


def small_member(changes):
    head = HeadParams(*changes["head"])
    fixed = {"backbone": "small", "width": 0.5, "batch_size": 16}
    return networks.small_member(**{**fixed, **changes, "head": head})


def small_settings(devices, changes):
    if "optimizer" in changes:
        changes = {**changes, "optimizer": OptimizerParams(*changes["optimizer"])}
    return networks.settings(devices=devices, **changes)


class Replaced:
    """An attribute that is another while a block runs."""

    def __init__(self, owner, name, make):
        self.owner, self.name, self.make = owner, name, make

    def __enter__(self):
        self.before = getattr(self.owner, self.name)
        setattr(self.owner, self.name, self.make(self.before))

    def __exit__(self, *error):
        setattr(self.owner, self.name, self.before)


def recorded(trace, seeds):
    """Keep what every step reports, and the seeds of this process's dropouts at the first."""

    def recording(make_step):
        def make(*arguments):
            step = make_step(*arguments)
            take = type(step).__call__

            class Recording(type(step)):
                def __call__(self, batch, rate):
                    if not trace:
                        seeds.extend(seeds_of(self))
                    result = take(self, batch, rate)
                    trace.append(result)
                    return result

            step.__class__ = Recording
            return step

        return make

    return Replaced(loop, "make_step", recording)


def seeds_of(step):
    """The first word of every replica's seed, dropout by dropout."""
    return [
        [int(copy.numpy()[0]) for copy in step._strategy.experimental_local_results(seed)]
        for seed in (generator.state.value for generator in getattr(step, "_seeds", []))
    ]


def gradients_as_many_times_too_large():
    """As where losses are averaged in each replica, not over them; the loss itself is right."""
    from pipeline.network.tensorflow_replicas import ReplicatedStep

    def summing(over_replicas):
        def add_up(self, reduction, values):
            loss, accuracy, *gradients = over_replicas(self, reduction, values)
            return [loss, accuracy, *(g * self._distribution.replicas for g in gradients)]

        return add_up

    return Replaced(ReplicatedStep, "_over_replicas", summing)


def all_take_the_first_part():
    """As where a process does not know which one it is."""
    return Replaced(
        distributions.Distribution,
        "own_rows",
        lambda _: lambda self, rows: rows[: len(rows) // self.processes],
    )


def nothing_wrong():
    return Replaced(loop, "train", lambda train: train)


FAULTS = {
    "none": nothing_wrong,
    "gradients": gradients_as_many_times_too_large,
    "slices": all_take_the_first_part,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
