"""Find the NVIDIA GPUs of this machine by asking their driver: TensorFlow would take seconds."""

import os
import re
import subprocess
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/gpus")
SECONDS = 60  # a driver that has just been loaded takes some to answer


def find_gpus(chosen: str | None) -> list[str]:
    """Name the GPUs that runs may take, as CUDA_VISIBLE_DEVICES names them.

    Args:
        chosen: Some of them, joined by commas, such as `0,2`; `None` takes all.

    Raises:
        ValueError: A chosen one is not there.
    """
    found = visible_gpus()
    if chosen is None:
        return found
    wanted = split_names(chosen)
    if not wanted or not set(wanted) <= set(found):
        raise ValueError(f"GPUS must be some of {found}. Got: {chosen!r}.")
    return wanted


def visible_gpus() -> list[str]:
    """Name the GPUs of this machine, or those of them that CUDA_VISIBLE_DEVICES leaves."""
    found = numbered_gpus()
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return found if given is None or not found else split_names(given)


def split_names(names: str) -> list[str]:
    """Split `0,2` as CUDA does: each name once, none from an invalid number on."""
    found: dict[str, None] = {}
    for name in (part.strip() for part in names.split(",")):
        if not name or name.startswith("-"):
            break
        found[name] = None
    return list(found)


def numbered_gpus() -> list[str]:
    """Number the GPUs that the driver knows, in the order of their PCI bus; none without one."""
    try:
        result = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=SECONDS
        )
    except FileNotFoundError:  # a driver without its tools
        count = len(list(DRIVER.glob("*"))) if DRIVER.is_dir() else 0
        return [str(number) for number in range(count)]
    except (OSError, subprocess.TimeoutExpired):
        return []
    return re.findall(r"(?m)^GPU (\d+):", result.stdout) if not result.returncode else []
