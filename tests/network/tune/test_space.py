"""Tests of `pipeline.network.tune.space`: names and ranges, before any trial."""

import copy
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from pipeline import params
from pipeline.network.tune.space import SpaceError, read_space, settings_with

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def sections():
    """Member `b4` and section `train` of the project."""
    path = ROOT / "params.yaml"
    return {
        "member": params.read_section("member.b4", path),
        "train": params.read_section("train", path),
    }


def test_ranges_become_those_of_optuna_in_alphabetical_order(sections):
    ranges = {
        "train.optimizer.clip_norm": {"low": 0, "high": 2},
        "member.peak_learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
        "member.batch_size": {"choices": [8, 16]},
        "member.epochs": {"low": 2, "high": 6, "step": 2},
    }

    space = read_space(ranges, sections)

    assert list(space) == sorted(ranges)
    assert space["train.optimizer.clip_norm"] == FloatDistribution(0.0, 2.0)
    assert space["member.peak_learning_rate"] == FloatDistribution(1e-5, 1e-2, log=True)
    assert space["member.batch_size"] == CategoricalDistribution([8, 16])
    assert space["member.epochs"] == IntDistribution(2, 6, step=2)


def test_the_space_of_the_project_can_be_searched_for_every_member():
    path = ROOT / "params.yaml"
    train = params.read_section("train", path)
    for member in params.read_section("member", path).values():
        space = read_space(
            params.read_section("tune.space", path), {"member": member, "train": train}
        )

        assert "member.peak_learning_rate" in space


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("member.hed.dropout", {"low": 0, "high": 0.5}, "Got: member.hed.dropout; known below mem"),
        ("member.head.droput", {"low": 0, "high": 0.5}, r"known below member.head: \['dense', 'dr"),
        ("predict.batch_size", {"choices": [1, 2]}, r"known: \['member', 'train'\]"),
        ("member.head", {"choices": ["pooled", "flatten"]}, "member.head, which has several"),
        ("member.head.dense", {"choices": [1, 2]}, "member.head.dense, which has several"),
        ("train.seed", {"low": 1, "high": 9}, "the best of several seeds is luck"),
        ("member.input_px", {"choices": [64, 80]}, "the arrays that are given have one size"),
        ("member.head.dropout", {"low": 0}, "must be {low, high}, with log or step"),
        ("member.head.dropout", 0.2, "must be {low, high}, with log or step"),
        ("member.head.dropout", {"low": 0.5, "high": 0.5}, "low < high. Got: 0.5 and 0.5."),
        ("member.head.dropout", {"low": 0, "high": 0.5, "log": True}, "0 < low < high with log"),
        ("member.head.dropout", {"low": "0", "high": 0.5}, "values of float. Got: '0'"),
        ("member.epochs", {"low": 2, "high": 7, "step": 2}, "steps must lead from low to high"),
        ("member.epochs", {"low": 2.5, "high": 7}, "values of int. Got: 2.5"),
        ("member.demographics", {"low": 0, "high": 1}, "must be choices of bool"),
        ("member.batch_size", {"choices": [8]}, "at least two"),
        ("member.batch_size", {"choices": [8, 8]}, "choices must differ"),
        ("member.batch_size", {"choices": [8, True]}, "values of int. Got: True"),
        ("member.head.dropout", {"low": 0, "high": 1}, r"head.dropout must be in \[0, 1\). Got: 1"),
        ("train.loss.kind", {"choices": ["focal", "hinge"]}, "loss.kind must be one of"),
        ("train.optimizer.weight_decay", {"low": 0, "high": 0.1}, "must be 0 for adam. Got: 0.1"),
    ],
)
def test_what_cannot_be_searched_is_named_in_one_line(sections, name, given, message):
    with pytest.raises(SpaceError, match=message) as caught:
        read_space({name: given}, sections)

    assert "\n" not in str(caught.value)


def test_values_that_do_not_go_together_are_refused_though_each_would_do(sections):
    """Weight decay is of AdamW alone, which one of the choices is."""
    ranges = {
        "train.optimizer.kind": {"choices": ["adamw", "adam"]},
        "train.optimizer.weight_decay": {"low": 0.01, "high": 0.1},
    }

    with pytest.raises(SpaceError, match="weight_decay must be 0 for adam"):
        read_space(ranges, sections)


def test_a_value_is_checked_in_a_space_of_too_many_corners(sections):
    wide = {f"train.{name}": {"low": 0.0, "high": 0.5} for name in ("demographics_dropout",)}
    wide |= {
        f"member.{name}": {"low": low, "high": low + 0.5}
        for name, low in (("batch_norm_momentum", 0.1), ("drop_connect", 0.1), ("width", 0.5))
    }
    wide |= {"member.batch_size": {"choices": list(range(1, 400))}}

    with pytest.raises(SpaceError, match=r"batch_size must be at least 1\. Got: 0"):
        read_space(wide | {"member.batch_size": {"choices": [*range(1, 400), 0]}}, sections)
    assert read_space(wide, sections)


def test_values_reach_the_dataclasses_and_the_sections_stay(sections):
    before = copy.deepcopy(sections)

    member, train = settings_with(
        {"member.head.dropout": 0.31, "train.loss.label_smoothing": 0.07}, sections
    )

    assert (member.head.dropout, train.loss.label_smoothing) == (0.31, 0.07)
    assert member.head.kind == sections["member"]["head"]["kind"]
    assert sections == before
