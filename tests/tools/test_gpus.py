"""Tests of `tools.gpus`, with a program in the place of nvidia-smi."""

import pytest

from tools.gpus import find_gpus, numbered_gpus

TWO = """\
GPU 0: NVIDIA H200 (UUID: GPU-5a1c)
  MIG 1g.18gb     Device  0: (UUID: MIG-77aa)
GPU 1: NVIDIA H200 (UUID: GPU-9b2d)
"""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Function that puts a program in the place of nvidia-smi; without a call there is none."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("tools.gpus.DRIVER", tmp_path / "gpus")

    def put(output, status=0):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\nprintf '%s' '{output}'\nexit {status}\n")
        program.chmod(0o755)

    return put


def test_gpus_are_numbered_as_the_driver_does(driver):
    driver(TWO)

    assert find_gpus(None) == ["0", "1"]


def test_no_driver_is_no_gpu(driver):
    assert find_gpus(None) == []


def test_driver_that_fails_is_no_gpu(driver):
    driver("Failed to initialize NVML: Driver/library version mismatch", status=18)

    assert find_gpus(None) == []


def test_driver_without_its_tools_is_counted(driver, tmp_path):
    for name in ("0000:01:00.0", "0000:41:00.0", "0000:81:00.0"):
        (tmp_path / "gpus" / name).mkdir(parents=True)

    assert numbered_gpus() == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("1", ["1"]),
        ("3, 1", ["3", "1"]),
        ("GPU-9b2d,MIG-77aa", ["GPU-9b2d", "MIG-77aa"]),
        ("1,1", ["1"]),  # else two runs would share it
        ("0,-1,1", ["0"]),  # CUDA stops at the first that it does not know
        ("-1", []),
        ("", []),
    ],
)
def test_what_the_environment_leaves_is_all_there_is(driver, monkeypatch, given, found):
    driver(TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)

    assert find_gpus(None) == found


def test_environment_makes_no_gpu(driver, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")

    assert find_gpus(None) == []


def test_user_chooses_among_the_visible(driver, monkeypatch):
    driver(TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")

    assert find_gpus("6,4,6") == ["6", "4"]


@pytest.mark.parametrize("chosen", ["0,2", "", "x"])
def test_choice_of_a_gpu_that_is_not_there_is_refused(driver, chosen):
    driver(TWO)

    with pytest.raises(ValueError, match=rf"^GPUS must be some of \['0', '1'\]\. Got: '{chosen}'"):
        find_gpus(chosen)
