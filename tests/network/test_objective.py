"""Tests of `pipeline.network.objective`."""

import keras
import numpy as np
import pytest

from pipeline.network.objective import case_losses, class_weights
from pipeline.network.train_params import LossParams

pytestmark = pytest.mark.slow  # imports TensorFlow

LABELS = np.array([0, 3, 8], np.int32)
LOGITS = np.random.default_rng(0).normal(0, 2, (3, 9)).astype(np.float32)


def probabilities():
    weights = np.exp(LOGITS - LOGITS.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def losses(kind="cross_entropy", gamma=2.0, smoothing=0.0):
    params = LossParams(kind, gamma, smoothing, "none")
    return np.asarray(case_losses(params, keras.ops.convert_to_tensor(LABELS), LOGITS))


def test_cross_entropy_is_minus_the_log_of_the_truth():
    np.testing.assert_allclose(losses(), -np.log(probabilities()[range(3), LABELS]), rtol=1e-5)


def test_smoothing_spreads_its_share_over_all_classes():
    truth = np.full((3, 9), 0.1 / 9)
    truth[range(3), LABELS] += 0.9

    np.testing.assert_allclose(
        losses(smoothing=0.1), -(truth * np.log(probabilities())).sum(axis=1), rtol=1e-5
    )


def test_focal_loss_weighs_a_case_by_what_it_misses():
    of_truth = probabilities()[range(3), LABELS]

    wanted = -((1 - of_truth) ** 2) * np.log(of_truth)

    np.testing.assert_allclose(losses("focal"), wanted, rtol=1e-4)
    np.testing.assert_allclose(losses("focal", gamma=0.0), losses(), rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "ratio"), [("none", 1.0), ("square_root", 2.0), ("balanced", 4.0)]
)
def test_rare_class_weighs_more_and_the_mean_case_weighs_one(kind, ratio):
    labels = np.array([0] * 8 + [1] * 2, np.int32)

    weights = class_weights(labels, kind)

    assert weights[1] / weights[0] == pytest.approx(ratio)
    assert weights[labels].mean() == pytest.approx(1)
    assert not weights[2:].any()
