"""Tests of `pipeline.scoring.map_checks`, on scores that know one spot of each image."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.scoring.bootstrap import draw_counts
from pipeline.scoring.map_checks import (
    CONTROLS,
    OWN,
    ChecksParams,
    gain_rows,
    mean_map,
    measure_all,
    measure_areas,
    nest_gains,
    word_gains,
)

SIDE, COUNT = 24, 12
AT = (np.arange(SIDE) + 0.5) / SIDE
SPOTS = [(0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.7, 0.65)]


def hill(spot):
    return np.exp(-40 * ((AT[:, None] - spot[0]) ** 2 + (AT[None, :] - spot[1]) ** 2))


def sees(spot):
    """A score that falls by what is hidden of one spot."""
    weights = hill(spot) / hill(spot).sum()
    return lambda masks: 1 - (masks * weights).sum(axis=(1, 2))


def measure(heats, workers=2):
    scores = [sees(SPOTS[n % 4]) for n in range(COUNT)]
    with ThreadPoolExecutor(workers) as executor:
        return list(measure_all(heats, scores, steps=6, seed=(5, 1), executor=executor))


def gains(heats):
    counts = draw_counts(np.arange(COUNT), repeats=200, seed=1)
    return gain_rows("own", measure(heats), counts=counts, interval=0.95)


TRUE_MAPS = [hill(SPOTS[n % 4]) for n in range(COUNT)]


def test_true_maps_beat_both_controls_by_both_measures():
    rows = gains(TRUE_MAPS)

    assert len(rows) == 4
    for row in rows:
        assert row["n"] == COUNT and row["gain"] > 0.05 and row["low"] > 0, row
        assert row["wins"] >= 0.9, row


@pytest.mark.parametrize(
    "fault",
    {
        "flipped": lambda heats: [heat[::-1, ::-1] for heat in heats],
        "of the next image": lambda heats: [*heats[1:], heats[0]],
        "turned inside out": lambda heats: [1 - heat for heat in heats],
    }.items(),
    ids=lambda fault: fault[0],
)
def test_planted_maps_that_point_elsewhere_do_not_gain(fault):
    rows = gains(fault[1](TRUE_MAPS))

    against_random = [row for row in rows if row["control"] == "random"]
    assert all(row["gain"] < 0.05 for row in against_random), against_random


def test_areas_of_a_linear_score_are_those_worked_out_by_hand():
    """One of four pixels counts; shown or hidden first, the score steps at the first quarter."""
    heat, spot = np.array([[1.0, 0.5], [0.3, 0.2]]), np.array([[1.0, 0.0], [0.0, 0.0]])

    areas = measure_areas(
        heat,
        heat[::-1],
        lambda masks: 1 - (masks * spot).sum(axis=(1, 2)),
        steps=4,
        rng=np.random.default_rng(0),
    )

    np.testing.assert_allclose(areas[OWN], [1 / 8, 7 / 8])
    # Of the flipped map the pixel comes third: 1, 1, 1, 0, 0 by trapezia.
    np.testing.assert_allclose(areas["other_image"], [5 / 8, 3 / 8])


def test_an_undefined_map_is_neither_measured_nor_counted():
    heats = [np.full((SIDE, SIDE), np.nan), *TRUE_MAPS[1:]]

    areas = measure(heats)
    rows = gains(heats)

    assert all(np.isnan(areas[0][name]).all() for name in (OWN, *CONTROLS))
    by_control = {row["control"]: row["n"] for row in rows}
    assert by_control == {"random": COUNT - 1, "other_image": COUNT - 2}  # one's other map is it


def test_where_no_map_is_defined_nothing_is_said():
    rows = gains([np.full((SIDE, SIDE), np.nan)] * COUNT)

    assert all(row["n"] == 0 and row["gain"] is None and row["area"] is None for row in rows)
    assert nest_gains(rows)["own"]["random"]["deletion"]["wins"] is None


def test_number_of_threads_changes_nothing():
    for one, two in zip(measure(TRUE_MAPS, 1), measure(TRUE_MAPS, 3), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])


def test_mean_of_maps_leaves_out_those_that_are_undefined():
    first, second = np.array([[1.0, 0.0]]), np.array([[0.5, 1.0]])
    undefined = np.full((1, 2), np.nan)

    np.testing.assert_allclose(mean_map(np.stack([first, undefined, second])), [[1, 2 / 3]])
    assert np.isnan(mean_map(np.stack([undefined, undefined]))).all()


def test_one_case_has_no_other_image():
    with pytest.raises(ValueError, match=r"^cases must be at least 2\. Got: 1\.$"):
        ChecksParams(cases=1, steps=4)
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match=r"Got: 1\.$"):
        measure_all(TRUE_MAPS[:1], [sees(SPOTS[0])], steps=2, seed=(0,), executor=executor)


def test_gains_are_worded_with_interval_and_n():
    row = {"map": "grad_cam", "control": "other_image", "measure": "insertion", "n": 8}
    known = row | {"gain": -0.063, "low": -0.13, "high": 0.011}
    unknown = row | {"map": "occlusion", "n": 0, "gain": None, "low": None, "high": None}

    words = word_gains([known | {"measure": "deletion", "gain": 0.9}, known, unknown])

    assert words.endswith("image: grad-cam -0.06 (-0.13 to +0.01), n = 8; occlusion: undefined.")
