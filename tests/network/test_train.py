"""Tests of `pipeline.network.train`, on the smallest backbone of the table."""

import hashlib
from dataclasses import replace

import keras
import numpy as np
import pytest

from pipeline.network.checkpoint import CheckpointError
from pipeline.network.compiled import make_predictor
from pipeline.network.members import build_member
from pipeline.network.run import Run
from pipeline.network.train import TrainingError, reseed, score, train
from tests.network.networks import NO_AUGMENTATION, bright_ninths, settings, small_member

pytestmark = pytest.mark.slow

SETTINGS = settings()


class Killed(BaseException):
    """Stands for `kill -9`: nothing in the loop may catch it."""


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return bright_ninths(tmp_path_factory.mktemp("arrays"))


def make_run(cases, folder, chosen=SETTINGS, monitored=None, **changes):
    keras.utils.set_random_seed(chosen.seed)
    member = small_member(**changes)
    model = build_member(member, training=True)
    return Run(model, member, chosen, cases, monitored, cases, folder, None)


def digest(model):
    return hashlib.sha256(b"".join(np.asarray(v).tobytes() for v in model.variables)).hexdigest()


@pytest.fixture(scope="module")
def whole(cases, tmp_path_factory):
    run = make_run(cases, tmp_path_factory.mktemp("resume"))
    return run, train(run, name="whole")


@pytest.mark.parametrize("steps", [2, 6, 11])
def test_resumed_run_ends_in_identical_weights(cases, whole, tmp_path, monkeypatch, steps):
    """Killed in the first, the second and the third epoch of five steps each."""
    taken = 0

    def count(cases, rows):
        nonlocal taken
        taken += 1
        if taken == steps:
            raise Killed
        return read(cases, rows)

    read = type(cases).pixels
    killed = make_run(cases, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(type(cases), "pixels", count)
        with pytest.raises(Killed):
            train(killed, name="killed")
    assert digest(killed.model) != digest(whole[0].model)

    resumed = make_run(cases, tmp_path)
    outcome = train(resumed, name="resumed")

    assert digest(resumed.model) == digest(whole[0].model)
    losses = [row["loss"] for row in whole[1].history]
    assert [row["loss"] for row in outcome.history] == losses


def test_run_killed_after_its_last_epoch_only_restores(cases, whole, tmp_path):
    first = make_run(cases, tmp_path)
    outcome = train(first, name="first")

    again = make_run(cases, tmp_path)
    resumed = train(again, name="again")

    assert digest(again.model) == digest(first.model)
    assert resumed.checkpoint_bytes == outcome.checkpoint_bytes


def test_checkpoint_holds_weights_and_both_moments(whole):
    run, outcome = whole
    trainable = sum(np.asarray(v).size for v in run.model.trainable_variables)
    all_variables = sum(np.asarray(v).size for v in run.model.variables)

    assert outcome.checkpoint_bytes >= 4 * (all_variables + 2 * trainable)


def test_changed_recipe_refuses_to_resume(cases, tmp_path):
    train(make_run(cases, tmp_path, epochs=1), name="one")

    with pytest.raises(CheckpointError, match="params or cases have changed"):
        train(make_run(cases, tmp_path, epochs=2), name="two")


def test_loss_that_is_not_finite_stops_and_names_the_images(cases, tmp_path):
    run = make_run(cases, tmp_path)
    kernel = run.model.get_layer("logits").kernel
    kernel.assign(np.full(kernel.shape, np.nan))

    with pytest.raises(TrainingError, match=r"loss must be finite.*step 1.*case0"):
        train(run, name="nan")

    assert not list(tmp_path.glob("*.npz"))


def test_probabilities_that_are_not_finite_stop_the_run(cases, tmp_path):
    model = make_run(cases, tmp_path).model
    model.get_layer("logits").bias.assign(np.full(9, np.nan))

    with pytest.raises(TrainingError, match="Got: 45 of 45 held_out cases"):
        score(cases, make_predictor(model), "held_out")


def test_hook_hears_of_each_epoch_once_those_restored_first_and_may_end_the_run(cases, tmp_path):
    heard = []

    def end_after_two(row):
        heard.append(row["epoch"])
        if row["epoch"] == 2:
            raise Killed

    with pytest.raises(Killed):
        train(replace(make_run(cases, tmp_path), after_epoch=end_after_two), name="ended")
    assert heard == [1, 2]
    heard.clear()
    run = replace(make_run(cases, tmp_path), after_epoch=lambda row: heard.append(row["epoch"]))
    outcome = train(run, name="resumed")

    assert heard == [1, 2, 3]
    assert len(outcome.history) == 3


def test_training_learns(cases, tmp_path):
    """Nine bright ninths, told apart by position alone, which flips and turns would mix up."""
    plain = settings(augment=NO_AUGMENTATION)
    run = make_run(cases, tmp_path, plain, epochs=12, peak_learning_rate=3e-3)

    outcome = train(run, name="learns")

    assert outcome.history[-1]["loss"] < 0.75 * outcome.history[0]["loss"]


def test_dropout_of_an_epoch_depends_on_seed_and_epoch_alone(cases, tmp_path):
    model = make_run(cases, tmp_path).model
    layer = model.get_layer("head_dropout_0")

    states = []
    for epoch in (0, 1, 0):
        reseed(model, 5, epoch)
        states.append(np.asarray(layer.seed_generator.state))

    np.testing.assert_array_equal(states[0], states[2])
    assert not np.array_equal(states[0], states[1])
