"""Tests of `pipeline.images.gate.json_form`."""

import json

import numpy as np
import pytest

from pipeline.images.gate.fit import fit_gate
from pipeline.images.gate.json_form import GateError, from_json, to_json
from tests.images.gate.gates import draw


@pytest.fixture(scope="module")
def gate():
    return fit_gate(draw(60), groups=np.arange(60), false_positive_share=0.1)


@pytest.fixture
def stored(gate):
    return json.loads(json.dumps(to_json(gate)))


def test_gate_read_back_judges_bit_for_bit_alike(gate, stored):
    descriptors = draw(200, 1) * 2

    (values, flags), (again, flags_again) = (
        g.judge(descriptors) for g in (gate, from_json(stored))
    )

    for code in values:
        np.testing.assert_array_equal(again[code], values[code])
        np.testing.assert_array_equal(flags_again[code], flags[code])
    assert to_json(from_json(stored)) == stored


def changed(stored, *keys, to):
    inner = stored
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = to
    return stored


@pytest.mark.parametrize(
    ("keys", "to", "message"),
    [
        (("surplus",), 1, r"^A gate must have exactly the keys"),
        (("descriptor_version",), 0, r"fitted on descriptors of version .* Got: version 0; fit"),
        (("features",), ["one"], r"^A gate must be fitted on descriptors"),
        (("limits",), {"blurred": 1}, r"^limits must be those of"),
        (("limits", "blurred"), "low", r"^limits\.blurred must hold finite numbers"),
        (("limits", "empty"), float("nan"), r"^limits\.empty must hold finite numbers"),
        (("centre",), [1.0], r"^centre must hold finite numbers of shape \(51,\)"),
        (("above", 3), float("inf"), r"^above must hold finite numbers"),
        (("below", 3), 0.0, r"^below must be above 0\. Got: 0\.0\."),
        (("whitening", 0), [1.0], r"^whitening must hold numbers .* Got: unlike rows\."),
        (("whitening",), [[1.0]], r"^whitening must hold finite numbers of shape \(51, 51\)"),
        (("images",), "many", r"^images must hold finite numbers of shape \(\)"),
        (("false_positive_share",), None, r"^false_positive_share must hold finite numbers"),
    ],
)
def test_damaged_gate_is_refused(stored, keys, to, message):
    with pytest.raises(GateError, match=message):
        from_json(changed(stored, *keys, to=to))


@pytest.mark.parametrize("key", ["limits", "centre", "whitening", "descriptor_version"])
def test_missing_key_is_named(stored, key):
    del stored[key]

    with pytest.raises(GateError, match=rf"exactly the keys .*'{key}'"):
        from_json(stored)


def test_what_is_no_mapping_is_refused():
    with pytest.raises(GateError, match=r"Got: list\.$"):
        from_json([])
