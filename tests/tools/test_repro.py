"""Tests of `tools.repro`: on a tiny DVC project, whose stages only write a line, where DVC runs."""

import json
import subprocess

import pytest

from tools.dvc import stale_stages
from tools.repro import (
    ReproError,
    ReproParams,
    longest_first,
    main,
    remove_leftovers,
    run_pipeline,
)
from tools.scratch import NOBODY

VALUES = {
    "sample": {"isic_cli": {"seed": 1}},
    "sources": {"isic_cli": {"form": "isic_cli", "path": "data/sample/isic_cli"}},
    "split": {"train_folds": [0, 1]},
    "ensemble": {"members": ["b4", "b5", "b7"]},
    "member": {
        "b4": {"backbone": "b4", "input_px": 64, "epochs": 8},
        "b5": {"backbone": "b5", "input_px": 80, "epochs": 6},
        "b7": {"backbone": "b7", "input_px": 64, "epochs": 6},
    },
}

WIRING = """\
stages:
  resize:
    matrix:
      member: ${ensemble.members}
    cmd: python stage.py data/resize/${key}
    deps: [stage.py]
    outs: ['data/resize/${key}']
  train:
    matrix:
      member: ${ensemble.members}
      fold: ${split.train_folds}
    cmd: python stage.py models/train/${key}
    params: ['member.${item.member}']
    deps: ['data/resize/${item.member}', stage.py]
    outs: ['models/train/${key}']
  predict:
    matrix:
      member: ${ensemble.members}
      fold: ${split.train_folds}
    cmd: python stage.py data/predict/${key}
    deps: ['models/train/${key}', stage.py]
    outs: ['data/predict/${key}']
  ensemble:
    cmd: python stage.py models/ensemble
    params: [member]
    deps: [data/predict, stage.py]
    outs: [models/ensemble]
"""

# Each stage notes its start and end in ran.txt, outside of git's and DVC's sight. Training of a
# member that is to fail fails; the others of its kind wait for one another, to show that they
# overlap.
STAGE = """\
import json, pathlib, sys, time

folder = pathlib.Path(sys.argv[1])
params = json.loads(pathlib.Path("params.yaml").read_text())
with open("ran.txt", "a") as file:
    file.write(f"start {folder}\\n")
if folder.parent.name == "train":
    if params["member"][folder.name.partition("-")[0]].get("fails"):
        print("\\n".join(f"line {number}" for number in range(100)))
        raise SystemExit("no such luck")
    for _ in range(300):
        if pathlib.Path("ran.txt").read_text().count("start models/train") > 1:
            break
        time.sleep(0.1)
folder.mkdir(parents=True)
(folder / "out.txt").write_text(json.dumps(params["member"]))
with open("ran.txt", "a") as file:
    file.write(f"end {folder}\\n")
"""


@pytest.fixture
def root(tmp_path):
    """A git and DVC project of two members and one fold, in which nothing has run."""
    values = VALUES | {"ensemble": {"members": ["b4", "b7"]}, "split": {"train_folds": [0]}}
    write_values(tmp_path, values | {"repro": {"jobs": 2}})
    (tmp_path / "dvc.yaml").write_text(WIRING)
    (tmp_path / "stage.py").write_text(STAGE)
    (tmp_path / ".gitignore").write_text("/data/\n/models/\n/.resume/\n/ran.txt\n")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    analytics = false\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True, env=NOBODY)
    return tmp_path


def write_values(root, values):
    (root / "params.yaml").write_text(json.dumps(values))  # JSON is YAML


def change_member(root, name, **values):
    params = json.loads((root / "params.yaml").read_text())
    params["member"][name] |= values
    write_values(root, params)
    (root / "ran.txt").unlink(missing_ok=True)


def ran(root):
    return (root / "ran.txt").read_text().split("\n")[:-1] if (root / "ran.txt").exists() else []


def test_member_that_trains_longest_is_first():
    assert longest_first(VALUES) == ["b7-0", "b7-1", "b5-0", "b5-1", "b4-0", "b4-1"]


def test_jobs_must_be_positive():
    with pytest.raises(ValueError, match=r"^jobs must be at least 1\. Got: 0\.$"):
        ReproParams(jobs=0)


def test_data_without_a_recipe_is_refused():
    with pytest.raises(ReproError, match="DATA must come with a recipe"):
        main(["--data", "folder"])


def test_leftovers_of_another_recipe_are_removed_and_the_rest_stays(tmp_path):
    kept = ["data/ingest/isic_cli", "models/train/b4-1", "data/raw/isic-2019", "data/split/x"]
    gone = ["data/ingest/ham10000", "data/resize/b6", "data/predict/b4-2", "models/train/b4-2"]
    for name in kept + gone:
        (tmp_path / name).mkdir(parents=True)

    removed = remove_leftovers(tmp_path, VALUES)

    assert sorted(path.relative_to(tmp_path).as_posix() for path in removed) == sorted(gone)
    assert [(tmp_path / name).exists() for name in kept + gone] == [True] * 4 + [False] * 4


@pytest.mark.slow
def test_members_train_side_by_side_and_again_only_where_something_changed(root, capfd):
    """One test, for each call of DVC takes seconds."""
    run_pipeline(root)

    starts_and_ends = [line.split()[0] for line in ran(root) if "models/train" in line]
    assert starts_and_ends == ["start", "start", "end", "end"]
    assert "train@b7-0 and predict@b7-0 done in" in capfd.readouterr().out
    assert (root / "models/ensemble/out.txt").exists()

    (root / "ran.txt").unlink()
    run_pipeline(root)
    assert ran(root) == []

    change_member(root, "b7", epochs=7)
    assert stale_stages(root, "train", "predict") == {"train@b7-0"}


@pytest.mark.slow
def test_failure_shows_the_end_of_the_log_and_the_next_run_goes_on(root, capfd):
    change_member(root, "b4", fails=True)

    with pytest.raises(ReproError, match=r"Got: failure of \['b4-0'\]"):
        run_pipeline(root)

    shown = capfd.readouterr().out
    assert "no such luck" in shown
    assert "line 99" in shown
    assert "line 1\n" not in shown  # only the end
    assert "end data/predict/b7-0" in ran(root)  # what was under way went on to its end

    change_member(root, "b4", fails=False)
    (root / "ran.txt").write_text("start models/train/b7-0, before\n")
    run_pipeline(root)
    assert [line for line in ran(root) if "start models/train" in line][1:] == [
        "start models/train/b4-0"
    ]
