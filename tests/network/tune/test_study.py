"""Tests of `pipeline.network.tune.study`: what is proposed, and what is pruned."""

import math

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from pipeline.network.tune.params import PrunerParams, TuneParams
from pipeline.network.tune.study import Trial, importances, is_hopeless, propose, rebuild

SPACE = {
    "member.batch_size": CategoricalDistribution([8, 16, 32]),
    "member.head.dropout": FloatDistribution(0.0, 0.5),
    "member.peak_learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
}
PRUNER = PrunerParams("percentile", 50.0, startup_trials=3, warmup_epochs=1)


def settings(**changes):
    values = {"seed": 3, "trials": 30, "startup_trials": 6, "inner_folds": (1,)}
    return TuneParams(**(values | {"pruner": PRUNER, "space": {"a": 1}} | changes))


def finished(number, values, state="complete"):
    """A trial whose loss is least at a learning rate of 1e-3; the other two do not matter."""
    loss = 1 + (math.log10(values["member.peak_learning_rate"]) + 3) ** 2
    value = loss if state == "complete" else None
    return Trial(number, values, state, value, [[loss + 1, loss]], "", 1.0)


def search(count, chosen, trials=()):
    trials = list(trials)
    while len(trials) < count:
        values = propose(trials, SPACE, chosen)
        state = {4: "pruned", 5: "failed"}.get(len(trials), "complete")
        trials.append(finished(len(trials), values, state))
    return trials


def test_search_that_goes_on_from_its_finished_trials_proposes_the_same():
    whole = search(14, settings())

    for kept in (0, 3, 7, 13):
        assert search(14, settings(), whole[:kept]) == whole


def test_proposals_differ_between_trials_and_between_seeds():
    first, other = search(8, settings()), search(8, settings(seed=4))

    rates = [trial.params["member.peak_learning_rate"] for trial in first + other]
    assert len(set(rates)) == 16


def test_a_proposal_depends_on_how_earlier_trials_went():
    """A planted fault for the two tests above: a sampler that ignores history would pass them."""
    trials = search(8, settings())
    turned = [
        Trial(t.number, t.params, t.state, t.value and 10 - t.value, t.losses, "", 1.0)
        for t in trials
    ]

    assert propose(trials, SPACE, settings()) != propose(turned, SPACE, settings())


def test_search_draws_near_to_the_best_value():
    trials = search(30, settings())

    distance = [abs(math.log10(t.params["member.peak_learning_rate"]) + 3) for t in trials]
    assert np.median(distance[15:]) < 0.5 * np.median(distance[:6])


def test_rebuilt_study_knows_states_values_and_losses():
    study = rebuild(search(7, settings()), SPACE)

    states = [trial.state for trial in study.trials]
    assert states[4:6] == [TrialState.PRUNED, TrialState.FAIL]
    assert states.count(TrialState.COMPLETE) == 5
    first = study.trials[0]
    assert first.intermediate_values == {0: first.value + 1, 1: first.value}
    assert first.params["member.batch_size"] in (8, 16, 32)


@pytest.mark.parametrize(
    ("losses", "hopeless"),
    [
        ([9.0], False),  # in the warm-up
        ([9.0, 1.5], False),  # the median of 1, 2 and 3 after the second epoch is 2
        ([9.0, 2.5], True),
        ([1.5, 2.5], False),  # its best so far counts
    ],
)
def test_trial_is_hopeless_whose_best_loss_lies_above_the_median(losses, hopeless):
    earlier = [[9.0, 1.0], [9.0, 3.0, 0.1], [9.0, 2.0]]

    assert is_hopeless(losses, earlier, PRUNER) is hopeless


def test_nothing_is_pruned_before_enough_trials_are_complete_nor_where_it_is_off():
    earlier = [[1.0, 1.0], [1.0, 1.0]]
    off = PrunerParams("none", 50.0, 0, 0)

    assert not is_hopeless([9.0, 9.0], earlier, PRUNER)
    assert not is_hopeless([9.0, 9.0], earlier * 2, off)
    assert is_hopeless([9.0, 9.0], earlier * 2, PRUNER)


def test_importance_goes_to_the_parameter_that_decides():
    shares = importances(search(20, settings(startup_trials=20)), SPACE, seed=0)

    assert next(iter(shares)) == "member.peak_learning_rate"
    assert shares["member.peak_learning_rate"] > 0.7
    assert sum(shares.values()) == pytest.approx(1)


def test_importance_of_too_few_or_equal_trials_is_none():
    trials = search(4, settings())
    equal = [Trial(t.number, t.params, t.state, 1.0, [[1.0]], "", 1.0) for t in trials]

    assert importances(trials[:3], SPACE, 0) == {}
    assert importances(equal, SPACE, 0) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trials": 0}, "trials must be at least 1. Got: 0"),
        ({"startup_trials": 0}, "startup_trials must be at least 1"),
        ({"inner_folds": ()}, r"each once. Got: \[\]"),
        ({"inner_folds": (1, 1)}, r"each once. Got: \[1, 1\]"),
        ({"space": {}}, "space must name a parameter"),
    ],
)
def test_setting_of_a_search_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("median", 50.0, 1, 1), "pruner.kind must be one of"),
        (("percentile", 0.0, 1, 1), r"in \(0, 100\]. Got: 0.0"),
        (("percentile", 50.0, -1, 1), "startup_trials must be >= 0"),
    ],
)
def test_pruner_that_cannot_be_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        PrunerParams(*values)
