"""Tests of `tools.measure_kills` on a stage of a few lines; `make test-kill` kills the real one.

The stage counts to five, with a checkpoint after each. While a file `hang` exists, it never gets
from three to four, so that a kill hits it there whatever the machine does meanwhile.
"""

import sys
from pathlib import Path

import pytest

from pipeline import params
from pipeline.network.member_params import MemberParams
from pipeline.network.train_params import TrainParams
from tools.measure_kills import runs
from tools.measure_kills.__main__ import check, describe, run_kills
from tools.measure_kills.project import EXAMPLES, write_project
from tools.measure_kills.runs import Instant, Kill, KillError, kill_and_resume, run_whole

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

STAGE = """
import hashlib, json, os, shutil, sys, time
from pathlib import Path

fault = sys.argv[1]
resume, target = Path(".resume/train/killed-0"), Path("trained")
resume.mkdir(parents=True, exist_ok=True)
pointer, done = resume / "latest.json", 0


def put(path, text):
    (resume / "new").write_text(text)
    os.replace(resume / "new", path)


if pointer.exists():
    if fault == "refuses":
        sys.exit("error: no")
    done = int((resume / json.loads(pointer.read_text())["entries"][0]["file"]).read_text())
    done = -1 if fault == "restores nothing" else done
for step in range(done, 5):
    if step == 3 and Path("hang").exists():
        Path("hang").unlink()
        time.sleep(0.05)
        while True:
            sum(range(1000))
    name = resume / f"epoch-{step}.npz"
    put(name, str(step + 1))
    digest = hashlib.sha256(name.read_bytes()).hexdigest()
    if fault == "half a file" and step == 2:
        name.write_text("")
    entry = {"file": name.name, "sha256": digest, "epoch": step, "step": 0}
    put(pointer, json.dumps({"entries": [entry]}))
    if fault == "half a file" and step == 3:
        break
target.mkdir(exist_ok=True)
put(target / "weights.weights.h5", "".join(str(s) for s in range(min(done, 0), 5)))
if fault == "litter" and done:
    (target / ".7.weights.weights.h5").write_text("half")
if pointer.exists():
    pointer.unlink()  # first: it must never name a file that is gone
shutil.rmtree(resume)
"""


def command(fault):
    return [sys.executable, "-I", "-S", "stage.py", fault]


@pytest.fixture
def project(tmp_path):
    (tmp_path / "stage.py").write_text(STAGE)
    return tmp_path


def kill_at_three(project, fault="none"):
    whole = run_whole([project], command("none"))
    (project / "hang").touch()
    return kill_and_resume(project, command(fault), whole, Instant(0.3, 0.0), clears=True)


def test_stage_that_resumes_ends_in_identical_weights(project):
    kill = kill_at_three(project)

    assert kill.is_live
    assert kill.place == "epoch 3"
    assert kill.is_good


def test_kill_after_the_end_counts_as_none(project):
    whole = run_whole([project], command("none"))

    kill = kill_and_resume(project, command("none"), whole, Instant(30.0, 0.0), clears=False)

    assert not kill.is_live
    assert kill.place == "results"


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        ("restores nothing", "OTHER WEIGHTS"),
        ("refuses", "status 1, error: no"),
        ("litter", "left over: ['trained/.7.weights.weights.h5']"),
        ("half a file", "damaged epoch-2.npz"),
    ],
)
def test_planted_fault_is_caught(project, fault, verdict):
    kill = kill_at_three(project, fault)

    assert not kill.is_good
    with pytest.raises(KillError, match="must end in identical weights") as error:
        check([kill])
    assert f"in epoch 3: {verdict}" in str(error.value)


def test_runs_that_nobody_killed_must_agree(project, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "stage.py").write_text(STAGE.replace("min(done, 0), 5", "min(done, 0), 6"))

    with pytest.raises(KillError, match="that nobody killed must agree"):
        run_whole([project, other], command("none"))


def test_command_that_fails_by_itself_is_no_measurement(project):
    with pytest.raises(KillError, match="must succeed"):
        run_whole([project], [sys.executable, "-c", "raise SystemExit(3)"])


def test_kills_are_shared_among_the_chains(project, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "stage.py").write_text(STAGE)
    whole = run_whole([project, other], command("none"))

    kills = run_kills([project, other], command("none"), whole, kills=5, seed=1)

    assert len(kills) == 5
    assert all(kill.is_good for kill in kills)


def made(count, **changes):
    values = {
        **{"cpu_s": 1.0, "is_live": True, "place": "epoch 2", "is_writing": False},
        **{"damaged": (), "problem": "", "is_identical": True},
    }
    return [Kill(**(values | changes))] * count


def test_38_live_kills_of_50_are_enough():
    check([*made(38), *made(12, is_live=False)])


def test_37_live_kills_of_50_are_too_few():
    with pytest.raises(KillError, match=r"at least 38 kills must hit .* Got: 37"):
        check([*made(37), *made(13, is_live=False)])


def test_one_other_weight_of_50_is_one_too_many():
    with pytest.raises(KillError, match="OTHER WEIGHTS"):
        check([*made(49), *made(1, is_identical=False)])


def test_table_counts_by_place():
    text = describe(
        [
            *made(3),
            *made(2, place="results", is_writing=True, is_identical=False),
            *made(1, is_live=False),
        ]
    )

    lines = [line.split() for line in text.splitlines()]
    assert ["epoch", "2", "3", "0", "3"] in lines
    assert ["results", "2", "2", "0"] in lines
    assert ["after", "the", "end", "1", "0", "1"] in lines
    assert "4 of 6 runs ended in identical weights; 5 kills hit a living process" in text


@pytest.mark.parametrize("name", EXAMPLES)
def test_project_of_an_example_is_one_that_the_stage_takes(name, tmp_path):
    write_project(tmp_path, EXAMPLES[name], ROOT / "params.yaml")

    member = params.load("member.killed", MemberParams, tmp_path / "params.yaml")
    train = params.load("train", TrainParams, tmp_path / "params.yaml")
    assert (member.frozen_epochs, member.accumulation_steps) == (1, 2)
    assert train.optimizer.ema_momentum > 0 < train.early_stopping.patience
    assert train.checkpoint_steps > 0
    assert runs.POINTER.parts[-2] == "killed-0"
