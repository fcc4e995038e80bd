"""Tests of `pipeline.scoring.too_good`."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.classes import CLASSES
from pipeline.scoring.too_good import TooGoodError, macro_auroc, refuse_too_good

LABELS = np.arange(180) % len(CLASSES)
IS_TEST = np.arange(180) >= 90
PARTS = {"its own fold": ~IS_TEST, "the test set": IS_TEST}


def drawn_scores(right=0.0, seed=0):
    """Random scores; the true class is given some more."""
    scores = np.random.default_rng(seed).dirichlet(np.ones(len(CLASSES)), len(LABELS))
    scores[np.arange(len(LABELS)), LABELS] += right
    return scores / (1 + right)


def test_macro_auroc_is_scikit_learns():
    scores = drawn_scores(0.1)

    expected = roc_auc_score(LABELS, scores, multi_class="ovr", average="macro")
    assert macro_auroc(LABELS, scores) == pytest.approx(expected)


def test_class_that_is_absent_does_not_count():
    present = LABELS < 3
    scores = drawn_scores(0.1)[present]

    expected = np.mean([roc_auc_score(LABELS[present] == k, scores[:, k]) for k in range(3)])
    assert macro_auroc(LABELS[present], scores) == pytest.approx(expected)


def test_one_class_alone_has_no_figure_and_no_alarm():
    labels = np.zeros(5, int)

    assert macro_auroc(labels, drawn_scores()[:5]) is None
    parts = {"its own fold": np.ones(5, bool), "the test set": np.zeros(5, bool)}
    refuse_too_good("b4-0", labels, drawn_scores()[:5], parts, 0.995)


def test_ordinary_scores_pass():
    refuse_too_good("b4-0", LABELS, drawn_scores(0.3), PARTS, 0.995)


@pytest.mark.parametrize(
    ("part", "chosen"), [("its own fold", ~IS_TEST), ("the test set", IS_TEST)]
)
def test_answers_planted_into_one_part_are_caught_there(part, chosen):
    scores = drawn_scores(0.1)
    scores[chosen] = drawn_scores(2.0)[chosen]

    with pytest.raises(
        TooGoodError,
        match=rf"^b4-0 must have a macro AUROC below evaluate\.too_good_auroc 0\.995 on {part}\. "
        r"Got: 1\.0000 over 90 cases\. Look for copies",
    ):
        refuse_too_good("b4-0", LABELS, scores, PARTS, 0.995)


def test_ceiling_itself_is_too_good_and_above_one_never():
    perfect = drawn_scores(2.0)

    with pytest.raises(TooGoodError, match=r"Got: 1\.0000"):
        refuse_too_good("b4-0", LABELS, perfect, PARTS, 1.0)
    refuse_too_good("b4-0", LABELS, perfect, PARTS, 1.01)
