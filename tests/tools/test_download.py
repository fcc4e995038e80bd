"""Tests of `tools.download`, with a stand-in for isic-cli's program.

The stand-in keeps to what version 12.4 of isic-cli does: images that are there at their size are
skipped, an image that fails is passed over without a word, files under way have names of their own,
and the table is written at the end.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.command import run_stage
from tools import download
from tools.download import ATTEMPTS, DownloadError

ROOT = Path(__file__).resolve().parents[2]

# The archive holds ten images; faults.json says what goes wrong, by run.
ISIC = """\
#!{python}
import json, os, pathlib, signal, sys

words = sys.argv[1:]
here = pathlib.Path("archive")
calls = json.loads((here / "calls.json").read_text())
faults = json.loads((here / "faults.json").read_text())
fault = faults[len(calls)] if len(calls) < len(faults) else {{}}
assert words[:2] == ["image", "download"]
options, folder = dict(zip(words[2:-1:2], words[3:-1:2])), pathlib.Path(words[-1])
folder.mkdir(parents=True, exist_ok=True)
ids = [f"ISIC_{{n:07d}}" for n in range(10)][: int(options.get("--limit", 10))]
fetched = []
(here / "calls.json").write_text(json.dumps([*calls, dict(options, fetched=fetched)]))
for image_id in ids:
    path, data = folder / f"{{image_id}}.jpg", image_id.encode() * 10
    if path.exists() and path.stat().st_size == len(data):
        continue
    if image_id == fault.get("dies at"):
        (folder / f".isic-partial.{{os.getpid()}}.abcd").write_bytes(data[:5])
        os.kill(os.getpid(), signal.SIGKILL)
    if image_id in fault.get("passes over", []):
        continue
    path.write_bytes(data)
    fetched.append(image_id)
    (here / "calls.json").write_text(json.dumps([*calls, dict(options, fetched=fetched)]))
if fault.get("cancelled"):
    sys.exit(0)
with open(folder / "metadata.csv", "w") as file:
    file.write("isic_id,diagnosis_1\\n")
    for image_id in ids:
        file.write(f"{{image_id}},Benign\\n")
        if image_id == fault.get("table ends at"):
            sys.exit(1)
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """Run in a folder with the archive, and with isic on the PATH."""
    program = tmp_path / "bin" / "isic"
    program.parent.mkdir()
    program.write_text(ISIC.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/calls.json").write_text("[]")
    (tmp_path / "archive/faults.json").write_text("[]")
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plant(*faults):
    Path("archive/faults.json").write_text(json.dumps(faults))


def calls():
    return json.loads(Path("archive/calls.json").read_text())


def images():
    return sorted(path.stem for path in Path("data/raw/ham").glob("*.jpg"))


def run(*options, name="ham"):
    download.main([name, *options])


def test_collection_is_downloaded_and_counted(capfd):
    run("--collections", "212,66", "--search", 'sex:"male"')

    (call,) = calls()
    assert (call["--collections"], call["--search"]) == ("212,66", 'sex:"male"')
    assert "--limit" not in call
    assert len(images()) == 10
    assert capfd.readouterr().out == (
        "download: 10 rows in data/raw/ham/metadata.csv, an image of each; 0 other images\n"
    )


def test_second_run_by_name_alone_asks_the_same_and_fetches_only_what_is_missing():
    run("--collections", "212", "--limit", "8")
    Path("data/raw/ham/ISIC_0000003.jpg").unlink()

    run()

    assert calls()[1] == {"--collections": "212", "--limit": "8", "fetched": ["ISIC_0000003"]}


def test_isic_killed_half_way_is_told_and_the_next_run_goes_on(capfd):
    plant({"dies at": "ISIC_0000004"})

    assert run_stage(lambda: run("--collections", "212")) == 1
    assert capfd.readouterr().err == (
        "error: isic-cli must end well and write data/raw/ham/metadata.csv. Got: status -9. "
        "What came is kept: repeat the command to go on.\n"
    )
    assert len(images()) == 4
    assert not Path("data/raw/ham/metadata.csv").exists()

    run()
    assert calls()[1]["fetched"] == [f"ISIC_{n:07d}" for n in range(4, 10)]
    assert sorted(path.name for path in Path("data/raw/ham").glob(".*")) == []


def test_images_that_isic_passes_over_in_silence_are_asked_for_again(capfd):
    plant({"passes over": ["ISIC_0000002", "ISIC_0000007"]})

    run("--collections", "212")

    assert calls()[1]["fetched"] == ["ISIC_0000002", "ISIC_0000007"]
    assert "2 images are missing after attempt 1 of 3, first ['ISIC_0000002', 'ISIC_0000007']" in (
        capfd.readouterr().out
    )
    assert len(images()) == 10


def test_images_that_never_come_are_named(capfd):
    plant(*[{"passes over": ["ISIC_0000002"]}] * ATTEMPTS)

    with pytest.raises(
        DownloadError,
        match=r"must hold an image for each row .* Got: 1 missing, first \['ISIC_0000002'",
    ):
        run("--collections", "212")
    assert len(calls()) == ATTEMPTS


def test_empty_file_is_no_image():
    run("--limit", "3")
    Path("data/raw/ham/ISIC_0000001.jpg").write_bytes(b"")

    found = download.compare(Path("data/raw/ham"))

    assert (found.rows, found.missing, found.images_without_row) == (3, ["ISIC_0000001"], 0)


@pytest.mark.parametrize("fault", [{"table ends at": "ISIC_0000004"}, {"cancelled": True}])
def test_half_a_table_is_none_and_an_earlier_one_stays(fault):
    run("--collections", "212")
    whole = Path("data/raw/ham/metadata.csv").read_bytes()
    plant({}, fault)

    with pytest.raises(DownloadError, match=r"isic-cli must end well and write"):
        run()

    assert Path("data/raw/ham/metadata.csv").read_bytes() == whole
    assert sorted(path.name for path in Path("data/raw/ham").glob(".*")) == []


def test_half_a_table_of_the_first_run_is_removed():
    plant({"table ends at": "ISIC_0000004"})

    with pytest.raises(DownloadError):
        run("--collections", "212")

    assert not Path("data/raw/ham/metadata.csv").exists()


def test_table_set_aside_by_a_run_that_was_killed_itself_comes_back():
    run("--collections", "212")
    table = Path("data/raw/ham/metadata.csv")
    whole = table.read_bytes()
    table.rename(table.with_name(".metadata.csv.earlier"))
    table.write_text("isic_id\nhalf")
    plant({}, {"dies at": "ISIC_0000000"})
    Path("data/raw/ham/ISIC_0000000.jpg").unlink()

    with pytest.raises(DownloadError):
        run()

    assert table.read_bytes() == whole


def test_partial_file_of_an_isic_that_runs_is_let_be():
    run("--limit", "3")
    mine = Path(f"data/raw/ham/.isic-partial.{os.getpid()}.abcd")
    mine.touch()

    run()

    assert mine.exists()


def test_folder_keeps_to_one_query():
    run("--collections", "212")

    with pytest.raises(DownloadError, match=r"ham must keep to one query, .*'212'.* Got: .*'66'"):
        run("--collections", "66")
    assert len(calls()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], r"data/raw/ham must get --collections, --search or --limit\. Got: none\."),
        (["--collections", "ham"], r"collections must be numbers joined by commas\. Got: 'ham'"),
        (["--limit", "-3"], r"limit must be at least 0\. Got: -3"),
    ],
)
def test_wrong_query_is_refused_before_isic_is_asked(options, message):
    with pytest.raises(ValueError, match=message):
        run(*options)
    assert calls() == []
    assert not Path("data").exists()


def test_absent_isic_ends_in_one_line_that_says_how_to_install_it(capsys):
    assert run_stage(lambda: run("--collections", "212", "--isic", "no-isic")) == 1
    assert capsys.readouterr().err == (
        "error: isic-cli must be installed. Got: no 'no-isic'. pip install isic-cli, or its "
        "release from https://github.com/ImageMarkup/isic-cli.\n"
    )


@pytest.mark.parametrize("name", ["../ham", "a/b", ".ham", ""])
def test_name_that_is_a_path_is_refused(name, capsys):
    with pytest.raises(SystemExit):
        run("--collections", "212", name=name)
    assert "name must be one folder's" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["isic_2019", "isic-2020"])
def test_commands_for_a_challenge_are_a_script_and_stand_in_the_readme(name, capsys):
    run(name=name)
    script = capsys.readouterr().out

    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    readme = " ".join((ROOT / "README.md").read_text().split())
    unzips = [line.removesuffix(" )") for line in script.splitlines() if line.startswith("unzip")]
    assert unzips
    assert [line for line in unzips if line not in readme] == []
    assert f"data/raw/{name.replace('_', '-')}" in script
    assert calls() == []


@pytest.mark.skipif(not shutil.which("make"), reason="make is not there")
def test_make_passes_its_words_on():
    command = ["make", "-n", "download", "NAME=ham", "COLLECTIONS=212", 'SEARCH=sex:"a b"']
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout

    assert "-m tools.download ham --collections 212" in shown
    assert """--search 'sex:"a b"'""" in shown
