"""Tests of `pipeline.scoring.gallery`."""

import numpy as np
import pytest

from pipeline.classes import CLASSES
from pipeline.scoring.gallery import ERRORS, GALLERIES, HITS, MISSES, Answers, count, hang

MEL, NV, BCC = (CLASSES.index(name) for name in ("MEL", "NV", "BCC"))


def answers(cases):
    """Cases as (truth, predicted, probability of that); the rest of it goes to the truth."""
    probabilities = np.zeros((len(cases), 9))
    for row, (truth, said, sure) in enumerate(cases):
        probabilities[row, truth] += 1 - sure
        probabilities[row, said] += sure
    names = np.array([f"case{n:02d}" for n in range(len(cases))])
    return Answers(names, np.array([truth for truth, _, _ in cases]), probabilities)


SIX = answers(
    [
        (MEL, MEL, 0.9),
        (MEL, NV, 0.6),
        (MEL, NV, 0.95),
        (NV, NV, 0.7),
        (NV, BCC, 0.8),
        (MEL, MEL, 0.5),
    ]
)


def misplaced(shelves, found):
    """Cases that hang where their answers do not belong."""
    right = found.predicted == found.truth
    return [
        (shelf.gallery, row)
        for shelf in shelves
        for row in shelf.rows
        if right[row] != (shelf.gallery == HITS)
        or shelf.label not in (None, CLASSES[found.truth[row]])
    ]


def rows_of(shelves, gallery, label=None):
    return next(s.rows for s in shelves if (s.gallery, s.label) == (gallery, label))


def test_hits_misses_and_errors_are_told_apart_by_truth_and_answer():
    shelves = hang(SIX, per_class=5, errors=5)

    assert rows_of(shelves, HITS, "MEL") == (0, 5)  # a hit all the same: MEL in either half
    assert rows_of(shelves, MISSES, "MEL") == (1, 2)
    assert rows_of(shelves, MISSES, "NV") == (4,)
    assert rows_of(shelves, ERRORS) == (2, 4, 1)
    assert misplaced(shelves, SIX) == []


def test_planted_hit_that_is_shown_as_a_miss_is_found():
    shelves = hang(SIX, per_class=5, errors=5)
    turned = Answers(SIX.image_ids, SIX.truth, SIX.probabilities.copy())
    turned.probabilities[0] = np.eye(9)[NV]  # the table changes after the gallery was hung

    assert misplaced(shelves, turned) == [(HITS, 0)]


def test_few_stand_for_many_from_the_middle_of_equal_shares():
    many = answers([(MEL, MEL, sure) for sure in np.linspace(0.99, 0.6, 10)])

    assert rows_of(hang(many, per_class=1, errors=1), HITS, "MEL") == (5,)
    assert rows_of(hang(many, per_class=2, errors=1), HITS, "MEL") == (2, 7)


def test_order_of_the_table_changes_nothing():
    order = np.random.default_rng(0).permutation(6)
    mixed = Answers(SIX.image_ids[order], SIX.truth[order], SIX.probabilities[order])

    shown = [
        [(shelf.title, found.image_ids[list(shelf.rows)].tolist()) for shelf in shelves]
        for found, shelves in ((f, hang(f, per_class=1, errors=2)) for f in (SIX, mixed))
    ]

    assert shown[0] == shown[1]


def test_equally_sure_cases_are_taken_by_name():
    equal = answers([(MEL, NV, 0.8)] * 3)

    assert rows_of(hang(equal, per_class=1, errors=2), ERRORS) == (0, 1)


def test_titles_and_counts_say_how_many_of_how_many():
    shelves = hang(SIX, per_class=1, errors=2)

    titles = [shelf.title for shelf in shelves]
    assert titles[0] == "1 of 2 hits among 4 MEL cases"
    assert "0 of 0 hits among 0 VASC cases" in titles
    assert titles[-1] == "2 of 3 errors among 6 test cases"
    assert count(shelves) == dict(
        zip(
            GALLERIES,
            ({"shown": 2, "found": 3}, {"shown": 2, "found": 3}, {"shown": 2, "found": 3}),
            strict=True,
        )
    )


@pytest.mark.parametrize("sure", [1.0])
def test_a_perfect_ensemble_has_neither_misses_nor_errors(sure):
    shelves = hang(answers([(MEL, MEL, sure), (NV, NV, sure)]), per_class=2, errors=2)

    assert all(shelf.rows == () for shelf in shelves if shelf.gallery != HITS)
