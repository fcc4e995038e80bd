"""A scratch copy of the project: its own git commit and DVC cache, the sources as they stand now.

Checks that run whole pipelines work there, so that the tree they came from stays as it is.
"""

import os
import shutil
import subprocess
from pathlib import Path

NOBODY = {
    "GIT_AUTHOR_NAME": "scratch",
    "GIT_AUTHOR_EMAIL": "scratch@localhost",
    "GIT_COMMITTER_NAME": "scratch",
    "GIT_COMMITTER_EMAIL": "scratch@localhost",
}


def copy_sources(root: Path, target: Path) -> None:
    """Copy what git tracks or would track, uncommitted edits included, and commit it there.

    Args:
        root: The project's root.
        target: Folder to make; must not exist.
    """
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=root, check=True, capture_output=True).stdout
    for name in sorted(set(os.fsdecode(names).split("\0")) - {"", "dvc.lock"}):
        if (root / name).is_file():  # a deleted file is listed until the deletion is committed
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "Scratch"]):
        subprocess.run(["git", *command], cwd=target, check=True, env={**os.environ, **NOBODY})
