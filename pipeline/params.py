"""Read sections of `params.yaml` into dataclasses: typed, complete, no unknown keys."""

from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

import dacite
from ruamel.yaml import YAML, YAMLError

PARAMS_FILE = Path("params.yaml")

Section = TypeVar("Section")


class ParamsError(ValueError):
    """`params.yaml` does not say what a stage needs."""


def load(section: str, into: type[Section], path: Path = PARAMS_FILE) -> Section:
    """Read one section, for example `train`, or `member.b4` for a part of a section.

    Args:
        section: Keys from the top of the file, joined by dots.
        into: Frozen dataclass with exactly the keys of the section.
        path: The params file.

    Raises:
        ParamsError: The file, the section or a key is missing, unknown, or of another type.
    """
    return build(read_section(section, path), into, f"{path}: section '{section}'")


def read_section(section: str, path: Path = PARAMS_FILE) -> Any:
    """Read one section as plain mappings, lists and values."""
    value = read_all(path)
    for key in section.split("."):
        if not isinstance(value, dict) or key not in value:
            raise ParamsError(f"{path}: section '{section}' must exist. Got: no key '{key}'.")
        value = value[key]
    return value


def read_all(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """Read the whole file as plain mappings, lists and values."""
    try:
        value = YAML(typ="safe").load(path)
    except FileNotFoundError:
        raise ParamsError(f"{path} must exist. Run from the project's root.") from None
    except YAMLError as error:
        raise ParamsError(f"{path} must be YAML. Got: {error}") from None
    if not isinstance(value, dict):
        raise ParamsError(f"{path} must be a mapping of sections.")
    return value


def build(data: Any, into: type[Section], place: str) -> Section:
    """Make a dataclass from a mapping; `place` opens every error message."""
    check_shape(data, into, place)
    config = dacite.Config(cast=[tuple], type_hooks={float: _as_float})
    try:
        return dacite.from_dict(into, data, config=config)
    except (dacite.DaciteError, ValueError) as error:
        raise ParamsError(f"{place}: {error}") from error


def check_shape(data: Any, into: type, place: str) -> None:
    """Check keys and containers, nested ones too; dacite checks the types of plain values."""
    if not isinstance(data, dict):
        raise ParamsError(f"{place} must be a mapping. Got: {data!r}.")
    hints = get_type_hints(into)
    missing, unknown = sorted(set(hints) - set(data)), sorted(set(data) - set(hints))
    if missing or unknown:
        raise ParamsError(
            f"{place} must have exactly the keys {sorted(hints)}. "
            f"Missing: {missing}. Unknown: {unknown}."
        )
    for name, hint in hints.items():
        value, where = data[name], f"{place}, key '{name}'"
        if is_dataclass(hint):
            check_shape(value, hint, where)
        elif get_origin(hint) is tuple and not isinstance(value, list):
            raise ParamsError(f"{where} must be a list. Got: {value!r}.")
        elif hint in (int, float) and isinstance(value, bool):
            raise ParamsError(f"{where} must be a number. Got: {value!r}.")


def _as_float(value: Any) -> Any:
    """Take whole numbers for float fields; leave the rest to the type check."""
    return float(value) if isinstance(value, int) else value
