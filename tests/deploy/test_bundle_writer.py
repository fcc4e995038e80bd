"""Tests of `pipeline.deploy.bundle_writer`."""

import dataclasses

import pytest
from PIL import Image

from pipeline import storage
from pipeline.classes import CLASSES
from pipeline.deploy.bundle import BundleError, read_sums
from pipeline.deploy.bundle_writer import (
    BundleParams,
    copy_file,
    draw_golden,
    make_manifest,
    seal,
    write_golden,
    write_labels,
)
from tests.deploy.tiny_bundle import DEPLOYED, MEMBERS, PREPROCESSING, SETTINGS, tiny_manifest


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", "", r"^name must be letters"),
        ("name", "../up", r"^name must be letters"),
        ("version", "1 0", r"^version must be letters"),
        ("golden_cases", 0, r"^golden_cases must be at least 1\. Got: 0\.$"),
    ],
)
def test_params_outside_their_range_are_refused(key, value, message):
    with pytest.raises(ValueError, match=message):
        BundleParams(**(dataclasses.asdict(SETTINGS) | {key: value}))


def test_a_bundle_without_members_is_not_described():
    with pytest.raises(BundleError, match="members and reference_rows must not be empty"):
        make_manifest(
            SETTINGS,
            PREPROCESSING,
            {},
            deployed=DEPLOYED,
            reference_rows=10,
            thresholds=tiny_manifest(MEMBERS).thresholds,
        )


def test_labels_have_the_order_of_the_outputs_and_no_unchecked_code(tmp_path):
    write_labels(tmp_path / "labels.json", ("MEL", "BCC"))

    labels = storage.read_json(tmp_path / "labels.json")["classes"]
    assert [label["class"] for label in labels] == list(CLASSES)
    assert [label["index"] for label in labels] == list(range(9))
    assert {label["class"] for label in labels if label["malignant"]} == {"MEL", "BCC"}
    assert all(label["snomed_ct"] is None and label["icd_10"] is None for label in labels)
    assert not any(label["codes_verified"] for label in labels)


def test_golden_cases_begin_with_one_of_whom_nothing_is_known(tmp_path):
    settings = dataclasses.replace(SETTINGS, golden_cases=3)

    cases = draw_golden(tmp_path, settings)

    assert cases[0] == {
        "image": "golden/case_00.png",
        "age_years": None,
        "sex": None,
        "site": None,
    }
    assert all(case["age_years"] is not None for case in cases[1:])
    for case in cases:
        with Image.open(tmp_path / case["image"]) as image:
            assert image.mode == "RGB" and min(image.size) >= 480


def test_golden_tolerances_are_those_of_the_contract(tmp_path):
    write_golden(tmp_path, [], reference_rows=50)

    golden = storage.read_json(tmp_path / "golden/golden.json")
    assert (golden["member_tolerance"], golden["rank_tolerance"]) == (1e-4, 0.04)


def test_a_copy_has_the_same_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"\x00model\r\n")

    copy_file(tmp_path / "a", tmp_path / "deep/b")

    assert (tmp_path / "deep/b").read_bytes() == b"\x00model\r\n"


def test_a_copy_of_nothing_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="a"):
        copy_file(tmp_path / "a", tmp_path / "b")

    assert list(tmp_path.iterdir()) == []


def test_sealing_lists_every_file(tmp_path):
    (tmp_path / "one.txt").write_text("1")

    seal(tmp_path, tiny_manifest(MEMBERS))

    assert sorted(read_sums(tmp_path)) == ["manifest.json", "one.txt"]
    manifest = storage.read_json(tmp_path / "manifest.json")
    assert manifest["files"] == {"one.txt": storage.sha256_of(tmp_path / "one.txt")}
