"""Read sections of `params.yaml` into dataclasses: typed, complete, no unknown keys."""

from pathlib import Path
from typing import Any, TypeVar

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
    if not isinstance(data, dict):
        raise ParamsError(f"{place} must be a mapping. Got: {data!r}.")
    config = dacite.Config(strict=True, cast=[tuple], type_hooks={float: _as_float})
    try:
        return dacite.from_dict(into, data, config=config)
    except (dacite.UnexpectedDataError, dacite.MissingValueError):
        raise ParamsError(f"{place} must have exactly the keys {_keys_problem(into, data)}") from None
    except (dacite.DaciteError, ValueError) as error:
        raise ParamsError(f"{place}: {error}") from error


def _as_float(value: Any) -> Any:
    """Take whole numbers for float fields; leave the rest to the type check."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _keys_problem(into: type, data: dict[str, Any]) -> str:
    wanted = set(into.__dataclass_fields__)
    missing, unknown = sorted(wanted - set(data)), sorted(set(data) - wanted)
    return f"{sorted(wanted)}. Missing: {missing}. Unknown: {unknown}."
