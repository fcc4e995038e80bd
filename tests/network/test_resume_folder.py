"""Tests of `pipeline.network.resume_folder`."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.network.resume_folder import (
    ResumeFolderError,
    discard_resume_folder,
    hold_resume_folder,
)

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from pathlib import Path
from pipeline.network.resume_folder import hold_resume_folder
with hold_resume_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder `run`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_second_process_is_refused(tmp_path, holder):
    with (
        pytest.raises(ResumeFolderError, match="must be of one process at a time"),
        hold_resume_folder(tmp_path / "run"),
    ):
        pass


def test_other_folder_is_free(tmp_path, holder):
    with hold_resume_folder(tmp_path / "other"):
        assert (tmp_path / "other").is_dir()


def test_lock_of_a_killed_process_is_gone(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()

    with hold_resume_folder(tmp_path / "run"):
        pass


def test_folder_is_free_after_a_failure(tmp_path):
    with pytest.raises(ZeroDivisionError), hold_resume_folder(tmp_path):
        raise ZeroDivisionError

    with hold_resume_folder(tmp_path):
        pass


def test_half_written_files_of_a_killed_process_are_removed(tmp_path):
    names = {".epoch-0001-step-000000.npz.ab12cd.tmp", "latest.json", "epoch-0001-step-000000.npz"}
    for name in names:
        (tmp_path / name).write_bytes(b"x")

    with hold_resume_folder(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {
            "lock",
            "latest.json",
            "epoch-0001-step-000000.npz",
        }


def test_discarded_folder_is_gone(tmp_path):
    with hold_resume_folder(tmp_path / "run"):
        (tmp_path / "run" / "latest.json").write_text("{}")
        discard_resume_folder(tmp_path / "run")

    assert not list(tmp_path.iterdir())


def test_kill_while_a_folder_is_discarded_leaves_nothing_to_resume_from(tmp_path, monkeypatch):
    """Not a folder without its checkpoints, which would be refused; what is left goes later."""
    folder = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", killed_in_the_middle)
        folder.mkdir()
        for name in ("epoch-0001-step-000000.npz", "latest.json"):
            (folder / name).write_text("{}")
        discard_resume_folder(folder)
    assert not folder.exists()

    with hold_resume_folder(folder):
        assert [path.name for path in tmp_path.iterdir()] == ["run"]


def killed_in_the_middle(folder):
    os.unlink(folder / "epoch-0001-step-000000.npz")
    raise KeyboardInterrupt
