"""Tests of `pipeline.storage`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.storage import (
    StorageError,
    atomic_folder,
    atomic_path,
    atomic_write,
    check_free_disk,
    link_or_copy,
    read_json,
    recover_folder,
    remove_partial_files,
    sha256_of,
    write_csv,
    write_json,
)

ROOT = Path(__file__).resolve().parents[1]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_file_appears_whole(tmp_path):
    with atomic_write(tmp_path / "new/a.txt", "w") as file:
        file.write("é\n")
        assert not (tmp_path / "new/a.txt").exists()

    assert (tmp_path / "new/a.txt").read_bytes() == "é\n".encode()
    assert names(tmp_path / "new") == ["a.txt"]


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    with pytest.raises(RuntimeError, match="disk"), atomic_write(tmp_path / "a.txt", "w") as file:
        file.write("half")
        raise RuntimeError("disk")

    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_writing_in_place_would_be_caught(tmp_path):
    """The planted fault of the test above: the plain way loses the old file."""
    path = tmp_path / "a.txt"
    path.write_text("old")

    with pytest.raises(RuntimeError, match="disk"), open(path, "w") as file:
        file.write("half")
        raise RuntimeError("disk")

    assert path.read_text() != "old"


def test_path_for_other_libraries_keeps_its_suffix_and_is_renamed(tmp_path):
    with atomic_path(tmp_path / "a.npy") as path:
        assert path.suffix == ".npy"
        np.save(path, np.arange(3))

    assert np.load(tmp_path / "a.npy").tolist() == [0, 1, 2]
    assert names(tmp_path) == ["a.npy"]


def test_failed_path_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="disk"), atomic_path(tmp_path / "a.npy") as path:
        path.write_bytes(b"half")
        raise RuntimeError("disk")

    assert names(tmp_path) == []


def test_json_comes_back_and_is_sorted(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1.5, "a": [None, "é"]})

    assert read_json(tmp_path / "a.json") == {"a": [None, "é"], "b": 1.5}
    assert (tmp_path / "a.json").read_text(encoding="utf-8").index('"a"') < 5


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="Out of range float values"):
        write_json(tmp_path / "a.json", {"a": float("nan")})

    assert names(tmp_path) == []


def test_csv_is_without_an_index_and_what_is_missing_is_empty(tmp_path):
    table = pd.DataFrame({"x": [0.1 + 0.2, np.nan], "n": ["a", None]}, index=[5, 6])

    write_csv(tmp_path / "a.csv", table)

    assert (tmp_path / "a.csv").read_bytes() == b"x,n\n0.30000000000000004,a\n,\n"


def test_nine_digits_bring_a_float32_back(tmp_path):
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)

    write_csv(tmp_path / "a.csv", pd.DataFrame({"x": values}), digits=9)

    found = pd.read_csv(tmp_path / "a.csv").x.to_numpy(np.float32)
    np.testing.assert_array_equal(found, values)


def test_a_table_that_cannot_be_written_leaves_the_earlier_one(tmp_path):
    write_csv(tmp_path / "a.csv", pd.DataFrame({"x": [1]}))

    class Broken:
        def to_csv(self, file, **options):
            file.write("x\n2")
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        write_csv(tmp_path / "a.csv", Broken())

    assert (tmp_path / "a.csv").read_text() == "x\n1\n"
    assert names(tmp_path) == ["a.csv"]


def test_sha256_is_that_of_the_standard(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-4's own example

    assert sha256_of(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_folder_appears_whole(tmp_path):
    (tmp_path / "out").mkdir()  # empty, as DVC may leave it

    with atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
        assert not (tmp_path / "out").exists()

    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["a"]


def test_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="disk"), atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("half")
        raise RuntimeError("disk")

    assert names(tmp_path) == []


def test_folder_of_a_killed_run_is_started_afresh(tmp_path):
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial/stale").write_text("stale")

    with atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")

    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["a"]


def test_folder_with_files_is_never_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    message = rf"^{re.escape(str(tmp_path / 'out'))} must be absent or empty"

    with pytest.raises(StorageError, match=message), atomic_folder(tmp_path / "out"):
        pass

    assert names(tmp_path / "out") == ["mine"]


def write_folder(path, text):
    with atomic_folder(path, replaces="index") as folder:
        (folder / "index").write_text(text)


def test_earlier_result_is_replaced_whole(tmp_path):
    write_folder(tmp_path / "out", "old")
    (tmp_path / "out/more").write_text("old")

    write_folder(tmp_path / "out", "new")

    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["index"]
    assert (tmp_path / "out/index").read_text() == "new"


def test_failure_leaves_the_earlier_result(tmp_path):
    write_folder(tmp_path / "out", "old")

    with (
        pytest.raises(RuntimeError, match="disk"),
        atomic_folder(tmp_path / "out", replaces="index") as folder,
    ):
        (folder / "index").write_text("half")
        raise RuntimeError("disk")

    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out/index").read_text() == "old"


def test_folder_that_is_no_earlier_result_is_never_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")

    with pytest.raises(StorageError, match="must be absent or empty"):
        write_folder(tmp_path / "out", "new")

    assert names(tmp_path / "out") == ["mine"]


KILL = """
import os, sys
from pathlib import Path
from pipeline import storage

calls = 0
real = {name: getattr(os, name) for name in ("replace", "mkdir", "unlink", "rmdir", "fsync")}

def dying(name):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls > int(sys.argv[2]):
            os._exit(9)  # as kill -9: no handler runs
        return real[name](*args, **kwargs)
    return call

for name in real:
    setattr(os, name, dying(name))
with storage.atomic_folder(Path(sys.argv[1]), replaces="index") as folder:
    with storage.atomic_write(folder / "index", "w") as file:
        file.write("new")
"""


def test_kill_between_any_two_steps_leaves_the_old_folder_or_the_new(tmp_path):
    out, seen = tmp_path / "out", []
    write_folder(out, "old")
    for step in range(40):
        command = [sys.executable, "-c", KILL, str(out), str(step)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        recover_folder(out)
        seen.append((out / "index").read_text())
        assert names(out) == ["index"]
        if not done.returncode:
            break
        assert done.returncode == 9, done.stderr

    # Old until the swap, new from then on, and the steps between were all met.
    assert seen == sorted(seen, key=["old", "new"].index)
    assert seen.count("old") >= 4
    assert names(tmp_path) == ["out"]


def test_link_shares_the_bytes_and_a_copy_stands_in_for_it(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("a")
    (tmp_path / "symbolic").symlink_to("a")

    link_or_copy(tmp_path / "symbolic", tmp_path / "linked")
    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(tmp_path / "symbolic", tmp_path / "copied")

    assert (tmp_path / "linked").stat().st_ino == (tmp_path / "a").stat().st_ino
    assert not (tmp_path / "linked").is_symlink()
    assert (tmp_path / "copied").stat().st_ino != (tmp_path / "a").stat().st_ino
    assert (tmp_path / "copied").read_text() == "a"


def refuse(*_):
    raise OSError(18, "Invalid cross-device link")


def test_write_that_cannot_fit_is_refused_before_it_starts(tmp_path):
    check_free_disk(tmp_path / "new", 1)
    message = r"new must have 1000000000\.0 GB of free disk\. Got: \d+\.\d GB\.$"

    with pytest.raises(StorageError, match=message):
        check_free_disk(tmp_path / "new", 10**18)


KILLED_WRITE = """
import os, signal, sys
from pathlib import Path
from pipeline import storage
function, path = getattr(storage, sys.argv[1]), Path(sys.argv[2])
with function(path) as target:
    target.write(b"half") if sys.argv[1] == "atomic_write" else target.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("function", ["atomic_write", "atomic_path"])
def test_what_a_killed_process_had_half_written_is_removed(tmp_path, function):
    path = tmp_path / "weights.weights.h5"
    command = [sys.executable, "-c", KILLED_WRITE, function, str(path)]
    assert subprocess.run(command, cwd=ROOT).returncode == -9
    assert len(list(tmp_path.iterdir())) == 1

    remove_partial_files(tmp_path)

    assert not list(tmp_path.iterdir())


def test_other_hidden_files_and_folders_stay(tmp_path):
    for name in (".gitignore", "history.csv", "1.csv"):
        (tmp_path / name).write_text("kept")
    (tmp_path / ".1.folder").mkdir()

    remove_partial_files(tmp_path)
    remove_partial_files(tmp_path / "absent")

    assert {path.name for path in tmp_path.iterdir()} == {
        ".gitignore",
        "history.csv",
        "1.csv",
        ".1.folder",
    }
