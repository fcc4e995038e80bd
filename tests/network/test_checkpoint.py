"""Tests of `pipeline.network.checkpoint`."""

import dataclasses

import numpy as np
import pytest

from pipeline.network.checkpoint import (
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)


def state(epoch):
    arrays = [np.full((2, 3), epoch, np.float32), np.array(epoch, np.int64)]
    best = [np.full((2, 3), -epoch, np.float32)] if epoch > 1 else []
    history = [{"epoch": e + 1, "loss": 1.0 / (e + 1)} for e in range(epoch)]
    return Checkpoint(epoch, 5, arrays, best, history, {"loss": [0.5, epoch]})


def write_epochs(folder, last):
    for epoch in range(1, last + 1):
        save_checkpoint(folder, state(epoch), "recipe")


def test_nothing_is_found_where_no_run_began(tmp_path):
    assert load_checkpoint(tmp_path, "recipe") is None


def test_newest_state_comes_back_exactly(tmp_path):
    write_epochs(tmp_path, 12)

    found = load_checkpoint(tmp_path, "recipe")

    wanted = state(12)
    assert (found.epoch, found.step) == (12, 5)
    assert (found.history, found.partial) == (wanted.history, wanted.partial)
    pairs = zip(found.arrays + found.best, wanted.arrays + wanted.best, strict=True)
    for array, original in pairs:
        np.testing.assert_array_equal(array, original)
        assert array.dtype == original.dtype


def test_two_checkpoints_are_kept(tmp_path):
    write_epochs(tmp_path, 4)

    assert sorted(p.name for p in tmp_path.glob("*.npz")) == [
        "epoch-0003-step-000005.npz",
        "epoch-0004-step-000005.npz",
    ]


def test_size_is_that_of_the_file(tmp_path):
    size = save_checkpoint(tmp_path, state(1), "recipe")

    assert size == (tmp_path / "epoch-0001-step-000005.npz").stat().st_size


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_damaged_newest_falls_back_to_the_one_before(tmp_path, capsys, damage):
    write_epochs(tmp_path, 3)
    newest = tmp_path / "epoch-0003-step-000005.npz"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "delete":
        newest.unlink()
    else:
        newest.write_bytes(content if damage == "flip" else content[:-20])

    found = load_checkpoint(tmp_path, "recipe")

    assert found.epoch == 2
    assert len(found.history) == 2
    assert "falling back" in capsys.readouterr().out


def test_no_whole_checkpoint_is_refused_instead_of_starting_anew(tmp_path):
    write_epochs(tmp_path, 2)
    for path in tmp_path.glob("*.npz"):
        path.write_bytes(b"")

    with pytest.raises(CheckpointError, match="must hold a whole checkpoint"):
        load_checkpoint(tmp_path, "recipe")


def test_another_recipe_is_refused(tmp_path):
    write_epochs(tmp_path, 1)

    with pytest.raises(CheckpointError, match="params or cases have changed"):
        load_checkpoint(tmp_path, "other")


def test_kill_between_file_and_pointer_leaves_the_previous_epoch_in_charge(tmp_path):
    """The state file is on disk, the pointer is not: the pointer decides."""
    write_epochs(tmp_path, 2)
    pointer = (tmp_path / "latest.json").read_bytes()
    save_checkpoint(tmp_path, state(3), "recipe")
    (tmp_path / "latest.json").write_bytes(pointer)

    assert load_checkpoint(tmp_path, "recipe").epoch == 2


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    write_epochs(tmp_path, 1)
    bad = dataclasses.replace(state(2), arrays=[np.array([1.0, np.nan], np.float32)])

    with pytest.raises(CheckpointError, match=r"weights must be finite. Got: 1 of 1 arrays"):
        save_checkpoint(tmp_path, bad, "recipe")

    assert load_checkpoint(tmp_path, "recipe").epoch == 1


def test_checkpoints_inside_an_epoch_take_turns_with_those_at_its_end(tmp_path):
    for step in (5, 10):
        save_checkpoint(tmp_path, dataclasses.replace(state(1), step=step), "recipe")

    found = load_checkpoint(tmp_path, "recipe")

    assert (found.epoch, found.step, len(found.history)) == (1, 10, 1)
    assert newest_checkpoint(tmp_path).name == "epoch-0001-step-000010.npz"
