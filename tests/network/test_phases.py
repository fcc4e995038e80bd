"""Tests of `pipeline.network.phases` and `pipeline.network.optimizers`."""

import keras
import numpy as np
import pytest

from pipeline.network.members import backbone_of, build_member
from pipeline.network.optimizers import averaged_weights, make_optimizer
from pipeline.network.phases import enter, make_phases, phase_of, rate_at
from pipeline.network.train_params import OptimizerParams, ScheduleParams
from tests.network.networks import settings, small_member

pytestmark = pytest.mark.slow  # imports TensorFlow


def variables():
    return [keras.Variable(np.ones(3, np.float32), name=name) for name in ("kernel", "gamma")]


def step(optimizer, trained, gradient=1.0):
    optimizer.apply([keras.ops.full((3,), gradient) for _ in trained])


def test_weight_decay_leaves_scales_alone():
    trained = variables()
    optimizer = make_optimizer(OptimizerParams("adamw", 0.1, 0, 0), trained, accumulation_steps=1)
    optimizer.learning_rate = 0.5

    step(optimizer, trained, gradient=0.0)

    np.testing.assert_allclose(trained[0], 0.95)  # 1 - 0.5 · 0.1
    np.testing.assert_allclose(trained[1], 1.0)


def test_gradients_are_clipped_by_their_common_norm():
    """Adam's first step does not feel the size of a gradient, its moments do."""
    trained = variables()
    optimizer = make_optimizer(OptimizerParams("adam", 0, 1.0, 0), trained, accumulation_steps=1)

    step(optimizer, trained, gradient=100.0)

    # Six equal numbers of norm 1, a tenth of which goes into the first moment.
    np.testing.assert_allclose(optimizer._momentums[0], 0.1 / np.sqrt(6), rtol=1e-5)


def test_accumulated_parts_make_one_step_of_their_mean():
    whole, parts = variables(), variables()
    one = make_optimizer(OptimizerParams("adam", 0, 0, 0), whole, accumulation_steps=1)
    two = make_optimizer(OptimizerParams("adam", 0, 0, 0), parts, accumulation_steps=2)

    step(one, whole, gradient=2.0)
    step(two, parts, gradient=1.0)
    np.testing.assert_array_equal(parts[0], 1.0)  # nothing moves before the last part
    step(two, parts, gradient=3.0)

    np.testing.assert_allclose(parts[0], whole[0])


@pytest.mark.parametrize("parts", [1, 2])
def test_average_of_the_weights_is_lent_and_taken_back(parts):
    """Keras begins with the weights after the first step; after the second they are averaged."""
    trained = variables()
    params = OptimizerParams("adam", 0, 0, 0.75)
    optimizer = make_optimizer(params, trained, accumulation_steps=parts)
    optimizer.learning_rate = 0.5
    after = []
    for _ in range(2):
        for _ in range(parts):
            step(optimizer, trained)
        after.append(np.asarray(trained[0]))

    with averaged_weights(trained, optimizer):
        lent = np.asarray(trained[0])

    np.testing.assert_array_equal(trained[0], after[1])
    assert (after[1] < lent).all() and (lent < after[0]).all()
    if parts == 1:
        np.testing.assert_allclose(lent, 0.75 * after[0] + 0.25 * after[1], rtol=1e-6)


def test_first_phase_trains_what_follows_the_backbone_and_keeps_its_statistics():
    member = small_member(frozen_epochs=2, epochs=5)
    model = build_member(member)
    first, second = make_phases(model, member, settings())
    inside = {id(v) for v in backbone_of(model).variables}

    enter(first, model, member)
    frozen = [v.trainable for v in backbone_of(model).weights]
    enter(second, model, member)

    assert not any(id(v) in inside for v in first.variables)
    assert any(id(v) in inside for v in second.variables)
    assert not any(frozen)
    assert [phase_of([first, second], epoch) for epoch in range(5)] == [first] * 2 + [second] * 3


def test_warm_up_begins_after_the_frozen_epochs():
    member = small_member(
        frozen_epochs=2, frozen_learning_rate=0.01, epochs=5, peak_learning_rate=1.0
    )

    rates = [rate_at(epoch, 0, 10, member, settings(), []) for epoch in range(5)]

    assert rates[:2] == [0.01, 0.01]
    assert rates[2:4] == [pytest.approx(0.1), pytest.approx(1.0)]


def test_plateau_of_the_inner_part_lowers_the_rate():
    chosen = settings(
        schedule=ScheduleParams("reduce_on_plateau", 0.1, 2),
        early_stopping=settings().early_stopping.__class__(0, 0.2),
    )
    member = small_member(epochs=9, peak_learning_rate=1.0)

    rates = [rate_at(5, 0, 10, member, chosen, losses) for losses in ([], [1, 2], [1, 2, 2])]

    assert rates == [1.0, 1.0, pytest.approx(0.1)]
