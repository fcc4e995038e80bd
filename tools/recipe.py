"""Recipes: `recipes/<name>.yaml`, merged into the committed `params.yaml` with its comments kept.

A mapping is merged key by key, an empty mapping empties, `null` removes a key, and anything else
replaces. A recipe may add keys below `sample`, `sources` and `member`, whose keys are names; any
other key must exist, so that a slip of the pen is an error. A recipe that leaves `sources` empty
takes them from the command line, each with the form that its tables show.
"""

import copy
import hashlib
import io
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.comments import CommentedMap

from pipeline import storage
from pipeline.cases.sources import recognise_form

PARAMS = Path("params.yaml")
STATE = Path(".resume/recipe.json")  # what was written last, to tell it from an edit
NAMES_BELOW = ("sample", "sources", "member")


class RecipeError(ValueError):
    """A recipe cannot be applied; `params.yaml` is as it was."""


def apply_recipe(root: Path, name: str, folders: list[str], *, force: bool) -> None:
    """Write the committed `params.yaml`, merged with a recipe, over the one in the tree.

    Args:
        root: The project's root.
        name: Stem of a file in `recipes/`.
        folders: Folders with images, as given, for a recipe without sources of its own.
        force: Overwrite a `params.yaml` that has edits.

    Raises:
        RecipeError: `params.yaml` has edits, the recipe is faulty, or folders are missing.
        TableError: A folder has no form that can be read.
    """
    base = committed_params(root)
    merged = merge_text(base, read_recipe(root, name), f"recipes/{name}.yaml", folders, root)
    current = (root / PARAMS).read_bytes() if (root / PARAMS).exists() else base
    if not force and current not in (base, merged) and digest(current) != last_written(root):
        raise RecipeError(
            "params.yaml must be as committed, or as the last recipe wrote it, for its edits would "
            "be lost. Got: edits. Commit or revert them, or repeat with FORCE=1."
        )
    if current != merged:
        with storage.atomic_write(root / PARAMS) as file:
            file.write(merged)
    state = {"recipe": name, "folders": folders, "sha256": digest(merged)}
    storage.write_json(root / STATE, state)


def committed_params(root: Path) -> bytes:
    """Read `params.yaml` as of git's HEAD."""
    command = ["git", "show", f"HEAD:./{PARAMS}"]
    result = subprocess.run(command, cwd=root, capture_output=True)
    if result.returncode:
        reason = result.stderr.decode(errors="replace").strip()
        raise RecipeError(f"a recipe needs params.yaml as committed in git. Got: {reason}")
    return result.stdout


def read_recipe(root: Path, name: str) -> CommentedMap:
    """Read one recipe; the error for an unknown one names those that exist."""
    known = sorted(path.stem for path in (root / "recipes").glob("*.yaml"))
    if name not in known:
        raise RecipeError(f"recipe must be one of {known}. Got: {name!r}.")
    try:
        recipe = round_trip().load(root / "recipes" / f"{name}.yaml")
    except YAMLError as error:
        raise RecipeError(f"recipes/{name}.yaml must be YAML. Got: {error}") from None
    if not isinstance(recipe, dict):
        raise RecipeError(f"recipes/{name}.yaml must be a mapping of sections. Got: {recipe!r}.")
    return recipe


def merge_text(base: bytes, recipe: dict, place: str, folders: list[str], root: Path) -> bytes:
    """Merge a recipe into the text of a params file; the same bytes where no value changes."""
    yaml = round_trip()
    tree = yaml.load(base)
    before = copy.deepcopy(tree)
    merge(tree, recipe, place)
    fill_sources(tree, folders, place, root)
    if tree == before:
        return base
    text = io.StringIO()
    yaml.dump(tree, text)
    return text.getvalue().encode()


def merge(into: dict, recipe: dict, place: str, parents: tuple[str, ...] = ()) -> None:
    """Merge one mapping of a recipe, in place; `place` opens every error message."""
    for key, value in recipe.items():
        path = (*parents, str(key))
        if key not in into and not (len(path) > 1 and path[0] in NAMES_BELOW and value is not None):
            raise RecipeError(f"{place}: key '{'.'.join(path)}' must exist in params.yaml.")
        if value is None:
            del into[key]
        elif value == {}:
            into[key] = CommentedMap()
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value, place, path)
        else:
            into[key] = value


def fill_sources(tree: dict[str, Any], folders: list[str], place: str, root: Path) -> None:
    """Put the folders of the command line under `sources`, if the recipe leaves that empty."""
    if bool(tree.get("sources")) == bool(folders):
        if folders:
            raise RecipeError(f"{place} has sources of its own and takes no DATA. Got: {folders}.")
        raise RecipeError(f'{place} takes its images from DATA="folder …". Got: none.')
    for folder in folders:
        form = recognise_form(root / folder)
        key = re.sub(r"[^A-Za-z0-9_-]+", "-", (root / folder).resolve().name)
        if key in tree["sources"]:
            raise RecipeError(f"the folders of DATA must differ in name. Got: {key!r} twice.")
        tree["sources"][key] = {"form": form, "path": os.path.normpath(folder)}


def last_written(root: Path) -> str | None:
    """Return the SHA-256 of the `params.yaml` that a recipe wrote last, if any."""
    return storage.read_json(root / STATE)["sha256"] if (root / STATE).exists() else None


def digest(content: bytes) -> str:
    """Return the SHA-256 of bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def round_trip() -> YAML:
    """Give a reader and writer that keeps comments, quotes and numbers as they stand."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    return yaml
