"""The JAX backend on a machine without TensorFlow: nothing on that path may import it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

# Makes TensorFlow as absent as where it is not installed.
BLOCKED = """
import importlib.abc, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "tf2onnx", "tf_keras"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""

IMPORT_ALL = """
import importlib
from pathlib import Path
count = 0
for path in sorted(Path("pipeline/network").rglob("*.py")):
    name = ".".join(path.with_suffix("").parts)
    if path.stem != "__init__" and not path.stem.startswith("tensorflow_"):
        importlib.import_module(name)
        count += 1
print("imported", count)
"""

TRAIN = """
from tools.benchmark_training.on_gpu import make_jax_step
step = make_jax_step("b0", 2, input_px=32)
print("losses", float(step()), float(step()))
"""


def run(code):
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED + code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_every_module_but_tensorflow_s_own_imports():
    status, output, errors = run(IMPORT_ALL)

    assert status == 0, errors
    assert int(output.split()[-1]) > 20


@pytest.mark.long
def test_efficientnet_trains_in_bfloat16_without_tensorflow():
    status, output, errors = run(TRAIN)

    assert status == 0, errors
    first, second = (float(loss) for loss in output.split()[-2:])
    assert 0.5 < first < 10
    assert second != first


def test_blocker_blocks():
    """Planted: TensorFlow's own step, which must not import."""
    status, _, errors = run("import pipeline.network.tensorflow_compiled")

    assert status == 1
    assert "No module named 'tensorflow'" in errors
