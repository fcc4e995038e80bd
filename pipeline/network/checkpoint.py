"""Training state that survives a kill at any instant.

Each epoch's state is one file under its own name; a pointer with its SHA-256 is written last, so a
kill leaves the previous epoch in charge. Two are kept: where the newest is damaged, the one before
it is taken.
"""

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.storage import atomic_write, read_json, sha256_of, write_json

KEPT = 2


class CheckpointError(ValueError):
    """No checkpoint can be resumed from."""


@dataclass(frozen=True)
class Checkpoint:
    """What is known after an epoch.

    Attributes:
        epoch: Epochs finished.
        arrays: Every variable of network and optimizer, in their fixed order.
        history: One row per finished epoch.
    """

    epoch: int
    arrays: list[np.ndarray]
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class _Entry:
    file: str
    sha256: str
    epoch: int


def save_checkpoint(folder: Path, checkpoint: Checkpoint, recipe: str) -> int:
    """Write a checkpoint, then the pointer to it, then drop all but the newest two.

    Args:
        folder: Resume folder of one run.
        checkpoint: The state.
        recipe: Fingerprint of everything that shaped it; resuming with another one is refused.

    Returns:
        Size of the checkpoint's file in bytes.
    """
    path = folder / f"epoch-{checkpoint.epoch:04d}.npz"
    with atomic_write(path) as file:
        # Positional names keep the order: arr_0, arr_1, …
        np.savez(file, *checkpoint.arrays)
    entry = _Entry(path.name, sha256_of(path), checkpoint.epoch)
    entries = [entry, *(e for e in _entries(folder) if e.file != entry.file)][:KEPT]
    pointer = {
        "recipe": recipe,
        "entries": [asdict(e) for e in entries],
        "history": checkpoint.history,
    }
    write_json(folder / "latest.json", pointer)
    for old in folder.glob("epoch-*.npz"):
        if old.name not in {e.file for e in entries}:
            old.unlink()
    return path.stat().st_size


def load_checkpoint(folder: Path, recipe: str) -> Checkpoint | None:
    """Read the newest whole checkpoint; `None` where no run has begun.

    Raises:
        CheckpointError: The run that began here had another recipe, or no checkpoint is whole.
    """
    if not (folder / "latest.json").is_file():
        return None
    pointer = read_json(folder / "latest.json")
    if pointer["recipe"] != recipe:
        raise CheckpointError(
            f"{folder} must hold a run of this recipe and data; params or cases have changed. "
            "Delete the folder to train anew, or restore params.yaml to resume."
        )
    for entry in _entries(folder):
        path = folder / entry.file
        if path.is_file() and sha256_of(path) == entry.sha256:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                arrays = [stored[f"arr_{i}"] for i in range(len(stored.files))]
            return Checkpoint(entry.epoch, arrays, pointer["history"][: entry.epoch])
        print(f"train: {path} is damaged or absent; falling back to the checkpoint before it.")
    raise CheckpointError(
        f"{folder} must hold a whole checkpoint. Delete the folder to train anew."
    )


def _entries(folder: Path) -> list[_Entry]:
    pointer = folder / "latest.json"
    return [_Entry(**e) for e in read_json(pointer)["entries"]] if pointer.is_file() else []
