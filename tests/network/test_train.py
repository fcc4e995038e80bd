"""Tests of `pipeline.network.train`, on the smallest backbone of the table."""

import hashlib
from dataclasses import replace

import keras
import numpy as np
import pytest

from pipeline.network import checkpoint
from pipeline.network.checkpoint import CheckpointError
from pipeline.network.compiled import make_predictor
from pipeline.network.member_params import HeadParams
from pipeline.network.members import backbone_of, build_member
from pipeline.network.run import Run
from pipeline.network.train import TrainingError, reseed, score, train
from pipeline.network.train_params import EarlyStoppingParams, OptimizerParams
from pipeline.network.watch import Watch
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


def test_frozen_backbone_does_not_move_until_its_epochs_are_over(cases, tmp_path):
    run = make_run(cases, tmp_path, frozen_epochs=2, epochs=3)
    before = [np.asarray(v) for v in backbone_of(run.model).variables]
    seen = []

    def look(watch, row):
        now = [np.asarray(v) for v in backbone_of(run.model).weights]
        seen.append(all(np.array_equal(a, b) for a, b in zip(before, now, strict=False)))

    original = Watch.epoch
    try:
        Watch.epoch = look
        train(run, name="frozen")
    finally:
        Watch.epoch = original

    assert seen == [True, True, False]


def test_early_stopping_keeps_the_weights_of_the_best_epoch(cases, tmp_path):
    """A rate that is far too high makes the inner loss worse and worse."""
    chosen = settings(early_stopping=EarlyStoppingParams(2, 0.2))
    run = make_run(cases, tmp_path, chosen, monitored=cases, epochs=12, peak_learning_rate=0.5)

    outcome = train(run, name="stops")

    losses = [row["inner_loss"] for row in outcome.history]
    best = int(np.argmin(losses))
    assert len(losses) == best + 3 < 12
    found = score(cases, make_predictor(run.model), "inner")["inner_loss"]
    assert found == pytest.approx(losses[best], rel=1e-4)


def test_averaged_weights_are_what_is_scored_and_kept(cases, tmp_path):
    chosen = settings(optimizer=OptimizerParams("adam", 0.0, 0.0, 0.9))
    plain, averaged = (
        make_run(cases, tmp_path / name, s) for name, s in (("a", SETTINGS), ("b", chosen))
    )

    train(plain, name="plain")
    outcome = train(averaged, name="averaged")

    assert digest(plain.model) != digest(averaged.model)
    found = score(cases, make_predictor(averaged.model), "held_out")["held_out_loss"]
    assert found == pytest.approx(outcome.history[-1]["held_out_loss"], rel=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"accumulation_steps": 2},
        {"frozen_epochs": 1},
        {"head": HeadParams("five_dropouts", (16,), 0.5)},
        {"precision": "bfloat16"},
    ],
)
def test_every_kind_of_run_resumes_inside_an_epoch(cases, tmp_path, changes):
    """Killed by an error from reading the batch after a checkpoint in the middle of epoch 2."""
    chosen = settings(
        checkpoint_steps=2,
        sampling="balanced",
        early_stopping=EarlyStoppingParams(3, 0.2),
        optimizer=OptimizerParams("adamw", 0.01, 1.0, 0.9),
    )
    whole, killed, resumed = (
        make_run(cases, tmp_path / name, chosen, monitored=cases, **changes)
        for name in ("whole", "killed", "killed")
    )
    train(whole, name="whole")
    original, saved = checkpoint.write_json, []

    def die_after(path, value):
        original(path, value)
        saved.append(value["entries"][0])
        if (saved[-1]["epoch"], saved[-1]["step"]) == (1, 4):
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "write_json", die_after)
        with pytest.raises(Killed):
            train(killed, name="killed")

    train(resumed, name="resumed")

    assert saved[-1]["step"] == 4
    assert digest(resumed.model) == digest(whole.model)
