"""Tests of `tools.imports`; what a project may import is tested in `tests/test_architecture.py`."""

import pytest

from tools.imports import chains, dependencies, read_modules, write_dependencies

FILES = {
    "stages/__init__.py": "",
    "stages/train.py": "from pipeline import params\nfrom pipeline.images.crop import cut\n",
    "pipeline/__init__.py": "",
    "pipeline/params.py": "import ruamel.yaml\n",
    "pipeline/images/__init__.py": "",
    "pipeline/images/crop.py": "def cut():\n    from . import resize\n",
    "pipeline/images/resize.py": "",
    "pipeline/worker/__init__.py": "",
    "pipeline/worker/__main__.py": "",
    "dvc.yaml": """\
# What runs.
stages:
  train:
    matrix:
      member: [b4, b5]
    cmd: python -m stages.train
    deps:
      - data/crop
      - pipeline/gone.py
      - data/split/manifest.csv
    outs:
      - models/train

plots:
  - reports/evaluate/roc.png
""",
}


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_names_from_outside_are_kept_apart(root):
    module = read_modules(root)["pipeline.params"]

    assert (module.inside, module.outside) == (frozenset(), {"ruamel"})


def test_chain_leads_through_late_and_relative_imports(root):
    found = chains(read_modules(root), "stages.train")

    assert found["pipeline.images.resize"] == (
        "stages.train",
        "pipeline.images.crop",
        "pipeline.images.resize",
    )


def test_dependencies_are_the_files_without_the_packages_docstrings(root):
    assert dependencies(read_modules(root), "train") == [
        "pipeline/images/crop.py",
        "pipeline/images/resize.py",
        "pipeline/params.py",
        "stages/train.py",
    ]


@pytest.mark.parametrize("text", ["pipeline.worker", "pipeline.worker.__main__"])
def test_module_named_as_text_counts_as_imported(root, text):
    (root / "pipeline/params.py").write_text(f"command = ['python', '-m', '{text}']\n")

    assert read_modules(root)["pipeline.params"].inside == {"pipeline.worker.__main__"}


def test_circle_of_imports_ends(root):
    (root / "pipeline/images/resize.py").write_text("import pipeline.images.crop\n")

    assert "pipeline.images.crop" in chains(read_modules(root), "pipeline.images.resize")


def test_dvc_yaml_gets_the_files_and_keeps_the_rest(root):
    write_dependencies(root)

    listed = [*dependencies(read_modules(root), "train")]
    assert (root / "dvc.yaml").read_text() == FILES["dvc.yaml"].replace(
        "      - pipeline/gone.py\n      - data/split/manifest.csv\n",
        "      - data/split/manifest.csv\n" + "".join(f"      - {path}\n" for path in listed),
    )


def test_writing_twice_changes_nothing(root):
    write_dependencies(root)
    once = (root / "dvc.yaml").read_bytes()

    write_dependencies(root)

    assert (root / "dvc.yaml").read_bytes() == once
