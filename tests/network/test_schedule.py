"""Tests of `pipeline.network.schedule`."""

import pytest

from pipeline.network.schedule import learning_rate_at

RECIPE = {"peak": 3e-5, "steps_per_epoch": 10, "warmup_epochs": 1, "epochs": 15}


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 3e-6),  # a tenth of the warm-up
        (4, 1.5e-5),
        (9, 3e-5),  # the peak, with the last step of the warm-up
        (10, 3e-5),  # cosine of 0
        (10 + 70, 1.5e-5),  # half of the remaining 140 steps
        (10 + 35, 3e-5 * (1 + 2**-0.5) / 2),  # a quarter: cos 45°
    ],
)
def test_rate_follows_warm_up_and_cosine(step, rate):
    assert learning_rate_at(step, **RECIPE) == pytest.approx(rate)


def test_rate_falls_all_the_way_after_the_warm_up():
    rates = [learning_rate_at(step, **RECIPE) for step in range(10, 150)]

    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 1e-3 * RECIPE["peak"]


def test_without_warm_up_the_first_step_has_the_peak():
    rate = learning_rate_at(0, peak=1.0, steps_per_epoch=5, warmup_epochs=0, epochs=2)

    assert rate == 1.0


def test_warm_up_over_the_whole_run_ends_at_the_peak():
    rate = learning_rate_at(9, peak=1.0, steps_per_epoch=5, warmup_epochs=2, epochs=2)

    assert rate == 1.0
