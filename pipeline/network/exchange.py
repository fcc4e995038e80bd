"""What processes tell each other beside gradients: the chief's state, and each one's scores.

With one process nothing is sent, and what goes in comes out.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.network.checkpoint import Checkpoint, load_checkpoint
from pipeline.network.distribution import Distribution, DistributionError

SENT_WORDS = 1 << 24  # int32 at once, 64 MiB


def sum_words(distribution: Distribution, words: np.ndarray) -> np.ndarray:
    """Sum int32 arrays of one shape over the processes; 0 + x is exact, whatever x stands for."""
    from pipeline.network.tensorflow_devices import sum_over_processes

    return sum_over_processes(distribution.strategy, words, distribution.local_replicas)


def share(distribution: Distribution, content: bytes) -> bytes:
    """Give every process the chief's bytes; what the others bring is not looked at."""
    if distribution.processes == 1:
        return content
    count = len(content) if distribution.is_chief else 0
    high, low = sum_words(distribution, np.array(divmod(count, 1 << 30), np.int32))
    count = (int(high) << 30) + int(low)
    words = np.zeros(-(-count // 4), np.int32)
    if distribution.is_chief:
        words.view(np.uint8)[:count] = np.frombuffer(content, np.uint8)
    parts = [
        sum_words(distribution, words[start : start + SENT_WORDS])
        for start in range(0, len(words), SENT_WORDS)
    ]
    return np.concatenate([np.zeros(0, np.int32), *parts]).tobytes()[:count]


def load_together(distribution: Distribution, folder: Path, recipe: str) -> Checkpoint | None:
    """Give every process the state in the chief's folder; `None` where a run begins anew.

    Raises:
        DistributionError: In every process, if one has other params or cases than the chief.
        CheckpointError: In the chief, as `checkpoint.load_checkpoint`.
    """
    if distribution.processes == 1:
        return load_checkpoint(folder, recipe)
    check_alike(distribution, recipe)
    found = load_checkpoint(folder, recipe) if distribution.is_chief else None
    state = share(distribution, _packed(found) if found else b"")
    return _unpacked(state) if state else None


def check_alike(distribution: Distribution, recipe: str) -> None:
    """Refuse processes that were started with other params or cases than the chief.

    Raises:
        DistributionError: In every process, if one differs.
    """
    differs = share(distribution, recipe.encode()).decode() != recipe
    differing = int(sum_words(distribution, np.array([differs], np.int32))[0])
    if differing:
        raise DistributionError(
            "every host must have the params and cases of the first. "
            f"Got: {differing} of {distribution.processes} that differ; this one "
            f"{'does' if differs else 'does not'}."
        )


def gather_rows(distribution: Distribution, own: np.ndarray, counts: list[int]) -> np.ndarray:
    """Join float32 rows of all processes, in their order, in every process.

    Args:
        own: Rows of this process, `(counts[index], width)` float32.
        counts: Rows of each process.
    """
    if distribution.processes == 1:
        return own
    rows = np.zeros((sum(counts), own.shape[1]), np.float32)
    first = sum(counts[: distribution.index])
    rows[first : first + len(own)] = own
    return sum_words(distribution, rows.view(np.int32)).view(np.float32)


def wait_for_chief(distribution: Distribution) -> None:
    """Return once the chief has come here too, so that what it writes before is on disk."""
    share(distribution, b"here")


def _packed(found: Checkpoint) -> bytes:
    about = [found.epoch, found.step, len(found.arrays), found.history, found.partial]
    described = np.frombuffer(json.dumps(about).encode(), np.uint8)
    file = io.BytesIO()
    np.savez(file, described, *found.arrays, *found.best)
    return file.getvalue()


def _unpacked(content: bytes) -> Checkpoint:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        described, *arrays = [stored[f"arr_{i}"] for i in range(len(stored.files))]
    about: list[Any] = json.loads(described.tobytes())
    epoch, step, count, history, partial = about
    return Checkpoint(epoch, step, arrays[:count], arrays[count:], history, partial)
