"""Training state that survives a kill at any instant.

Each state is one file under its own name; a pointer with its SHA-256 is written last, so a kill
leaves the state before in charge. Two are kept: where the newest is damaged, the one before it is
taken.
"""

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.storage import atomic_write, check_free_disk, read_json, sha256_of, write_json

KEPT = 2
POINTER = "latest.json"


class CheckpointError(ValueError):
    """No checkpoint can be resumed from, or none can be written."""


class DivergedError(CheckpointError):
    """Weights are not finite."""


@dataclass(frozen=True)
class Checkpoint:
    """What is known at one instant of a run.

    Attributes:
        epoch: Epochs finished.
        step: Steps finished of the epoch after those.
        arrays: Every variable of network and optimizers, in their fixed order.
        best: Variables of the network after the best epoch so far; empty where none is chosen.
        history: One row per finished epoch.
        partial: Losses and such of the unfinished epoch, by name, one value per step.
    """

    epoch: int
    step: int
    arrays: list[np.ndarray]
    best: list[np.ndarray]
    history: list[dict[str, Any]]
    partial: dict[str, list[float]]


@dataclass(frozen=True)
class _Entry:
    file: str
    sha256: str
    epoch: int
    step: int
    partial: dict[str, list[float]]


def save_checkpoint(folder: Path, checkpoint: Checkpoint, recipe: str) -> int:
    """Write a checkpoint, then the pointer to it, then drop all but the newest two.

    Args:
        folder: Resume folder of one run.
        checkpoint: The state.
        recipe: Fingerprint of everything that shaped it; resuming with another one is refused.

    Returns:
        Size of the checkpoint's file in bytes.

    Raises:
        DivergedError: A weight is not finite.
        CheckpointError: That, or the disk is full. Earlier checkpoints stay.
    """
    _check_finite(folder, checkpoint)
    path = folder / f"epoch-{checkpoint.epoch:04d}-step-{checkpoint.step:06d}.npz"
    named = {f"arr_{i}": array for i, array in enumerate(checkpoint.arrays)}
    named |= {f"best_{i}": array for i, array in enumerate(checkpoint.best)}
    try:
        check_free_disk(folder, sum(array.nbytes for array in named.values()))
        with atomic_write(path) as file:
            np.savez(file, **named)
        entry = _Entry(
            path.name, sha256_of(path), checkpoint.epoch, checkpoint.step, checkpoint.partial
        )
        entries = [entry, *(e for e in _entries(folder) if e.file != entry.file)][:KEPT]
        pointer = {
            "recipe": recipe,
            "entries": [asdict(e) for e in entries],
            "history": checkpoint.history,
        }
        write_json(folder / POINTER, pointer)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} must be written. Got: {error} What was saved before is whole: make room and "
            "run the same command again, it goes on from there."
        ) from error
    for old in folder.glob("epoch-*.npz"):
        if old.name not in {e.file for e in entries}:
            old.unlink()
    return path.stat().st_size


def load_checkpoint(folder: Path, recipe: str) -> Checkpoint | None:
    """Read the newest whole checkpoint; `None` where no run has begun.

    Raises:
        CheckpointError: The run that began here had another recipe, or no checkpoint is whole.
    """
    pointer = _read_pointer(folder)
    if not pointer:
        _refuse_lost_pointer(folder)
        return None
    if pointer["recipe"] != recipe:
        raise CheckpointError(
            f"{folder} must hold a run of this recipe and data; params or cases have changed. "
            "Delete the folder to train anew, or restore params.yaml to resume."
        )
    for entry in _entries(folder):
        path = folder / entry.file
        if path.is_file() and sha256_of(path) == entry.sha256:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                arrays, best = _in_order(stored, "arr_"), _in_order(stored, "best_")
            history = pointer["history"][: entry.epoch]
            return Checkpoint(entry.epoch, entry.step, arrays, best, history, entry.partial)
        print(f"train: {path} is damaged or absent; falling back to the checkpoint before it.")
    raise CheckpointError(
        f"{folder} must hold a whole checkpoint. Delete the folder to train anew."
    )


def check_shapes(folder: Path, found: Checkpoint, shapes: list[tuple[int, ...]]) -> None:
    """Refuse a checkpoint of another network: the code may have changed since, with equal params.

    Raises:
        CheckpointError: Its arrays have other shapes.
    """
    stored = [array.shape for array in found.arrays]
    if stored != shapes:
        raise CheckpointError(
            f"{folder} must hold a run of this network: {len(shapes)} variables. Got: "
            f"{len(stored)} arrays, or other shapes; the code has changed. Delete the folder to "
            "train anew."
        )


def checkpoint_bytes(folder: Path) -> int:
    """Return the size of the largest checkpoint of a run."""
    return max(path.stat().st_size for path in folder.glob("epoch-*.npz"))


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the file of the newest checkpoint; `None` where there is none."""
    entries = _entries(folder)
    return folder / entries[0].file if entries else None


def _check_finite(folder: Path, checkpoint: Checkpoint) -> None:
    arrays = [*checkpoint.arrays, *checkpoint.best]
    bad = sum(1 for array in arrays if not np.isfinite(array).all())
    if bad:
        raise DivergedError(
            f"{folder}: weights must be finite. Got: {bad} of {len(arrays)} arrays that "
            f"are not, after epoch {checkpoint.epoch} and step {checkpoint.step}. Nothing of them "
            "was saved; lower peak_learning_rate or lengthen warmup_epochs."
        )


def _in_order(stored: Any, prefix: str) -> list[np.ndarray]:
    count = sum(1 for name in stored.files if name.startswith(prefix))
    return [stored[f"{prefix}{i}"] for i in range(count)]


def _entries(folder: Path) -> list[_Entry]:
    pointer = _read_pointer(folder)
    return [_Entry(**e) for e in pointer["entries"]] if pointer else []


def _read_pointer(folder: Path) -> dict[str, Any] | None:
    path = folder / POINTER
    if not path.is_file():
        return None
    try:
        pointer = read_json(path)
        return {key: pointer[key] for key in ("recipe", "entries", "history")}
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} must name the checkpoints beside it. Got: a damaged file ({error!r}). Restore "
            f"it from a copy, or delete {folder} to train anew."
        ) from error


def _refuse_lost_pointer(folder: Path) -> None:
    """A kill in the first write may leave one file that no pointer names, never more."""
    found = sorted(path.name for path in folder.glob("epoch-*.npz"))
    if len(found) > 1:
        raise CheckpointError(
            f"{folder / POINTER} must name the checkpoints beside it. Got: no such file, beside "
            f"{found}. Restore it from a copy, or delete {folder} to train anew."
        )
