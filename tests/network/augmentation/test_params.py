"""Tests of `pipeline.network.augmentation.params`."""

import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline import params
from pipeline.network.augmentation.params import RANGES, AugmentParams
from pipeline.params import ParamsError
from tests.network.networks import NO_AUGMENTATION, STRENGTHS, augmentation

ROOT = Path(__file__).resolve().parents[3]


def merged(values, changes):
    """Merge by key, as a recipe is merged."""
    for key, value in changes.items():
        values[key] = merged(values[key], value) if isinstance(value, dict) else value
    return values


def test_values_of_the_project_are_in_range():
    params.load("train.augment", AugmentParams, ROOT / "params.yaml")


def test_isic_recipe_switches_the_published_list_on():
    values = params.read_section("train.augment", ROOT / "params.yaml")
    recipe = YAML(typ="safe").load(ROOT / "recipes/isic.yaml")["train"]["augment"]

    built = params.build(merged(values, recipe), AugmentParams, "isic")

    assert built.dihedral
    assert built.distortion.kinds == ("optical", "grid", "elastic")
    assert built.softening.kinds == ("motion_px", "gaussian_px", "median", "noise")
    assert (built.cutout.probability, built.cutout.side) == (0.7, 0.375)
    operations = ("rotate", "shift_scale_rotate", "brightness", "contrast", "clahe")
    for name in (*operations, "hue_saturation_value"):
        assert getattr(built, name).is_on, name


@pytest.mark.parametrize("place", RANGES)
def test_strength_out_of_range_is_refused(place):
    operation, _, name = place.partition(".")
    _, largest = RANGES[place]
    value = int(largest) + 1 if name == "count" else largest + 0.5

    with pytest.raises(ParamsError, match=rf"augment\.{place} must be from .* Got: {value}\."):
        augmentation(**{operation: {name: value}})


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_probability_out_of_range_is_refused(probability):
    with pytest.raises(ParamsError, match=r"augment\.clahe\.probability must be from 0 to 1\."):
        augmentation({"clahe": probability})


def test_unknown_operation_is_refused():
    with pytest.raises(ParamsError, match=r"Unknown: \['side_px'\]"):
        augmentation(cutout={"side_px": 3})


@pytest.mark.parametrize("name", sorted(set(STRENGTHS) - {"softening"}))
def test_operation_is_on_from_a_probability_above_0(name):
    assert not getattr(NO_AUGMENTATION, name).is_on
    assert getattr(augmentation({name: 0.1}), name).is_on


def test_one_of_a_group_leaves_out_kinds_without_strength():
    chosen = augmentation(
        {"softening": 1, "distortion": 1},
        softening={"median": False, "motion_px": 0.0},
        distortion={"grid": 0.0},
    )

    assert chosen.softening.kinds == ("gaussian_px", "noise")
    assert chosen.distortion.kinds == ("optical", "elastic")
    assert NO_AUGMENTATION.distortion.kinds == ()


def test_drawing_needs_no_keras():
    code = (
        "import sys, pipeline.network.augmentation.draw; "
        "sys.exit(bool({'keras', 'tensorflow'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
