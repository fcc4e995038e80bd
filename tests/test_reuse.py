"""Tests of `pipeline.reuse`."""

import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.images.png import encode_png
from pipeline.reuse import digest_of_making, follow_imports, is_made_by, remember, versions_of
from stages import crop, resize

ROOT = Path(__file__).resolve().parents[1]
# In a process of its own, on a copy of the sources: prints a digest after each edit.
DIGESTS = """
import importlib.metadata, sys
from pathlib import Path
from pipeline.images.png import encode_png
from pipeline.images.preprocess import cut_crops
from pipeline.reuse import digest_of_making

def show(settings):
    print(digest_of_making(cut_crops, [cut_crops, encode_png], settings))

show({"sigma_px": 2.0})
show({"sigma_px": 2.0})
for name in sys.argv[1:]:
    path = Path(name)
    path.write_text(path.read_text() + "# edited")
    show({"sigma_px": 2.0})
show({"sigma_px": 2.5})
old = importlib.metadata.version
importlib.metadata.version = lambda name: "99" if name == "scipy" else old(name)
show({"sigma_px": 2.5})
"""
COUNT = ["pipeline/images/field.py", "pipeline/images/png.py", "pipeline/images/preprocess.py"]
COUNT_NOT = ["pipeline/images/hashing.py", "pipeline/storage.py", "pipeline/reuse.py"]


def test_code_that_makes_the_pixels_counts_and_no_other(tmp_path):
    """So do settings and the versions of libraries."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=ignored)
    command = [sys.executable, "-c", DIGESTS, *COUNT_NOT, *COUNT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert not done.returncode, done.stderr

    digests = done.stdout.split()
    unchanged = 2 + len(COUNT_NOT)
    assert len(set(digests[:unchanged])) == 1
    assert len(set(digests[unchanged - 1 :])) == len(digests) - unchanged + 1


def test_module_of_the_work_itself_counts():
    """Stage `crop` puts the library's functions together: other stages have other digests."""
    one, other = (
        digest_of_making(work, [encode_png], {}) for work in (crop.crop_image, resize.resize_crop)
    )

    assert one != other


def test_imports_are_followed_as_dvc_must_list_them():
    sources, libraries = follow_imports([ROOT / "pipeline/images/preprocess.py"])

    assert {path.stem for path in sources} >= {"preprocess", "crop", "decode", "field", "resize"}
    assert {"numpy", "PIL", "scipy"} <= libraries


def test_versions_are_those_of_what_a_library_requires_too():
    versions = versions_of({"imagehash", "pathlib"})

    assert {"ImageHash", "scipy", "numpy"} <= set(versions)
    assert not any(name.startswith("path") for name in versions)


def output(folder, text):
    folder.mkdir()
    (folder / "index.csv").write_text(text)
    return folder


def test_output_is_known_by_its_tables_and_digest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, other = output(Path("one"), "a"), output(Path("other"), "b")
    remember(one, "digest")

    assert is_made_by(one, "digest")
    assert not is_made_by(one, "another")
    assert not is_made_by(other, "digest")
    assert not is_made_by(Path("absent"), "digest")


def test_record_follows_an_output_that_goes_and_comes_back(tmp_path, monkeypatch):
    """As with `dvc checkout` of an older version."""
    monkeypatch.chdir(tmp_path)
    remember(output(Path("out"), "first"), "digest 1")
    (Path("out") / "index.csv").write_text("second")
    remember(Path("out"), "digest 2")
    (Path("out") / "index.csv").write_text("first")

    assert is_made_by(Path("out"), "digest 1")
    assert not is_made_by(Path("out"), "digest 2")
