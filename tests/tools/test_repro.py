"""Tests of `tools.repro`: on a tiny DVC project, whose stages only write a line, where DVC runs."""

import pytest

from tests.tools.members import VALUES, change, make_project
from tools.dvc import ReproError, stale_stages
from tools.repro import main, remove_leftovers, run_pipeline

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
def root(tmp_path, monkeypatch):
    """A project of two members and one fold, on a machine without a GPU."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    make_project(tmp_path, STAGE)
    return tmp_path


def change_member(root, name, **values):
    change(root, f"member.{name}", **values)
    (root / "ran.txt").unlink(missing_ok=True)


def ran(root):
    return (root / "ran.txt").read_text().split("\n")[:-1] if (root / "ran.txt").exists() else []


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
    run_pipeline(root, None)

    starts_and_ends = [line.split()[0] for line in ran(root) if "models/train" in line]
    assert starts_and_ends == ["start", "start", "end", "end"]
    assert "train@b7-0 and predict@b7-0 done in" in capfd.readouterr().out
    assert (root / "models/ensemble/out.txt").exists()

    (root / "ran.txt").unlink()
    run_pipeline(root, None)
    assert ran(root) == []

    change_member(root, "b7", epochs=7)
    assert stale_stages(root, "train", "predict") == {"train@b7-0"}


@pytest.mark.slow
def test_failure_shows_the_end_of_the_log_and_the_next_run_goes_on(root, capfd):
    change_member(root, "b4", fails=True)

    with pytest.raises(ReproError, match=r"Got: failure of \['b4-0'\]"):
        run_pipeline(root, None)

    shown = capfd.readouterr().out
    assert "no such luck" in shown
    assert "line 99" in shown
    assert "line 1\n" not in shown  # only the end
    assert "end data/predict/b7-0" in ran(root)  # what was under way went on to its end

    change_member(root, "b4", fails=False)
    (root / "ran.txt").write_text("start models/train/b7-0, before\n")
    run_pipeline(root, None)
    assert [line for line in ran(root) if "start models/train" in line][1:] == [
        "start models/train/b4-0"
    ]
