"""What tests of several folders share: one run of the whole graph, made once."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

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


class ByWhatTheyShare(LoadScopeScheduling):
    """Gives one worker all tests of a module, of the clusters, and of the run of the whole graph.

    Clusters share ports, and a run takes most of the memory: two conversions of B7 at once do not
    fit into 24 GB. The run on real images has no B7 and may go beside.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::")[0]
        if "cluster" in Path(path).stem:
            return "clusters"
        text = (ROOT / path).read_text(encoding="utf-8")
        return "runs" if "sample_run" in text else path


def pytest_xdist_make_scheduler(config, log):
    return ByWhatTheyShare(config, log)


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
