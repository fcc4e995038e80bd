"""What a search leaves on disk, so that it goes on after a kill at any instant.

`search.json` says what is searched, `trial-0007.json` holds a finished trial, and the folder
`trial-0007` the checkpoints of one that is not. Every file is written whole or not at all.
"""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.network.tune.study import Trial
from pipeline.storage import atomic_write, read_json, write_json

SEARCH = "search.json"
README = """\
A search over parameters, its finished trials and the checkpoints of the one under way. The command

    {command}

in the project's root goes on where it ended, to the same trials as without an interruption; with
more --trials it adds some. With other params or cases it is refused: restore them, or delete this
folder to search anew.
"""


class SearchError(ValueError):
    """A search cannot go on."""


def begin_or_resume(folder: Path, recipe: dict[str, Any], command: str) -> list[Trial]:
    """Return the trials that are finished, having checked that they belong to this search.

    Args:
        folder: Of the search.
        recipe: All that shapes it, by part, as JSON has it.
        command: That goes on with it, for whoever finds the folder.

    Raises:
        SearchError: The folder holds a search of another recipe.
    """
    path = folder / SEARCH
    if path.is_file():
        earlier = read_json(path)
        changed = sorted(name for name in earlier | recipe if earlier.get(name) != recipe.get(name))
        if changed:
            raise SearchError(
                f"{folder} must hold a search of these params and cases. Got: other {changed}. "
                "Restore them to go on, or delete the folder to search anew."
            )
    else:
        with atomic_write(folder / "README.txt", "w") as file:
            file.write(README.format(command=command))
        write_json(path, recipe)
    trials = read_trials(folder)
    for trial in trials:  # a kill may come between a trial's record and the removal
        shutil.rmtree(checkpoints_of(folder, trial.number), ignore_errors=True)
    return trials


def read_trials(folder: Path) -> list[Trial]:
    """Read the finished trials, in their order."""
    trials = [Trial(**read_json(path)) for path in sorted(folder.glob("trial-*.json"))]
    numbers = [trial.number for trial in trials]
    if numbers != list(range(len(trials))):
        raise SearchError(
            f"{folder} must hold trials from 0 on without a gap. Got: {numbers}. Restore what is "
            "missing, or delete the folder to search anew."
        )
    return trials


def save_trial(folder: Path, trial: Trial) -> None:
    """Write a finished trial, then drop its checkpoints."""
    write_json(folder / f"trial-{trial.number:04d}.json", asdict(trial))
    shutil.rmtree(checkpoints_of(folder, trial.number), ignore_errors=True)


def checkpoints_of(folder: Path, number: int) -> Path:
    """Return the folder of a trial's checkpoints."""
    return folder / f"trial-{number:04d}"


@contextlib.contextmanager
def holding(path: Path, *, waits: bool) -> Iterator[None]:
    """Hold a lock file, which the system takes back from a process that is killed.

    Args:
        path: The file.
        waits: For another process to end; else its holding it is an error.

    Raises:
        SearchError: Another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            raise SearchError(
                f"{path.parent} must belong to one search at a time. Got: another that runs."
            ) from None
        yield
