"""Tests of `pipeline.network.checkpoint`."""

import errno
import os
import shutil

import numpy as np
import pytest

from pipeline.network.checkpoint import (
    Checkpoint,
    CheckpointError,
    check_shapes,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)


def state(epoch, step=0, **changes):
    arrays = [np.full((2, 3), epoch + step / 100, np.float32), np.array(epoch, np.int64)]
    values = {
        "epoch": epoch,
        "step": step,
        "arrays": arrays,
        "best": [np.full(4, epoch / 2, np.float32)],
        "history": [{"epoch": e + 1, "loss": 1.0 / (e + 1)} for e in range(epoch)],
        "partial": {"loss": [0.5] * step},
    }
    return Checkpoint(**(values | changes))


def write_epochs(folder, last):
    for epoch in range(1, last + 1):
        save_checkpoint(folder, state(epoch), "recipe")


def file_of(folder, epoch, step=0):
    return folder / f"epoch-{epoch:04d}-step-{step:06d}.npz"


def is_equal(found, wanted):
    pairs = zip([*found.arrays, *found.best], [*wanted.arrays, *wanted.best], strict=True)
    same = all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)
    return same and (found.history, found.partial) == (wanted.history, wanted.partial)


def test_nothing_is_found_where_no_run_began(tmp_path):
    assert load_checkpoint(tmp_path, "recipe") is None


@pytest.mark.parametrize("step", [0, 7])
def test_newest_state_comes_back_exactly(tmp_path, step):
    write_epochs(tmp_path, 11)
    save_checkpoint(tmp_path, state(11, step + 1), "recipe")

    found = load_checkpoint(tmp_path, "recipe")

    assert (found.epoch, found.step) == (11, step + 1)
    assert is_equal(found, state(11, step + 1))


def test_two_checkpoints_are_kept(tmp_path):
    write_epochs(tmp_path, 4)

    assert sorted(tmp_path.glob("*.npz")) == [file_of(tmp_path, 3), file_of(tmp_path, 4)]


def test_size_is_that_of_the_file(tmp_path):
    size = save_checkpoint(tmp_path, state(1), "recipe")

    assert size == file_of(tmp_path, 1).stat().st_size


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "a bit flips": flip,
    "the end is missing": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "zero length": lambda path: path.write_bytes(b""),
    "deleted": lambda path: path.unlink(),
    "the content of the one before": lambda path: shutil.copy(file_of(path.parent, 2), path),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_newest_falls_back_to_the_one_before(tmp_path, capsys, damage):
    write_epochs(tmp_path, 3)
    damage(file_of(tmp_path, 3))

    found = load_checkpoint(tmp_path, "recipe")

    assert found.epoch == 2
    assert is_equal(found, state(2))
    assert "falling back" in capsys.readouterr().out


def test_run_goes_on_after_a_damaged_checkpoint(tmp_path):
    write_epochs(tmp_path, 3)
    flip(file_of(tmp_path, 3))
    load_checkpoint(tmp_path, "recipe")

    save_checkpoint(tmp_path, state(3), "recipe")

    assert is_equal(load_checkpoint(tmp_path, "recipe"), state(3))


def test_swapped_files_are_refused_instead_of_starting_anew(tmp_path):
    write_epochs(tmp_path, 3)
    older, newer = file_of(tmp_path, 2), file_of(tmp_path, 3)
    contents = older.read_bytes(), newer.read_bytes()
    newer.write_bytes(contents[0])
    older.write_bytes(contents[1])

    with pytest.raises(CheckpointError, match="must hold a whole checkpoint"):
        load_checkpoint(tmp_path, "recipe")


def test_no_whole_checkpoint_is_refused_instead_of_starting_anew(tmp_path):
    write_epochs(tmp_path, 2)
    for path in tmp_path.glob("*.npz"):
        path.write_bytes(b"")

    with pytest.raises(CheckpointError, match="must hold a whole checkpoint"):
        load_checkpoint(tmp_path, "recipe")


@pytest.mark.parametrize("length", [0, 1, 100, -2])
def test_truncated_pointer_is_refused_instead_of_starting_anew(tmp_path, length):
    write_epochs(tmp_path, 2)
    pointer = tmp_path / "latest.json"
    pointer.write_bytes(pointer.read_bytes()[:length])

    with pytest.raises(CheckpointError, match=r"latest\.json must name the checkpoints.*anew"):
        load_checkpoint(tmp_path, "recipe")


def test_pointer_of_another_form_is_refused(tmp_path):
    write_epochs(tmp_path, 1)
    (tmp_path / "latest.json").write_text("[1, 2]")

    with pytest.raises(CheckpointError, match=r"latest\.json must name the checkpoints"):
        load_checkpoint(tmp_path, "recipe")


def test_lost_pointer_is_refused_instead_of_starting_anew(tmp_path):
    write_epochs(tmp_path, 2)
    (tmp_path / "latest.json").unlink()

    with pytest.raises(CheckpointError, match="Got: no such file, beside"):
        load_checkpoint(tmp_path, "recipe")


def test_kill_in_the_very_first_write_starts_anew(tmp_path):
    write_epochs(tmp_path, 1)
    (tmp_path / "latest.json").unlink()

    assert load_checkpoint(tmp_path, "recipe") is None


def test_another_recipe_is_refused(tmp_path):
    write_epochs(tmp_path, 1)

    with pytest.raises(CheckpointError, match="params or cases have changed"):
        load_checkpoint(tmp_path, "other")


@pytest.mark.parametrize("shapes", [[(2, 3)], [(2, 3), (1,)], [(3, 2), ()]])
def test_checkpoint_of_another_network_is_refused(tmp_path, shapes):
    with pytest.raises(CheckpointError, match="the code has changed"):
        check_shapes(tmp_path, state(1), shapes)


def test_kill_between_file_and_pointer_leaves_the_previous_epoch_in_charge(tmp_path):
    """The state file is on disk, the pointer is not: the pointer decides."""
    write_epochs(tmp_path, 2)
    pointer = (tmp_path / "latest.json").read_bytes()
    save_checkpoint(tmp_path, state(3), "recipe")
    (tmp_path / "latest.json").write_bytes(pointer)

    assert load_checkpoint(tmp_path, "recipe").epoch == 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["arrays", "best"])
def test_weights_that_are_not_finite_are_never_saved(tmp_path, value, part):
    write_epochs(tmp_path, 1)
    bad = [np.ones(3, np.float32), np.array([1, value], np.float32)]

    with pytest.raises(CheckpointError, match=r"finite\. Got: 1 of \d arrays .* epoch 2"):
        save_checkpoint(tmp_path, state(2, **{part: bad}), "recipe")

    assert newest_checkpoint(tmp_path) == file_of(tmp_path, 1)
    assert not file_of(tmp_path, 2).exists()


class Disk:
    """Counts the writes of a checkpoint, and fails the n-th as a full disk does."""

    def __init__(self, monkeypatch, failing):
        self.writes, self.failing = [], failing
        for owner, name in ((os, "replace"), (os, "fsync"), (np, "savez")):
            monkeypatch.setattr(owner, name, self.wrap(name, getattr(owner, name)))

    def wrap(self, name, write):
        def wrapped(target, *args, **kwargs):
            self.writes.append(name)
            if len(self.writes) == self.failing:
                if name == "savez":
                    target.write(b"half of an archive")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(target, *args, **kwargs)

        return wrapped


# Of the archive and of the pointer: content, flush, rename, flush of the folder.
WRITES = ["savez", "fsync", "replace", "fsync", "fsync", "replace", "fsync"]


def test_a_checkpoint_is_so_many_writes(tmp_path, monkeypatch):
    disk = Disk(monkeypatch, failing=0)

    save_checkpoint(tmp_path, state(1), "recipe")

    assert disk.writes == WRITES


@pytest.mark.parametrize("failing", range(1, len(WRITES) + 1))
def test_any_failing_write_leaves_a_whole_checkpoint_in_charge(tmp_path, monkeypatch, failing):
    write_epochs(tmp_path, 2)
    with monkeypatch.context() as patch:
        Disk(patch, failing)
        with pytest.raises(CheckpointError, match=r"epoch-0003.*No space left.*make room"):
            save_checkpoint(tmp_path, state(3), "recipe")

    found = load_checkpoint(tmp_path, "recipe")
    # The pointer's name is the sixth; a failure after it leaves the new state.
    assert found.epoch == (3 if failing == len(WRITES) else 2)
    assert is_equal(found, state(found.epoch))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("failing", range(1, len(WRITES) + 1))
def test_first_checkpoint_that_cannot_be_written_leaves_a_run_that_can_start(
    tmp_path, monkeypatch, failing
):
    with monkeypatch.context() as patch:
        Disk(patch, failing)
        with pytest.raises(CheckpointError, match="make room"):
            save_checkpoint(tmp_path, state(1), "recipe")

    found = load_checkpoint(tmp_path, "recipe")
    assert found is None or is_equal(found, state(1))
    save_checkpoint(tmp_path, state(1), "recipe")
    assert is_equal(load_checkpoint(tmp_path, "recipe"), state(1))


def test_too_little_free_disk_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    write_epochs(tmp_path, 1)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=10))
    before = sorted(path.name for path in tmp_path.iterdir())

    with pytest.raises(CheckpointError, match="GB of free disk"):
        save_checkpoint(tmp_path, state(2), "recipe")

    assert sorted(path.name for path in tmp_path.iterdir()) == before
