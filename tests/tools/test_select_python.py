"""Tests of `tools/select_python.sh`: which Python `make setup` takes, on a PATH of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "select_python.sh"


def select(folder, pythons, **environment):
    """Run the script where `pythons` (name to version, None for a shim that fails) are all."""
    for name, version in pythons.items():
        # Answers the question for its version with that, and the one for its path with its own.
        answers = f'case "$2" in *version_info*) echo {version};; *) echo "$0";; esac'
        program = folder / name
        program.write_text(f"#!/bin/sh\n{answers if version else 'exit 127'}\n")
        program.chmod(0o755)
    command = ["/bin/sh", SCRIPT]
    environment = {"PATH": str(folder), **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ({"python3": "3.12", "python3.13": "3.13"}, "python3"),
        ({"python3": "3.10", "python3.11": "3.11"}, "python3.11"),
        ({"python3": "3.14", "python3.13": None, "python3.12": "3.12"}, "python3.12"),
        ({"python": "3.11"}, "python"),
    ],
)
def test_first_python_that_runs_and_is_supported_is_taken(pythons, chosen, tmp_path):
    result = select(tmp_path, pythons)

    assert (result.returncode, result.stdout) == (0, f"{tmp_path / chosen}\n")


def test_named_python_goes_first(tmp_path):
    result = select(tmp_path, {"python3": "3.12"}, PYTHON=sys.executable)

    assert result.stdout == f"{sys.executable}\n"


@pytest.mark.parametrize(
    ("pythons", "found"),
    [
        ({"python3": "3.10", "python": "2.7"}, "Got: python3=3.10 python=2.7."),
        ({"python3": None}, "Got: no Python that runs."),
        ({}, "Got: no Python that runs."),
    ],
)
def test_another_python_ends_in_a_message_that_says_what_was_found(pythons, found, tmp_path):
    result = select(tmp_path, pythons)

    assert result.returncode == 1
    assert "error: Python must be 3.11, 3.12 or 3.13" in result.stderr
    assert found in result.stderr
