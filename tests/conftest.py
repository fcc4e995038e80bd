"""What tests of several folders share: one run of the whole graph, made once."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tools.scratch import copy_sources

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("untimed", deadline=None)  # a busy machine must not fail a test
settings.load_profile("untimed")


def pytest_ignore_collect(collection_path, config):
    """Leave modules that are slow as a whole unread by a run without them: Keras takes seconds."""
    if "not slow" not in config.option.markexpr or collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    return True if re.search(r"^pytestmark = pytest\.mark\.slow\b", text, re.MULTILINE) else None


def pytest_collection_modifyitems(items):
    """Keep on one worker what shares a module, the ports of a cluster, or most of the memory."""
    for item in items:
        group = "cluster" if "cluster" in item.path.stem else str(item.path)
        # Runs of the whole graph: the conversion of B7 alone takes 13 GB.
        group = "runs" if {"sample_run", "real_run"} & set(item.fixturenames) else group
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory):
    """Root of a copy of the project in which `make repro` has run on the embedded sample.

    DERMENSEMBLE_SAMPLE_RUN names a folder where that has been done already.
    """
    if given := os.environ.get("DERMENSEMBLE_SAMPLE_RUN"):
        return Path(given).resolve()
    root = tmp_path_factory.mktemp("run") / "sample"
    copy_sources(ROOT, root)
    subprocess.run([sys.executable, "-m", "tools.repro"], cwd=root, check=True)
    return root
