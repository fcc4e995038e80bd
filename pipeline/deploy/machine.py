"""What a measurement was taken on: written beside every figure, since figures differ by machine."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

# Distributions whose versions shape a figure; ONNX Runtime goes by either name.
DISTRIBUTIONS = ("tensorflow", "keras", "onnxruntime", "onnxruntime-gpu", "numpy")


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, memory, system, Python and the versions of what was measured."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": round(psutil.virtual_memory().total / 2**20),
        "os": platform.platform(),
        "python": platform.python_version(),
        "device": "cpu",
        # Above the number of cores, something else was running and the figures are too slow.
        "load_average": os.getloadavg()[0],
        "versions": _versions(),
    }


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name.removesuffix("-gpu")] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
