"""Which modules a module imports, directly or not, read from the source without running it.

Usage: python -m tools.imports   (`make deps`)

DVC does not follow imports: a stage must list the modules that it imports, or it does not rerun
when one of them changes. This command writes them into `dvc.yaml`; the architecture test calls the
same functions. A module whose name stands in the code as text, for `python -m`, counts as imported.
`__init__.py` files hold a docstring only and do not count.
"""

import ast
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from pipeline import storage
from pipeline.command import run_stage

PACKAGES = ("pipeline", "stages", "tools")
DVC_FILE = Path("dvc.yaml")


@dataclass(frozen=True)
class Module:
    """One source file and what it names: modules of the project, and packages from outside."""

    path: Path  # relative to the project's root
    inside: frozenset[str]
    outside: frozenset[str]


def main() -> None:
    stages = write_dependencies(Path())
    print(f"imports: {stages} stages in {DVC_FILE} list the modules that they import")


def read_modules(root: Path) -> dict[str, Module]:
    """Read every module of the project, by dotted name; packages are named by their `__init__`."""
    paths = {
        dotted(path.relative_to(root)): path
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
    }
    return {name: read_module(name, path, root, set(paths)) for name, path in paths.items()}


def read_module(name: str, path: Path, root: Path, known: set[str]) -> Module:
    """Read what one module names."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    inside, outside = set(), set()
    for target in named_targets(tree, package):
        if target.partition(".")[0] in PACKAGES:
            inside.add(longest_known(target, known))
        else:
            outside.add(target.partition(".")[0])
    for text in module_texts(tree):
        if f"{text}.__main__" in known:
            inside.add(f"{text}.__main__")
        elif text in known:
            inside.add(text)
    return Module(path.relative_to(root), frozenset(inside - {name, ""}), frozenset(outside))


def named_targets(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the dotted name of everything imported, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(parents if node.level else []), *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and is_import_call(node):
            yield node.args[0].value


def is_import_call(node: ast.Call) -> bool:
    """Tell whether a call is `import_module("name")` or `__import__("name")`."""
    name = getattr(node.func, "attr", getattr(node.func, "id", None))
    is_import = name in ("import_module", "__import__")
    return is_import and bool(node.args) and isinstance(getattr(node.args[0], "value", None), str)


def module_texts(tree: ast.AST) -> Iterator[str]:
    """Yield string constants that could be the name of a module in a package of the project."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            yield node.value


def longest_known(target: str, known: set[str]) -> str:
    """Shorten `pipeline.storage.write_json` to the module that it is in."""
    while target and target not in known:
        target = target.rpartition(".")[0]
    return target


def chains(modules: dict[str, Module], start: str) -> dict[str, tuple[str, ...]]:
    """Find every module that one reaches, with a shortest chain of imports that leads there."""
    found = {start: (start,)}
    waiting = [start]
    while waiting:
        name = waiting.pop(0)
        for imported in sorted(modules[name].inside):
            if imported not in found:
                found[imported] = (*found[name], imported)
                waiting.append(imported)
    return found


def dependencies(modules: dict[str, Module], stage: str) -> list[str]:
    """List the files that stage `stage` must name in `dvc.yaml`: its own and what it imports."""
    paths = (modules[name].path for name in chains(modules, f"stages.{stage}"))
    return sorted(path.as_posix() for path in paths if path.name != "__init__.py")


def write_dependencies(root: Path) -> int:
    """Bring the `.py` dependencies of every stage in `dvc.yaml` up to date; return their number."""
    yaml = YAML()
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    wiring = yaml.load(root / DVC_FILE)
    modules = read_modules(root)
    stages = [name for name in wiring["stages"] if f"stages.{name}" in modules]
    for name in stages:
        entry = wiring["stages"][name]
        entry = entry.get("do", entry)
        others = [path for path in entry["deps"] if not path.endswith(".py")]
        entry["deps"] = CommentedSeq([*others, *dependencies(modules, name)])
        entry["deps"].ca.comment = None
    text = io.StringIO()
    yaml.dump(wiring, text)
    with storage.atomic_write(root / DVC_FILE, "w") as file:
        file.write(text.getvalue())
    return len(stages)


def dotted(path: Path) -> str:
    """Name the module of a file."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
