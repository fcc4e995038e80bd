"""Tests of `tools.scratch`."""

import subprocess

from tools.scratch import NOBODY, copy_sources


def git(root, *command):
    result = subprocess.run(
        ["git", *command], cwd=root, check=True, env=NOBODY, capture_output=True, text=True
    )
    return result.stdout


def test_copy_holds_edits_and_new_files_but_nothing_ignored(tmp_path):
    root, target = tmp_path / "project", tmp_path / "copy"
    root.mkdir()
    for name, text in {".gitignore": "/data\n", "kept.py": "1", "gone.py": "1"}.items():
        (root / name).write_text(text)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Start")
    (root / "kept.py").write_text("2")
    (root / "new name.py").write_text("3")
    (root / "dvc.lock").write_text("4")
    (root / "data").write_text("5")
    (root / "gone.py").unlink()

    copy_sources(root, target)

    assert {path.name for path in target.iterdir()} == {
        ".git",
        ".gitignore",
        "kept.py",
        "new name.py",
    }
    assert (target / "kept.py").read_text() == "2"
    assert git(target, "status", "--porcelain") == ""
