"""The space of a search: names of parameters and their ranges, checked before any trial.

A name is a path through the params dataclasses, `member.head.dropout` or `train.loss.kind`. A range
is `{low, high}` for numbers, with `log: true` or `step`, or `{choices: […]}` for anything plain.
"""

import copy
import itertools
from dataclasses import is_dataclass
from typing import Any, get_type_hints

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from pipeline import params
from pipeline.network.member_params import MemberParams
from pipeline.network.train_params import TrainParams

PLACE = "params.yaml: section 'tune', key 'space'"
ROOTS = {"member": MemberParams, "train": TrainParams}
LEFT_ALONE = {
    "member.crop_px": "the arrays that are given have one crop",
    "member.input_px": "the arrays that are given have one size",
    "train.seed": "the best of several seeds is luck",
    "train.devices": "it is to change no result",
    "train.compile_xla": "it is to change no result",
    "train.checkpoint_steps": "it is to change no result",
}
FORMS = ({"low", "high"}, {"low", "high", "log"}, {"low", "high", "step"}, {"choices"})
MOST_CORNERS = 512  # of the space, that are built before the first trial

Space = dict[str, BaseDistribution]


class SpaceError(params.ParamsError):
    """A name or a range of the space cannot be searched."""


def read_space(ranges: dict[str, Any], sections: dict[str, Any]) -> Space:
    """Turn the ranges of `params.yaml` into Optuna's, by name in alphabetical order.

    Args:
        ranges: Key `space` as it is read.
        sections: The member as `member` and section `train`, as they are read: what is not
            searched keeps these values.

    Raises:
        SpaceError: A name is unknown, or a range allows what the params do not.
    """
    space = {name: _read_range(name, ranges[name]) for name in sorted(ranges)}
    for values in _corners(space):
        try:
            settings_with(values, sections)
        except params.ParamsError as error:
            text = ", ".join(f"{name}: {value}" for name, value in values.items())
            raise SpaceError(
                f"{PLACE} must hold what can be trained. Got: {text}; {error}"
            ) from None
    return space


def settings_with(
    values: dict[str, Any], sections: dict[str, Any]
) -> tuple[MemberParams, TrainParams]:
    """Put a trial's values into the member's params and section `train`.

    Raises:
        ParamsError: They do not go together.
    """
    changed = nest(values, sections)
    member = params.build(changed["member"], MemberParams, "member")
    return member, params.build(changed["train"], TrainParams, "train")


def nest(values: dict[str, Any], into: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of nested mappings with values at dotted names; absent mappings are made."""
    nested = copy.deepcopy(into)
    for name, value in values.items():
        *path, last = name.split(".")
        inner = nested
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return nested


def _type_of(name: str) -> type:
    """Return the type of the field that a dotted name leads to."""
    if reason := LEFT_ALONE.get(name):
        raise SpaceError(f"{PLACE} must leave {name} alone: {reason}.")
    known: dict[str, Any] = dict(ROOTS)
    kind, place = None, ""
    for key in name.split("."):
        if key not in known:
            where = f" below {place}" if place else ""
            raise SpaceError(
                f"{PLACE} must name parameters. Got: {name}; known{where}: {sorted(known)}."
            )
        kind, place = known[key], f"{place}.{key}" if place else key
        known = get_type_hints(kind) if is_dataclass(kind) else {}
    if kind not in (bool, int, float, str):
        raise SpaceError(f"{PLACE} must name single values. Got: {name}, which has several.")
    return kind


def _read_range(name: str, given: Any) -> BaseDistribution:
    kind = _type_of(name)
    place = f"{PLACE}, {name}"
    if not isinstance(given, dict) or set(given) not in FORMS:
        raise SpaceError(
            f"{place} must be {{low, high}}, with log or step, or {{choices}}. Got: {given!r}."
        )
    if "choices" in given:
        return _read_choices(place, kind, given["choices"])
    if kind not in (int, float):
        raise SpaceError(f"{place} must be choices of {kind.__name__}. Got: {given!r}.")
    return _read_numbers(place, kind, given)


def _read_numbers(place: str, kind: type, given: dict[str, Any]) -> BaseDistribution:
    low, high = (_as_kind(place, kind, given[key]) for key in ("low", "high"))
    is_log, step = given.get("log", False), given.get("step")
    if not isinstance(is_log, bool):
        raise SpaceError(f"{place}: log must be true or false. Got: {is_log!r}.")
    if not low < high or (is_log and low <= 0):
        rule = "0 < low < high with log" if is_log else "low < high"
        raise SpaceError(f"{place} must have {rule}. Got: {low} and {high}.")
    if step is not None:
        step = _as_kind(place, kind, step)
        if not 0 < step <= high - low or not np.isclose((high - low) / step % 1, [0, 1]).any():
            raise SpaceError(f"{place}: steps must lead from low to high. Got: {step}.")
    if kind is int:
        return IntDistribution(low, high, log=is_log, step=step or 1)
    return FloatDistribution(low, high, log=is_log, step=step)


def _read_choices(place: str, kind: type, choices: Any) -> CategoricalDistribution:
    if not isinstance(choices, list) or len(choices) < 2:
        raise SpaceError(f"{place}: choices must be a list of at least two. Got: {choices!r}.")
    values = [_as_kind(place, kind, choice) for choice in choices]
    if len(set(values)) < len(values):
        raise SpaceError(f"{place}: choices must differ. Got: {choices}.")
    return CategoricalDistribution(values)


def _as_kind(place: str, kind: type, value: Any) -> Any:
    """Take whole numbers for float fields, and nothing else of another type."""
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind or (kind is float and not np.isfinite(value)):
        raise SpaceError(f"{place} must have values of {kind.__name__}. Got: {value!r}.")
    return value


def _corners(space: Space) -> list[dict[str, Any]]:
    """List the combinations of the ends of all ranges and of all choices, up to a limit.

    Of a space with more, each value is taken at least once, the rest evenly.
    """
    ends = {
        name: list(values.choices)
        if isinstance(values, CategoricalDistribution)
        else [values.low, values.high]
        for name, values in space.items()
    }
    if int(np.prod([float(len(values)) for values in ends.values()])) <= MOST_CORNERS:
        return [
            dict(zip(ends, values, strict=True)) for values in itertools.product(*ends.values())
        ]
    first = {name: values[0] for name, values in ends.items()}
    alone = [first | {name: value} for name, values in ends.items() for value in values]
    rng = np.random.default_rng(0)
    drawn = [
        {name: values[rng.integers(len(values))] for name, values in ends.items()}
        for _ in range(MOST_CORNERS - len(alone))
    ]
    return [*alone, *drawn]
