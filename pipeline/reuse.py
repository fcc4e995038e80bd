"""Whether results of an earlier run are those that a run would make again.

A result depends on the file that it is made of, on settings, and on code: that of this project and
of the libraries beneath it. The first is kept beside each result. The other two are one digest per
run, kept outside the stage's output, so that a comment in the code cannot change an output's bytes
and make everything after it stale. Each digest is filed under the hash of the output's own tables,
which hold the hash of every file: output that came from elsewhere, or was edited, has no record.
"""

import ast
import functools
import hashlib
import importlib.metadata
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.storage import atomic_write, recover_folder

RECORDS = Path(".resume/made_by")
ROOT = Path(__file__).resolve().parents[1]


def digest_of_making(
    work: Callable[..., Any], makers: list[Callable[..., Any]], settings: dict[str, Any]
) -> str:
    """Digest all that decides what `work` makes of a file, but for the file.

    Args:
        work: What a stage calls for each image; the source of its module counts.
        makers: Functions of the library that it calls; the sources of their modules count, of all
            modules that these import, and the versions of the libraries that those use.
        settings: JSON values.
    """
    starts = [Path(inspect.getsourcefile(maker)).resolve() for maker in makers]
    sources, libraries = follow_imports(starts)
    sources.add(Path(inspect.getsourcefile(work)).resolve())
    what = {
        "sources": {
            path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(sources)
        },
        "versions": versions_of(libraries),
        "settings": settings,
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def follow_imports(starts: list[Path]) -> tuple[set[Path], set[str]]:
    """Find the project's files that some files import, these included, and outside packages."""
    sources, libraries, waiting = set(starts), set(), list(starts)
    while waiting:
        for target in _imported(waiting.pop()):
            path = _file_of(target)
            if path is None:
                libraries.add(target.partition(".")[0])
            elif path not in sources:
                sources.add(path)
                waiting.append(path)
    return sources, libraries


def _imported(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything that a file imports; relative imports are not used."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file_of(target: str) -> Path | None:
    """Find the project's file that defines a dotted name, `None` for another package's."""
    parts = target.split(".")
    if not (ROOT / parts[0]).is_dir():
        return None
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        if path.with_suffix(".py").is_file():
            return path.with_suffix(".py")
        if (path / "__init__.py").is_file():
            return path / "__init__.py"
    return None


def versions_of(packages: set[str]) -> dict[str, str]:
    """Return the versions of what provides importable packages, and of what that requires."""
    providers = _providers()
    names = {name for package in packages for name in providers.get(package, [])}
    for name in sorted(names):
        for requirement in importlib.metadata.requires(name) or []:
            if "extra ==" not in requirement:
                names.add(re.match(r"[\w.-]+", requirement).group())
    return {name: version for name in sorted(names) if (version := _version(name))}


@functools.cache
def _providers() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # required on other systems alone
        return None


def remember(output: Path, digest: str) -> None:
    """Record what made an output whose tables are on disk."""
    with atomic_write(RECORDS / digest_of_tables(output), "w") as file:
        file.write(digest + "\n")


def is_made_by(output: Path, digest: str) -> bool:
    """Tell whether an output is there, and was made with the same code and settings."""
    recover_folder(output)
    if not output.is_dir():
        return False
    record = RECORDS / digest_of_tables(output)
    return record.is_file() and record.read_text().strip() == digest


def digest_of_tables(output: Path) -> str:
    """Hash the names and bytes of the CSV tables in a folder, at any depth."""
    total = hashlib.sha256()
    for path in sorted(output.rglob("*.csv")):
        table = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(output).as_posix()} {table}\n".encode())
    return total.hexdigest()
