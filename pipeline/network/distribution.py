"""Which devices train a member together, and what this process does of that.

Data parallel: every replica, a device with its own copy of all variables, takes an equal part of
each global batch; gradients are summed over the replicas, so that all copies stay the same. Every
process runs the same plan from the same seeds; the chief, process 0, alone writes.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.network.member_params import MemberParams
from pipeline.network.rendezvous import meet
from pipeline.network.train_params import TrainParams

# What TensorFlow's collective operations raise once a peer is gone or silent.
LOST = ("UnavailableError", "AbortedError", "CancelledError", "DeadlineExceededError")


class DistributionError(ValueError):
    """The devices asked for cannot train together, or no longer do."""


@dataclass(frozen=True)
class Distribution:
    """The devices that train together, as one process sees them.

    Attributes:
        devices: `one`, `all` or `hosts`, as in section `train`.
        processes: That train together.
        index: Of this process, from 0.
        local_replicas: Devices of this process; every process has as many.
        strategy: TensorFlow's; `None` on one device, and on JAX.
    """

    devices: str
    processes: int
    index: int
    local_replicas: int
    strategy: Any

    @property
    def replicas(self) -> int:
        """Devices of all processes."""
        return self.processes * self.local_replicas

    @property
    def is_chief(self) -> bool:
        """Whether this process writes checkpoints, metrics and results."""
        return self.index == 0

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which model and optimizers are built."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def own_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return this process's part of a global batch, `(batch / processes,)`."""
        size = len(rows) // self.processes
        return rows[self.index * size : (self.index + 1) * size]

    def check_batch(self, size: int, parts: int) -> None:
        """Refuse a global batch that the replicas cannot share evenly.

        Args:
            size: Of the global batch.
            parts: That it is taken in, one after another.

        Raises:
            DistributionError: The replicas' shares of a part would differ.
        """
        if self.devices != "one" and size % (self.replicas * parts):
            raise DistributionError(
                f"a batch must be a multiple of accumulation_steps times the {self.replicas} "
                f"devices of devices: {self.devices}. Got: {size} images in {parts} parts."
            )


ONE_DEVICE = Distribution("one", processes=1, index=0, local_replicas=1, strategy=None)


def choose_distribution(member: MemberParams, settings: TrainParams) -> Distribution:
    """Find the devices that `settings.devices` asks for.

    Call it after `compiled.prepare_backend` and before anything is built: several hosts find each
    other before TensorFlow's first operation, and wait here for those that have not started.

    Raises:
        DistributionError: They cannot train this member together.
        RendezvousError: A host does not come.
    """
    if settings.devices == "one":
        return ONE_DEVICE
    import keras

    if keras.backend.backend() == "jax":
        distribution = _of_jax(settings)
    else:
        distribution = _of_tensorflow(settings)
    distribution.check_batch(member.batch_size, member.accumulation_steps)
    return distribution


def _of_jax(settings: TrainParams) -> Distribution:
    if settings.devices == "hosts":
        raise DistributionError("devices must be one or all on JAX. Got: 'hosts'.")
    from pipeline.network.jax_compiled import count_devices

    return Distribution("all", 1, 0, count_devices(), None)


def _of_tensorflow(settings: TrainParams) -> Distribution:
    if settings.compile_xla:
        raise DistributionError(
            f"compile_xla must be false for devices: {settings.devices}: XLA does not compile "
            "what the devices tell each other. Got: true."
        )
    from pipeline.network import tensorflow_devices

    if settings.devices == "all":
        strategy = tensorflow_devices.join_local_devices()
        return Distribution("all", 1, 0, strategy.num_replicas_in_sync, strategy)
    workers, index = read_cluster(os.environ.get("TF_CONFIG", ""))
    meet(workers, index)
    processes = len(workers)
    strategy = tensorflow_devices.join_hosts(processes)
    local = strategy.num_replicas_in_sync // processes
    return Distribution("hosts", processes, index, local, strategy)


def read_cluster(text: str) -> tuple[list[str], int]:
    """Read from TF_CONFIG the addresses of all processes, and which of them this one is.

    Raises:
        DistributionError: It is no such JSON, or names something else than workers.
    """
    try:
        config = json.loads(text)
        workers, task = config["cluster"]["worker"], config["task"]
        jobs, index = list(config["cluster"]), task["index"]
    except (ValueError, KeyError, TypeError) as error:
        raise DistributionError(
            "TF_CONFIG must be JSON with cluster.worker, a list of host:port, and task with type "
            f"and index, for devices: hosts. Got: {text!r}."
        ) from error
    if jobs != ["worker"] or task.get("type") != "worker" or not isinstance(workers, list):
        raise DistributionError(
            f"TF_CONFIG must name workers alone, the first of which is the chief. Got: {text!r}."
        )
    if not isinstance(index, int) or not 0 <= index < len(workers):
        raise DistributionError(
            f"TF_CONFIG: task.index must be from 0 to {len(workers) - 1}. Got: {index!r}."
        )
    wrong = [worker for worker in workers if not re.fullmatch(r".+:\d+", str(worker))]
    if wrong:
        raise DistributionError(f"TF_CONFIG: workers must be host:port. Got: {wrong[:5]}.")
    return workers, index


@contextlib.contextmanager
def explaining_lost_hosts(settings: TrainParams) -> Iterator[None]:
    """Turn what TensorFlow raises where another host is gone into one clear line.

    Raises:
        DistributionError: Another host has died, ended with an error, or fallen silent.
    """
    try:
        yield
    except Exception as error:
        if settings.devices != "hosts" or type(error).__name__ not in LOST:
            raise
        reason = next((line for line in str(error).splitlines() if "abort" in line), str(error))
        raise DistributionError(
            "every host must stay until the end; one is gone, or ended with an error of its own. "
            "Start the same command on every host again: it goes on from the chief's newest "
            f"checkpoint. Got: {reason[:200]}"
        ) from error
