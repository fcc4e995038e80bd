"""Tests of the command `python -m pipeline.cad`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.cad.__main__ import main
from pipeline.command import run_stage
from tests.deploy.tiny_bundle import write_bundle

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"

# The packages that must not be near a patient, or would slow the start of the command.
HEAVY = ("tensorflow", "keras", "tf_keras", "jax", "onnx", "pandas", "sklearn", "matplotlib")
# Runs the command as `python -m` does, then says on stderr which of them were imported.
DRIVER = f"""
import runpy, sys
try:
    runpy.run_module("pipeline.cad", run_name="__main__", alter_sys=True)
finally:
    loaded = {{name.partition(".")[0] for name in sys.modules}}
    print("HEAVY", sorted(loaded & set({HEAVY!r})), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "lesion.jpg"
    pixels = np.random.default_rng(3).integers(60, 200, (60, 90, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def run(*arguments):
    return run_stage(lambda: main([str(argument) for argument in arguments]))


def run_driver(*arguments, python_path):
    command = [sys.executable, "-c", DRIVER, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(python_path)}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def refused(capsys, *arguments):
    """Run a command that must end in one clear line; return the line."""
    status = run(*arguments)

    captured = capsys.readouterr()
    assert status == 1
    assert captured.out == ""
    assert captured.err.startswith("error: ") and captured.err.endswith("\n")
    assert captured.err.count("\n") == 1
    return captured.err


def test_predict_prints_json(capsys, folder, image):
    status = run("predict", "--bundle", folder, image, "--age", 30, "--sex", "female")

    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert status == 0 and captured.err == ""
    assert list(result) == [
        "predicted_label",
        "probabilities",
        "rank_scores",
        "members",
        "melanoma",
        "malignant",
        "demographics_used",
        "demographics",
        "crop",
        "bundle",
        "image",
        "warnings",
        "notice",
    ]
    assert result["demographics"] == {"age_years": 30.0, "sex": "female", "site": None}


@pytest.mark.parametrize(
    "unknown", [(), ("--age", ""), ("--sex", "", "--site", ""), ("--threads", 2)]
)
def test_leaving_demographics_out_or_empty_is_the_same(capsys, folder, image, unknown):
    run("predict", "--bundle", folder, image)
    expected = capsys.readouterr().out

    run("predict", "--bundle", folder, image, *unknown)

    assert capsys.readouterr().out == expected


def test_verify_says_what_was_verified(capsys, folder):
    status = run("verify", "--bundle", folder, "--golden")

    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert lines[0] == "tiny 0.1.0: 5 files as listed"
    assert lines[1].startswith("sha256 of SHA256SUMS: ")
    assert lines[2] == "golden: 1 cases, members within 0, ranks within 0"


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--age", "-5", "age must be from 0 to 120 years. Got: -5.0."),
        ("--age", "500", "age must be from 0 to 120 years. Got: 500.0."),
        ("--age", "nan", "age must be a number of years. Got: 'nan'."),
        ("--age", "NaN", "age must be a number of years. Got: 'NaN'."),
        ("--age", "abc", "age must be a number of years. Got: 'abc'."),
        ("--age", "1e2", "age must be a number of years. Got: '1e2'."),
        ("--age", "1_0", "age must be a number of years. Got: '1_0'."),
        ("--age", "４５", "age must be a number of years. Got: '４５'."),
        ("--sex", "robot", "sex must be one of ['female', 'male']. Got: 'robot'."),
        ("--site", "elbow", "Got: 'elbow'."),
        ("--threads", "-1", "threads must be from 0 to 256. Got: -1."),
        ("--threads", "100000", "threads must be from 0 to 256. Got: 100000."),
    ],
)
def test_impossible_options_end_in_one_line(capsys, folder, image, option, value, message):
    assert message in refused(capsys, "predict", "--bundle", folder, image, option, value)


def write_tiny_png(path):
    Image.new("RGB", (10, 10)).save(path)


def write_pdf(path):
    path.write_bytes(b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n")


def write_truncated(path):
    Image.effect_noise((90, 60), 80).convert("RGB").save(path)
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("small.png", write_tiny_png, "must have sides of 32 to 2000 px"),
        ("letter.jpg", write_pdf, "must be a JPEG or PNG image"),
        ("none.jpg", lambda path: None, "image must be an existing file"),
        ("folder.jpg", lambda path: path.mkdir(), "image must be an existing file"),
        ("cut.jpg", write_truncated, "must be a whole, undamaged image"),
        ("cut.png", write_truncated, "must be a whole, undamaged image"),
        ("empty.jpg", lambda path: path.touch(), "must be a JPEG or PNG image"),
    ],
)
def test_a_file_that_cannot_be_scored_ends_in_one_line(
    capsys, folder, tmp_path, name, write, message
):
    write(tmp_path / name)

    line = refused(capsys, "predict", "--bundle", folder, tmp_path / name)

    assert message in line and str(tmp_path / name) in line


@pytest.mark.parametrize("command", ["predict", "verify"])
def test_a_missing_bundle_ends_in_one_line(capsys, tmp_path, image, command):
    extra = [image] if command == "predict" else []

    line = refused(capsys, command, "--bundle", tmp_path / "none", *extra)

    assert "bundle must be a folder that holds SHA256SUMS" in line


@pytest.mark.parametrize("name", ["model/ensemble.onnx", "labels.json", "golden/case_00.png"])
def test_a_flipped_bit_ends_in_one_line_that_names_the_file(capsys, folder, tmp_path, image, name):
    copied = shutil.copytree(folder, tmp_path / "bundle")
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(bytes(data))

    assert name in refused(capsys, "predict", "--bundle", copied, image)


@pytest.mark.parametrize(
    "arguments", [[], ["predict"], ["predict", "x.jpg"], ["guess", "--bundle", "x"]]
)
def test_wrong_usage_has_exit_status_two(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)

    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("usage: python -m pipeline.cad")


def test_predict_imports_neither_tensorflow_nor_keras(folder, image):
    done = run_driver("predict", "--bundle", folder, image, "--age", "30", python_path="")

    assert done.returncode == 0
    assert json.loads(done.stdout)["demographics"]["age_years"] == 30.0
    assert done.stderr == "HEAVY []\n"


def test_the_check_of_imports_finds_a_planted_tensorflow(folder, image, tmp_path):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow/__init__.py").touch()
    # Python runs this file at its start.
    (tmp_path / "sitecustomize.py").write_text("import tensorflow\n")

    done = run_driver("predict", "--bundle", folder, image, python_path=tmp_path)

    assert done.stderr == "HEAVY ['tensorflow']\n"


@pytest.mark.slow
def test_bad_input_has_exit_status_one_and_no_traceback(tmp_path, image):
    done = run_driver("predict", "--bundle", tmp_path, image, python_path="")

    error, heavy = done.stderr.splitlines()
    assert done.returncode == 1
    assert error.startswith("error: bundle must be a folder that holds SHA256SUMS.")
    assert heavy == "HEAVY []"


@pytest.mark.data
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
def test_a_real_original_is_scored(capsys, folder):
    image = SHARED / "uda1" / "images" / "ISIC_0000001.jpg"

    status = run("predict", "--bundle", folder, image, "--age", 30, "--sex", "female")

    assert status == 0
    assert json.loads(capsys.readouterr().out)["image"]["width_px"] == 1022
