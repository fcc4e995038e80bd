"""Store a fitted input gate as JSON, and check every part of one that is read back.

A gate is bound to the features that it was fitted on: one of another version is refused.
"""

from typing import Any

import numpy as np

from pipeline.images.gate.descriptors import DESCRIPTOR_VERSION
from pipeline.images.gate.limits import OF_DISTANCE, WORDS, Distance, InputGate

VECTORS, MATRIX = ("centre", "below", "above"), "whitening"


class GateError(ValueError):
    """A stored gate is not one that can be applied; the message says why."""


def to_json(gate: InputGate) -> dict[str, Any]:
    """Return what JSON can hold; `from_json` makes the same gate of it, bit for bit."""
    return {
        "descriptor_version": DESCRIPTOR_VERSION,
        "features": list(OF_DISTANCE),
        "images": gate.images,
        "false_positive_share": gate.false_positive_share,
        "limits": dict(gate.limits),
        **{name: getattr(gate.distance, name).tolist() for name in (*VECTORS, MATRIX)},
    }


def from_json(value: Any) -> InputGate:
    """Make a gate of what `to_json` returned.

    Raises:
        GateError: A key is missing, unknown, or holds something else, or the descriptors of this
            version are others.
    """
    check_json(value)
    arrays = {name: np.array(value[name], np.float64) for name in (*VECTORS, MATRIX)}
    return InputGate(
        limits={code: float(value["limits"][code]) for code in WORDS},
        distance=Distance(**arrays),
        images=value["images"],
        false_positive_share=value["false_positive_share"],
    )


def check_json(value: Any) -> None:
    """Raise `GateError` for what `from_json` cannot take."""
    keys = {"descriptor_version", "features", "images", "false_positive_share", "limits"}
    keys |= {*VECTORS, MATRIX}
    if not isinstance(value, dict) or set(value) != keys:
        got = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise GateError(f"A gate must have exactly the keys {sorted(keys)}. Got: {got}.")
    if value["descriptor_version"] != DESCRIPTOR_VERSION or value["features"] != list(OF_DISTANCE):
        raise GateError(
            f"A gate must be fitted on descriptors of version {DESCRIPTOR_VERSION} and their "
            f"{len(OF_DISTANCE)} features. Got: version {value['descriptor_version']}; fit again."
        )
    limits, count = value["limits"], len(OF_DISTANCE)
    if not isinstance(limits, dict) or set(limits) != set(WORDS):
        raise GateError(f"limits must be those of {sorted(WORDS)}. Got: {limits!r}.")
    numbers = {f"limits.{code}": (limit, ()) for code, limit in limits.items()}
    numbers |= {name: (value[name], (count,)) for name in VECTORS}
    numbers[MATRIX] = value[MATRIX], (count, count)
    for name in ("images", "false_positive_share"):
        numbers[name] = value[name], ()
    for name, (found, shape) in numbers.items():
        check_numbers(name, found, shape)
    for name in ("below", "above"):
        if min(value[name]) <= 0:
            raise GateError(f"{name} must be above 0. Got: {min(value[name])}.")


def check_numbers(name: str, value: Any, shape: tuple[int, ...]) -> None:
    """Raise `GateError` unless a value is a finite number, or lists of them of one shape."""
    try:
        array = np.array(value)
    except ValueError:  # lists of unlike lengths
        raise GateError(f"{name} must hold numbers of shape {shape}. Got: unlike rows.") from None
    is_number = array.dtype.kind in "if" and np.isfinite(array).all()
    if not is_number or array.shape != shape:
        raise GateError(
            f"{name} must hold finite numbers of shape {shape}. "
            f"Got: {array.dtype} of shape {array.shape}."
        )
