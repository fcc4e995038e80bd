"""Tests of `tools.benchmark_noop`."""

import shutil
from pathlib import Path

import pytest

from tools import benchmark_noop
from tools.benchmark_noop import goals_of, make_project, repro, summarise, time_repositories

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def project(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_figures_are_medians_in_multiples_of_the_start_up():
    names = ("start_up", "raw", "outputs", "wiring", "project")
    seconds = {
        name: [value, 99.0, value] for name, value in zip(names, (2, 4, 5, 6, 8), strict=True)
    }

    figures = summarise(seconds)

    assert figures["seconds"] == dict(zip(names, (2, 4, 5, 6, 8), strict=True))
    assert figures["times_start_up"] == dict(zip(names, (1, 2, 2.5, 3, 4), strict=True))
    assert figures["outputs_add"] == 0.5
    # Times start-up at most 3, of which outputs add at most 0.2; all stages, at most 3.
    assert [one["met"] for one in goals_of(figures)] == [True, False, False]


@pytest.mark.slow
def test_every_repository_has_nothing_to_do(monkeypatch):
    monkeypatch.setattr(benchmark_noop, "FEW_IMAGES", 2)

    figures = time_repositories(5, 1)

    assert set(figures["seconds"]) == set(benchmark_noop.REPOSITORIES)
    # Of 2 sizes of crops and 3 members: a shard or so with its tables, and what other stages write.
    assert 100 < figures["output_files"] < 300


@pytest.mark.slow
def test_run_with_something_to_do_is_refused(tmp_path):
    make_project(tmp_path / "project", 5)
    repro(tmp_path / "project")
    shutil.rmtree(tmp_path / "project/data/split")

    with pytest.raises(ValueError, match=r"dvc repro in project must have nothing to do\. Got: "):
        repro(tmp_path / "project")
