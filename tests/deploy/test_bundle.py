"""Tests of `pipeline.deploy.bundle`: what is verified before a bundle is used."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from pipeline import storage
from pipeline.deploy.bundle import (
    MANIFEST_FILE,
    MODEL_FILE,
    SUMS_FILE,
    BundleError,
    Member,
    graph_inputs,
    graph_outputs,
    list_files,
    load,
    read_sums,
)
from tests.deploy.tiny_bundle import MEMBERS, write_bundle

FILES = (
    "SHA256SUMS",
    "gate.json",
    "golden/case_00.png",
    "golden/golden.json",
    "labels.json",
    "manifest.json",
    "model/ensemble.onnx",
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def copied(written, tmp_path):
    return shutil.copytree(written, tmp_path / "bundle")


def rewrite_sums(folder):
    """List the files as they are now, as someone who alters a bundle on purpose would."""
    sums = {name: storage.sha256_of(folder / name) for name in list_files(folder) - {SUMS_FILE}}
    lines = [f"{value}  {name}\n" for name, value in sorted(sums.items())]
    (folder / SUMS_FILE).write_text("".join(lines))


def change_manifest(folder, change):
    """Alter the manifest's JSON in place, with its hash mended."""
    data = storage.read_json(folder / MANIFEST_FILE)
    change(data)
    storage.write_json(folder / MANIFEST_FILE, data)
    rewrite_sums(folder)


def flip_bit(path, position):
    data = bytearray(path.read_bytes())
    data[position // 8] ^= 1 << position % 8
    path.write_bytes(bytes(data))


def test_a_written_bundle_loads_with_its_manifest(written):
    bundle = load(written)

    assert bundle.manifest.name == "tiny"
    assert bundle.manifest.members == MEMBERS
    assert sorted(bundle.manifest.files) == sorted(set(FILES) - {MANIFEST_FILE, SUMS_FILE})
    assert bundle.sha256 == storage.sha256_of(written / SUMS_FILE)


def test_a_bundle_built_twice_is_the_same_byte_for_byte(written, tmp_path):
    again = write_bundle(tmp_path / "again")

    assert {name: (again / name).read_bytes() for name in list_files(again)} == {
        name: (written / name).read_bytes() for name in list_files(written)
    }


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sums_are_in_the_form_of_sha256sum(written):
    command = ["sha256sum", "--strict", "--quiet", "-c", SUMS_FILE]

    assert subprocess.run(command, cwd=written, check=False).returncode == 0


@pytest.mark.parametrize("name", [name for name in FILES if name != SUMS_FILE])
def test_a_flipped_bit_is_found_and_its_file_named(copied, name):
    position = np.random.default_rng(len(name)).integers(8 * (copied / name).stat().st_size)
    flip_bit(copied / name, int(position))

    with pytest.raises(BundleError, match=rf"{name}: the file must have the SHA-256 \w+"):
        load(copied)


def test_a_flipped_bit_anywhere_in_the_sums_is_found(copied):
    whole = (copied / SUMS_FILE).read_bytes()
    for position in range(0, 8 * len(whole), 37):
        (copied / SUMS_FILE).write_bytes(whole)
        flip_bit(copied / SUMS_FILE, position)

        with pytest.raises(BundleError, match=SUMS_FILE):
            load(copied)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()

    with pytest.raises(BundleError, match=name):
        load(copied)


@pytest.mark.parametrize("name", ["extra.txt", "model/.hidden", "golden/deep/er.png"])
def test_a_file_that_is_not_listed_is_named(copied, name):
    (copied / name).parent.mkdir(exist_ok=True)
    (copied / name).write_bytes(b"")

    with pytest.raises(BundleError, match=rf"1 not listed: \['{name}'\]"):
        load(copied)


def test_two_files_that_changed_places_are_found(copied):
    shutil.copy(copied / "labels.json", copied / "golden/golden.json")

    with pytest.raises(BundleError, match=r"golden/golden\.json: the file must have"):
        load(copied)


@pytest.mark.parametrize("name", [MODEL_FILE, SUMS_FILE, "golden"])
def test_a_link_is_refused_even_if_it_leads_to_the_same_bytes(copied, name, tmp_path):
    outside = tmp_path / "outside"
    (copied / name).rename(outside)
    (copied / name).symlink_to(outside)

    with pytest.raises(BundleError, match=rf"{name} must be a plain file or folder"):
        load(copied)


def test_a_pipe_is_refused_without_being_read(copied):
    os.mkfifo(copied / "pipe")

    with pytest.raises(BundleError, match="pipe must be a plain file or folder"):
        load(copied)


@pytest.mark.parametrize(
    "path",
    [
        "../outside.txt",
        "/etc/passwd",
        "model/../labels.json",
        "./labels.json",
        "a//b",
        "C:\\x",
        "a b",
    ],
)
def test_a_listed_path_that_leaves_the_folder_is_refused(copied, path):
    with open(copied / SUMS_FILE, "a") as file:
        file.write(f"{'0' * 64}  {path}\n")

    with pytest.raises(BundleError, match=r"SHA256SUMS, line 7 must be a SHA-256, two spaces"):
        load(copied)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "must hold lines"),
        (b"0" * 64 + b"  labels.json", "must hold lines"),
        (b"0" * 64 + b"  labels.json\r\n", "line 1 must be"),
        (b"A" * 64 + b"  labels.json\n", "line 1 must be"),
        ((b"0" * 64 + b"  labels.json\n") * 2, "line 2 must be"),
        (b"\xff\n", "must be ASCII text"),
    ],
)
def test_sums_are_read_strictly(tmp_path, data, message):
    (tmp_path / SUMS_FILE).write_bytes(data)

    with pytest.raises(BundleError, match=message):
        read_sums(tmp_path)


@pytest.mark.parametrize("made", [lambda path: None, lambda path: path.mkdir()])
def test_what_is_no_bundle_is_refused(tmp_path, made):
    made(tmp_path / "nothing")

    with pytest.raises(
        BundleError, match=r"must be a folder that holds SHA256SUMS\. Got: .*nothing"
    ):
        load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("schema_version", lambda data: data.update(schema_version=1)),
        ("schema_version", lambda data: data.pop("schema_version")),
        ("classes", lambda data: data["classes"].reverse()),
        (
            "thresholds.malignant.classes",
            lambda data: data["thresholds"]["malignant"]["classes"].append("NV"),
        ),
        (
            "thresholds.melanoma.classes",
            lambda data: data["thresholds"]["melanoma"]["classes"].clear(),
        ),
        ("preprocessing.version", lambda data: data["preprocessing"].update(version=99)),
        ("demographics.layout", lambda data: data["demographics"]["layout"].pop()),
        ("demographics.used", lambda data: data["demographics"].update(used=False)),
        ("inputs", lambda data: data["inputs"][0].update(row_shape=[25, 25, 3])),
        ("outputs", lambda data: data["outputs"].pop()),
        ("thresholds", lambda data: data["thresholds"].clear()),
    ],
)
def test_a_manifest_of_another_contract_is_refused_by_key(copied, key, change):
    change_manifest(copied, change)

    with pytest.raises(BundleError, match=rf"manifest\.json: {key} must be .* Got: "):
        load(copied)


def test_the_contract_is_refused_before_the_model_is_looked_at(copied):
    (copied / MODEL_FILE).write_bytes(b"no graph at all")
    change_manifest(copied, lambda data: data["classes"].reverse())

    with pytest.raises(BundleError, match=r"manifest\.json: classes must be"):
        load(copied)


def test_manifest_and_sums_must_list_the_same_hashes(copied):
    (copied / "labels.json").write_text("{}")
    rewrite_sums(copied)

    with pytest.raises(
        BundleError, match=r"manifest\.json and SHA256SUMS must list the same files"
    ):
        load(copied)


def test_a_manifest_with_an_unknown_key_is_refused(copied):
    change_manifest(copied, lambda data: data.update(surprise=1))

    with pytest.raises(BundleError, match=r"Unknown: \['surprise'\]"):
        load(copied)


def test_a_manifest_that_is_not_json_is_refused(copied):
    (copied / MANIFEST_FILE).write_bytes(b'{"name": ')
    rewrite_sums(copied)

    with pytest.raises(BundleError, match=r"manifest\.json must be JSON"):
        load(copied)


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, [None], {"b4": 1}])
def test_a_value_of_another_kind_never_passes_and_never_ends_in_another_error(copied, value):
    for key in sorted(
        set(storage.read_json(copied / MANIFEST_FILE)) - {"name", "version", "files"}
    ):
        original = storage.read_json(copied / MANIFEST_FILE)[key]
        # A positive whole number is a possible count of rows.
        if (key, value) != ("reference_rows", 1) and value != original:
            change_manifest(copied, lambda data, key=key: data.update({key: value}))

            with pytest.raises(BundleError):
                load(copied)

        change_manifest(copied, lambda data, key=key, old=original: data.update({key: old}))


def test_members_of_the_same_pixels_share_an_input():
    members = {
        "b4": Member("b4", 768, 380, False),
        "b5": Member("b5", 512, 448, False),
        "b7": Member("b7", 768, 380, False),
    }

    assert [item.name for item in graph_inputs(members)] == ["image_512_448", "image_768_380"]


def test_demographics_are_an_input_where_one_member_uses_them():
    assert [item.name for item in graph_inputs(MEMBERS)] == [
        "image_48_24",
        "image_64_32",
        "demographics",
    ]


def test_outputs_do_not_depend_on_the_order_of_the_members():
    swapped = dict(reversed(MEMBERS.items()))

    assert graph_outputs(swapped) == graph_outputs(MEMBERS)
