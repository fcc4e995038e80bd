"""Tests of `pipeline.params`."""

import re
from dataclasses import dataclass

import pytest

from pipeline import params
from pipeline.params import ParamsError


@dataclass(frozen=True)
class Border:
    sigma_px: float


@dataclass(frozen=True)
class Crop:
    sizes_px: tuple[int, ...]
    border: Border
    resample: str

    def __post_init__(self):
        if self.resample not in ("bilinear", "bicubic"):
            raise ValueError(f"resample must be bilinear or bicubic. Got: {self.resample!r}.")


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "params.yaml"
        path.write_text(text)
        return path

    return write


def test_section_becomes_its_dataclass(write):
    path = write("crop: {sizes_px: [512, 768], border: {sigma_px: 2.0}, resample: bicubic}")

    assert params.load("crop", Crop, path) == Crop((512, 768), Border(2.0), "bicubic")


def test_part_of_a_section_is_reached_by_dots(write):
    path = write("member: {b4: {sigma_px: 1.5}, b5: {sigma_px: 2.5}}")

    assert params.load("member.b5", Border, path) == Border(2.5)


def test_whole_number_is_taken_where_a_float_is_meant(write):
    loaded = params.load("border", Border, write("border: {sigma_px: 2}"))

    assert isinstance(loaded.sigma_px, float)


@pytest.mark.parametrize("value", ["yes", "'2.0'", "[2.0]", "true", "null"])
def test_value_of_another_type_is_refused_by_name(write, value):
    path = write(f"border: {{sigma_px: {value}}}")

    with pytest.raises(ParamsError, match=r"params\.yaml: section 'border'.*sigma_px"):
        params.load("border", Border, path)


def test_typo_names_the_missing_and_the_unknown_key(write):
    path = write("border: {sigmapx: 2.0}")

    message = (
        f"{path}: section 'border' must have exactly the keys ['sigma_px']. "
        "Missing: ['sigma_px']. Unknown: ['sigmapx']."
    )
    with pytest.raises(ParamsError, match=f"^{re.escape(message)}$"):
        params.load("border", Border, path)


def test_typo_inside_a_nested_mapping_is_refused(write):
    path = write("crop: {sizes_px: [512], border: {sigma: 2.0}, resample: bicubic}")

    with pytest.raises(ParamsError, match="section 'crop'"):
        params.load("crop", Crop, path)


def test_value_out_of_range_says_what_must_hold(write):
    path = write("crop: {sizes_px: [512], border: {sigma_px: 2.0}, resample: nearest}")

    with pytest.raises(ParamsError, match=r"'crop': resample must be bilinear or bicubic\. Got: "):
        params.load("crop", Crop, path)


def test_absent_section_is_named(write):
    with pytest.raises(ParamsError, match=r"section 'member\.b6' must exist\. Got: no key 'b6'\."):
        params.load("member.b6", Border, write("member: {b4: {sigma_px: 1.0}}"))


def test_section_without_values_is_refused(write):
    with pytest.raises(ParamsError, match=r"section 'border' must be a mapping\. Got: None\."):
        params.load("border", Border, write("border:"))


def test_absent_file_says_where_to_run(tmp_path):
    with pytest.raises(ParamsError, match=r"must exist\. Run from the project's root\."):
        params.load("border", Border, tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["border: {sigma_px: 2.0", "a: 1\na: 2\n", "a: b: c"])
def test_broken_yaml_and_a_key_given_twice_are_refused(write, text):
    with pytest.raises(ParamsError, match=r"must be YAML\. Got: "):
        params.load("border", Border, write(text))


@pytest.mark.parametrize("text", ["", "[border]"])
def test_file_must_be_a_mapping(write, text):
    with pytest.raises(ParamsError, match="must be a mapping of sections"):
        params.load("border", Border, write(text))
