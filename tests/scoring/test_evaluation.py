"""Tests of `pipeline.scoring.evaluation`: intervals of figures at the end of their scale."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from pipeline.classes import CLASSES
from pipeline.scoring.evaluation import CostParams, EvaluateParams, measure_models
from pipeline.scoring.metrics import ScoredCases

COSTS = CostParams(10.0, 1.0, 0.5)
SETTINGS = EvaluateParams(200, 0.95, 1, 1.1, COSTS)
# Two images a patient; 3 patients have MEL, 12 NV, 5 DF.
LABELS = np.repeat([0] * 3 + [1] * 12 + [5] * 5, 2)


def measured(predicted, scores, labels=LABELS):
    cases = pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(len(labels))],
            "lesion_id": "",
            "patient_id": [f"p{k // 2}" for k in range(len(labels))],
            "diagnosis": [CLASSES[k] for k in labels],
        }
    )
    model = ScoredCases(labels, predicted, scores, scores)
    found = measure_models(cases, {"m": model}, SETTINGS, COSTS.matrix(["MEL"]), "test")
    return found.estimates["m"]


@pytest.fixture(scope="module")
def perfect():
    return measured(LABELS, np.eye(9)[LABELS])


@pytest.mark.parametrize(
    ("metric", "patients"),
    [
        ("accuracy", 20),
        ("top_2_accuracy", 20),
        ("recall_MEL", 3),
        ("precision_DF", 5),
        ("f1_DF", 5),
        ("auroc_NV", 8),  # the 8 patients of other classes are fewer than its 12
        ("auroc_MEL", 3),
        ("macro_auroc", 3),
        ("balanced_accuracy", 3),
    ],
)
def test_a_perfect_figure_is_as_sure_as_its_patients_are_many(perfect, metric, patients):
    found = perfect[metric]

    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(beta.ppf(0.025, patients, 1))


def test_a_loss_of_nothing_is_no_share_and_keeps_its_percentiles(perfect):
    for metric in ("log_loss", "brier_score", "cost_weighted_error"):
        assert perfect[metric].value == pytest.approx(0, abs=1e-12)
        assert perfect[metric].high == pytest.approx(0, abs=1e-12)


def test_a_class_that_is_never_found_has_a_recall_of_0_with_a_width():
    predicted = np.where(LABELS == 0, 1, LABELS)

    found = measured(predicted, np.eye(9)[predicted])

    assert (found["recall_MEL"].value, found["recall_MEL"].low) == (0.0, 0.0)
    assert found["recall_MEL"].high == pytest.approx(beta.ppf(0.975, 1, 3))
    assert found["precision_MEL"].value is None


def test_cases_of_one_class_have_no_auroc_and_an_average_precision_of_their_patients():
    labels = np.zeros(8, int)

    found = measured(labels, np.eye(9)[labels], labels)

    assert found["auroc_MEL"].value is found["macro_auroc"].value is None
    assert found["average_precision_MEL"].value == 1.0
    assert found["average_precision_MEL"].low == pytest.approx(beta.ppf(0.025, 4, 1))


def test_what_is_undefined_stays_so_and_what_is_inside_keeps_its_percentiles(perfect):
    predicted = LABELS.copy()
    predicted[-1] = 1

    inside = measured(predicted, np.eye(9)[predicted])["recall_DF"]

    assert inside.value == pytest.approx(0.9)
    assert 0.5 < inside.low < 0.9 < inside.high <= 1.0
    assert perfect["recall_VASC"].value is perfect["auroc_VASC"].value is None
