"""Tests of `pipeline.network.train`, on the smallest backbone of the table."""

import hashlib
import shutil
from dataclasses import replace
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.network import backbones, tensorflow_compiled
from pipeline.network import train as loop
from pipeline.network.checkpoint import CheckpointError, load_checkpoint, newest_checkpoint
from pipeline.network.compiled import make_predictor
from pipeline.network.distribution import ONE_DEVICE
from pipeline.network.member_params import HeadParams
from pipeline.network.members import backbone_of, build_member
from pipeline.network.monitor import score
from pipeline.network.run import Run, TrainingError, fingerprint
from pipeline.network.seeds import reseed
from pipeline.network.train import train
from pipeline.network.train_params import EarlyStoppingParams, LossParams, OptimizerParams
from pipeline.network.watch import Watch
from tests.network.networks import NO_AUGMENTATION, bright_ninths, settings, small_member

pytestmark = pytest.mark.slow

SETTINGS = settings()


class Killed(BaseException):
    """Stands for `kill -9`: nothing in the loop may catch it."""


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return bright_ninths(tmp_path_factory.mktemp("arrays"))


def build_tiny(input_px, drop_connect, width):
    """One convolution: what is tested is the loop."""
    pixels = keras.Input((input_px, input_px, 3))
    features = keras.layers.Conv2D(8, 5, strides=4)(pixels)
    return keras.Model(pixels, keras.layers.BatchNormalization()(features), name="tiny")


@pytest.fixture(autouse=True, scope="module")
def tiny_backbone():
    row = backbones.Backbone(build_tiny, backbones.UNIT, {}, has_widths=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(backbones.BACKBONES, "tiny", row)
        yield


def make_run(cases, folder, chosen=SETTINGS, monitored=None, **changes):
    keras.utils.set_random_seed(chosen.seed)
    member = small_member(**{"backbone": "tiny", **changes})
    model = build_member(member, training=True)
    return Run(model, member, chosen, cases, monitored, cases, folder, None)


def digest(model):
    return hashlib.sha256(b"".join(np.asarray(v).tobytes() for v in model.variables)).hexdigest()


@pytest.fixture(scope="module")
def whole(cases, tmp_path_factory):
    run = make_run(cases, tmp_path_factory.mktemp("resume"))
    return run, train(run, name="whole")


class Way(NamedTuple):
    """A way to train that has state of its own."""

    settings: dict
    member: dict
    is_monitored: bool = False


WAYS = {
    "plain": Way({}, {}),
    "all that keeps state": Way(
        {
            "optimizer": OptimizerParams("adamw", 0.01, 1.0, 0.9),
            "early_stopping": EarlyStoppingParams(2, 0.2),
            "sampling": "balanced",
            "loss": LossParams("focal", 2.0, 0.1, "square_root"),
        },
        {
            "head": HeadParams("five_dropouts", (), 0.4),
            "accumulation_steps": 2,
            "frozen_epochs": 1,
        },
        is_monitored=True,
    ),
    "bfloat16": Way({}, {"precision": "bfloat16", "accumulation_steps": 2}),
}


def run_in(way, cases, folder, **changes):
    chosen = settings(**{"checkpoint_steps": 2, **way.settings, **changes})
    return make_run(cases, folder, chosen, cases if way.is_monitored else None, **way.member)


@pytest.fixture(scope="module", params=WAYS)
def trained(request, cases, tmp_path_factory):
    """A way to train, and the weights and losses that it ends in."""
    way = WAYS[request.param]
    run = run_in(way, cases, tmp_path_factory.mktemp("resume"))
    outcome = train(run, name="whole")
    return way, digest(run.model), [row["loss"] for row in outcome.history]


def test_two_runs_with_one_seed_agree_bit_for_bit(cases, trained, tmp_path):
    way, whole, _ = trained
    run = run_in(way, cases, tmp_path)

    train(run, name="again")

    assert digest(run.model) == whole


@pytest.mark.parametrize("trained", ["plain"], indirect=True)
def test_another_seed_ends_in_other_weights(cases, trained, tmp_path):
    way, whole, _ = trained
    run = run_in(way, cases, tmp_path, seed=12)

    train(run, name="other")

    assert digest(run.model) != whole


def kill(run, monkeypatch, *, epoch, step):
    """Train up to a step of an epoch, both from 0, and go no further."""

    class Killing(loop.Watch):
        def step(self, at, *args):
            taken = self.__dict__.setdefault("taken", {})
            taken[at] = taken.get(at, 0) + 1
            if (at, taken[at]) == (epoch, step + 1):
                raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(loop, "Watch", Killing)
        with pytest.raises(Killed):
            train(run, name="killed")


# Five steps an epoch, checkpoints after two, four and all: none yet, one inside the first epoch,
# the first epoch's end, inside the second, inside the last.
STOPS = [(0, 1), (0, 3), (1, 0), (1, 3), (2, 3)]
STOPPED = [("all that keeps state", *stop) for stop in STOPS]


@pytest.mark.parametrize(
    ("trained", "epoch", "step"),
    [("plain", 0, 3), *STOPPED, ("bfloat16", 1, 3)],
    indirect=["trained"],
)
def test_resumed_run_ends_in_identical_weights(cases, trained, tmp_path, monkeypatch, epoch, step):
    way, whole, losses = trained
    killed = run_in(way, cases, tmp_path)
    kill(killed, monkeypatch, epoch=epoch, step=step)
    assert digest(killed.model) != whole

    resumed = run_in(way, cases, tmp_path)
    outcome = train(resumed, name="resumed")

    assert digest(resumed.model) == whole
    assert [row["loss"] for row in outcome.history] == losses


KEPT_BY = {
    "moments of the optimizer": lambda path: "/" in path and "momentum" in path,
    "count of the optimizer's steps": lambda path: path.endswith("iteration"),
    "moving averages of the weights": lambda path: path.endswith("_average"),
    "statistics of batch normalisation": lambda path: "moving_" in path,
    "generators of dropout": lambda path: "seed" in path,
}


@pytest.fixture(scope="module")
def killed_run(cases, tmp_path_factory):
    """A resume folder left in the second epoch, and the weights of a run that nobody killed."""
    way, folder = WAYS["all that keeps state"], tmp_path_factory.mktemp("killed")
    whole = run_in(way, cases, folder / "whole")
    train(whole, name="whole")
    with pytest.MonkeyPatch.context() as patch:
        kill(run_in(way, cases, folder / "killed"), patch, epoch=1, step=3)
    return way, folder / "killed", digest(whole.model)


@pytest.mark.parametrize("is_forgotten", KEPT_BY.values(), ids=KEPT_BY)
def test_state_that_is_not_restored_is_noticed(
    cases, killed_run, tmp_path, monkeypatch, is_forgotten
):
    """Planted: of one kind of variables each, those of a new run stay."""
    way, folder, whole = killed_run
    shutil.copytree(folder, tmp_path / "killed")
    restore, forgotten = loop._Training._restore, 0

    def restore_all_but_some(training):
        nonlocal forgotten
        fresh = [(v, np.asarray(v)) for v in training.variables if is_forgotten(v.path)]
        restored = restore(training)
        for variable, array in fresh:
            forgotten += not np.array_equal(np.asarray(variable), array)
            variable.assign(array)
        return restored

    monkeypatch.setattr(loop._Training, "_restore", restore_all_but_some)
    resumed = run_in(way, cases, tmp_path / "killed")
    train(resumed, name="resumed")

    assert forgotten
    assert digest(resumed.model) != whole


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


def spoil(run, monkeypatch, *, epoch):
    """Make the logits of a run NaN from an epoch on, from 0."""

    def reseed_and_spoil(model, seed, at):
        reseed(model, seed, at)
        if at == epoch:
            kernel = model.get_layer("logits").kernel
            kernel.assign(np.full(kernel.shape, np.nan))

    monkeypatch.setattr(loop, "reseed", reseed_and_spoil)
    return run


def test_loss_that_is_not_finite_stops_and_names_step_and_images(cases, tmp_path, monkeypatch):
    run = spoil(make_run(cases, tmp_path), monkeypatch, epoch=0)

    with pytest.raises(
        TrainingError, match=r"loss must be finite.*epoch 1, step 1.*case0"
    ) as error:
        train(run, name="nan")

    named = [name for name in cases.image_ids if name in str(error.value)]
    assert named == sorted(cases.image_ids[row] for row in first_batch(run))
    assert "no checkpoint yet" in str(error.value)
    assert newest_checkpoint(tmp_path) is None


def first_batch(run):
    plan = loop.plan_epoch(run.training.labels, 8, sampling="natural", seed=11, epoch=0)
    return plan.rows[0]


def test_message_names_the_file_of_the_last_finite_weights(cases, tmp_path, monkeypatch):
    run = spoil(make_run(cases, tmp_path), monkeypatch, epoch=1)

    with pytest.raises(TrainingError, match=r"epoch 2, step 1.*epoch-0001-step-000000\.npz"):
        train(run, name="nan")

    kept = load_checkpoint(tmp_path, fingerprint(run))
    assert kept.epoch == 1
    assert all(np.isfinite(array).all() for array in kept.arrays)


def test_gradient_that_is_not_finite_stops_though_the_loss_is(cases, tmp_path, monkeypatch):
    losses = tensorflow_compiled.case_losses

    def with_a_bad_slope(loss, labels, logits):
        return losses(loss, labels, logits) + keras.ops.sqrt(0 * keras.ops.sum(logits))

    monkeypatch.setattr(tensorflow_compiled, "case_losses", with_a_bad_slope)

    with pytest.raises(TrainingError, match=r"gradient_norm must be finite\. Got: nan in epoch 1"):
        train(make_run(cases, tmp_path), name="nan")

    assert newest_checkpoint(tmp_path) is None


def test_weights_that_are_not_finite_are_not_saved_though_every_step_was(
    cases, tmp_path, monkeypatch
):
    """The last step's own update is seen by no later step of its epoch."""
    run = make_run(cases, tmp_path, batch_size=45)  # one step an epoch
    step = tensorflow_compiled.TensorFlowStep.__call__

    def spoil_after(self, batch, rate):
        result = step(self, batch, rate)
        run.model.get_layer("logits").bias.assign(np.full(9, np.inf))
        return result

    monkeypatch.setattr(tensorflow_compiled.TensorFlowStep, "__call__", spoil_after)
    monkeypatch.setattr(loop, "score", lambda *args: {"held_out_loss": 1.0})
    with pytest.raises(CheckpointError, match="weights must be finite"):
        train(run, name="inf")

    assert not list(tmp_path.glob("*.npz"))


def test_probabilities_that_are_not_finite_stop_the_run(cases, tmp_path):
    model = make_run(cases, tmp_path).model
    model.get_layer("logits").bias.assign(np.full(9, np.nan))

    with pytest.raises(TrainingError, match="Got: 45 of 45 held_out cases"):
        score(cases, make_predictor(model), "held_out", ONE_DEVICE)


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


NO_MEMORY = [
    tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
    RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes"),
    MemoryError(),
]


@pytest.mark.parametrize("raised", NO_MEMORY, ids=lambda error: type(error).__name__)
def test_step_that_does_not_fit_says_what_to_change(cases, tmp_path, monkeypatch, raised):
    def fail(*args):
        raise raised

    monkeypatch.setattr(tensorflow_compiled.TensorFlowStep, "__call__", fail)

    with pytest.raises(TrainingError) as error:
        train(make_run(cases, tmp_path), name="large")

    message = str(error.value)
    assert "large must fit into memory" in message
    for words in ("batch_size 8", "input_px 32", "float32", "accumulation_steps", "bfloat16"):
        assert words in message


def test_another_error_of_a_step_stays_what_it_is(cases, tmp_path, monkeypatch):
    def fail(*args):
        raise RuntimeError("INTERNAL: a bug")

    monkeypatch.setattr(tensorflow_compiled.TensorFlowStep, "__call__", fail)

    with pytest.raises(RuntimeError, match="a bug"):
        train(make_run(cases, tmp_path), name="broken")


def test_checkpoint_of_other_code_is_refused(cases, tmp_path, monkeypatch):
    """Params are equal, but the network that they make is not."""
    train(make_run(cases, tmp_path), name="first")
    same = fingerprint(make_run(cases, tmp_path))
    monkeypatch.setattr(loop, "fingerprint", lambda run: same)

    with pytest.raises(CheckpointError, match="the code has changed"):
        train(make_run(cases, tmp_path, backbone="small", width=0.25), name="second")


def test_training_learns(cases, tmp_path):
    """Nine bright ninths, told apart by position alone, which flips and turns would mix up."""
    plain = settings(augment=NO_AUGMENTATION)
    real = {"backbone": "mobilenet_v2", "width": 0.35}
    run = make_run(cases, tmp_path, plain, epochs=12, peak_learning_rate=3e-3, **real)

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
    """The better the truth is learnt, the worse is the loss on cases whose labels are wrong."""
    chosen = settings(early_stopping=EarlyStoppingParams(2, 0.2), augment=NO_AUGMENTATION)
    wrong = replace(cases, labels=(cases.labels + 1) % 9)
    run = make_run(cases, tmp_path, chosen, monitored=wrong, epochs=12, peak_learning_rate=3e-3)

    outcome = train(run, name="stops")

    losses = [row["inner_loss"] for row in outcome.history]
    best = int(np.argmin(losses))
    assert len(losses) == best + 3 < 12
    found = score(wrong, make_predictor(run.model), "inner", ONE_DEVICE)["inner_loss"]
    assert found == pytest.approx(losses[best], rel=1e-4)
    assert losses[-1] > losses[best]


def test_averaged_weights_are_what_is_scored_and_kept(cases, tmp_path):
    chosen = settings(optimizer=OptimizerParams("adam", 0.0, 0.0, 0.9))
    plain, averaged = (
        make_run(cases, tmp_path / name, s) for name, s in (("a", SETTINGS), ("b", chosen))
    )

    train(plain, name="plain")
    outcome = train(averaged, name="averaged")

    assert digest(plain.model) != digest(averaged.model)
    found = score(cases, make_predictor(averaged.model), "held_out", ONE_DEVICE)["held_out_loss"]
    assert found == pytest.approx(outcome.history[-1]["held_out_loss"], rel=1e-4)
