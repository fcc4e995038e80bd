"""Tests of `pipeline.network.schedule`: both published traces, and the other schedules."""

import math

import pytest

from pipeline.network.schedule import count_reductions, learning_rate_at
from pipeline.network.train_params import ScheduleParams

STEPS = 10  # of an epoch in these tests

# The recipe's B4 and B5: 15 epochs, one of warm-up from 0 to 3e-5, then cosine, at each step. The
# rate after k tenths of the warm-up, and at the start of each later epoch: 1.5e-5 (1 + cos πk/14).
RECIPE_WARM_UP = [3e-6, 6e-6, 9e-6, 1.2e-5, 1.5e-5, 1.8e-5, 2.1e-5, 2.4e-5, 2.7e-5, 3e-5]
RECIPE_EPOCHS = [
    *(3.000000000e-05, 2.962391868e-05, 2.851453302e-05, 2.672747224e-05, 2.435234703e-05),
    *(2.150825609e-05, 1.833781401e-05, 1.500000000e-05, 1.166218599e-05, 8.491743913e-06),
    *(5.647652972e-06, 3.272527763e-06, 1.485466981e-06, 3.760813173e-07),
]
# The winner of SIIM-ISIC 2020, as published to three digits.
WINNER = [
    *(3.0e-5, 3.0e-4, 2.96e-4, 2.85e-4, 2.67e-4, 2.44e-4, 2.15e-4, 1.83e-4, 1.5e-4, 1.17e-4),
    *(8.49e-5, 5.65e-5, 3.27e-5, 1.49e-5, 3.76e-6),
]
# The same, worked out: 3e-5, then 1.5e-4 (1 + cos πk/14).
WINNER_EXACT = [3e-5, *(10 * rate for rate in RECIPE_EPOCHS)]


def schedule(kind, patience=2):
    return ScheduleParams(kind, 0.5, patience)


def rates(kind, steps, peak=3e-5, epochs=15, reductions=0):
    return [
        learning_rate_at(
            step,
            schedule(kind),
            peak=peak,
            steps_per_epoch=STEPS,
            warmup_epochs=1,
            epochs=epochs,
            reductions=reductions,
        )
        for step in steps
    ]


def show(capsys, title, found, wanted):
    """Print a trace beside the published one, whatever pytest captures."""
    with capsys.disabled():
        print(f"\n{title}")
        for number, (rate, published) in enumerate(zip(found, wanted, strict=True), start=1):
            print(f"  {number:3d}  {rate:.9e}  {published:.9e}")


def test_trace_of_the_recipe_is_the_published_one(capsys):
    found = rates("warmup_cosine", range(STEPS)) + rates(
        "warmup_cosine", range(STEPS, 15 * STEPS, STEPS)
    )

    wanted = RECIPE_WARM_UP + RECIPE_EPOCHS
    show(capsys, "recipe: warm-up by step, then the first step of each epoch", found, wanted)
    assert found == pytest.approx(wanted, rel=1e-9, abs=0)


def test_trace_of_the_winner_is_the_published_one(capsys):
    found = rates("winner_2020", range(0, 15 * STEPS, STEPS), peak=3e-4)

    show(capsys, "winner of 2020, by epoch", found, WINNER_EXACT)
    assert found == pytest.approx(WINNER_EXACT, rel=1e-9, abs=0)
    assert [float(f"{rate:.2e}") for rate in found] == WINNER


def test_winner_keeps_its_rate_throughout_an_epoch():
    found = rates("winner_2020", range(15 * STEPS), peak=3e-4)

    assert all(len(set(found[e * STEPS : (e + 1) * STEPS])) == 1 for e in range(15))


def test_b7_of_the_winner_goes_from_1e_5_to_1e_4():
    assert rates("winner_2020", [0, STEPS], peak=1e-4) == pytest.approx([1e-5, 1e-4])


def test_recipe_falls_all_the_way_after_the_warm_up():
    found = rates("warmup_cosine", range(STEPS, 15 * STEPS))

    assert found == sorted(found, reverse=True)
    assert 0 < found[-1] < 1e-3 * 3e-5


@pytest.mark.parametrize(("warmup", "step", "wanted"), [(0, 0, 1.0), (2, 2 * STEPS - 1, 1.0)])
def test_peak_is_reached_without_warm_up_and_by_warm_up_alone(warmup, step, wanted):
    rate = learning_rate_at(
        step,
        schedule("warmup_cosine"),
        peak=1.0,
        steps_per_epoch=STEPS,
        warmup_epochs=warmup,
        epochs=2,
        reductions=0,
    )

    assert rate == wanted


def test_constant_is_the_peak_at_any_step():
    assert set(rates("constant", range(40))) == {3e-5}


def test_each_plateau_halves_the_rate():
    assert rates("reduce_on_plateau", [7], peak=1.0, reductions=0) == [1.0]
    assert rates("reduce_on_plateau", [7], peak=1.0, reductions=3) == [0.125]


@pytest.mark.parametrize(
    ("losses", "reductions"),
    [
        ([], 0),
        ([3, 2, 1], 0),  # improving
        ([1, 2], 0),  # one bad epoch is patience
        ([1, 2, 2], 1),
        ([1, 2, 2, 2], 1),  # waits anew after a reduction
        ([1, 2, 2, 2, 2], 2),
        ([1, 2, 0.5, 2], 0),  # a better one starts over
        ([1, 1, 1], 1),  # level is not better
        ([math.inf, 1, 2, 3], 1),
    ],
)
def test_plateau_is_epochs_without_a_better_loss(losses, reductions):
    assert count_reductions(losses, patience=2) == reductions
