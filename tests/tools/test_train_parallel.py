"""Tests of `tools.train_parallel`."""

import pytest

from tests.tools.members import VALUES, change, make_project
from tools.train_parallel import ReproParams, find_places, has_many_places, longest_first


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    make_project(tmp_path, "")
    return tmp_path


def test_member_that_trains_longest_is_first():
    assert longest_first(VALUES) == ["b7-0", "b7-1", "b5-0", "b5-1", "b4-0", "b4-1"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((-1, 1, 1), "jobs must be at least 0"),
        ((0, -1, 1), "cluster_gpus_per_member must be at least 0"),
        ((0, 0, 0), "cluster_cpus_per_member must be at least 1"),
    ],
)
def test_numbers_below_the_least_are_refused(values, message):
    with pytest.raises(ValueError, match=rf"^{message}\. Got: "):
        ReproParams(*values)


def test_places_are_those_of_section_repro(root):
    change(root, "repro", jobs=3)

    with find_places(root, None) as places:
        assert [place.label for place in places] == ["", "", ""]


def test_one_place_here_is_left_to_dvc_repro(root):
    change(root, "repro", jobs=0)

    assert not has_many_places(root, None)


@pytest.mark.parametrize(
    ("section", "values", "gpus"),
    [
        ("repro", {"jobs": 2}, None),
        ("repro", {"jobs": 1}, "0"),  # `dvc repro` would take another GPU
        ("parallel", {"engine": "ray"}, None),
    ],
)
def test_several_places_or_one_elsewhere_are_not(root, section, values, gpus):
    change(root, section, **values)

    assert has_many_places(root, gpus)
