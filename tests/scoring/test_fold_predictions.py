"""Tests of `pipeline.scoring.fold_predictions`."""

import numpy as np
import pandas as pd
import pytest

from pipeline.scoring.ensemble_params import EnsembleParams
from pipeline.scoring.fold_predictions import choose_deployed, list_predictions, pool_out_of_fold
from pipeline.scoring.predictions import PROBABILITIES, Predicted, PredictionsError

MANIFEST = pd.DataFrame(
    {
        "image_id": list("abcdefg"),
        "fold": ["test", "1", "0", "2", "0", "1", "calibration"],
        "diagnosis": "NV",
    }
)


def network(fold, value):
    """A network's scores: `value`, and a hundredth more for each case in the manifest's order."""
    cases = MANIFEST[MANIFEST.fold.isin(["test", "calibration", str(fold)])]
    steps = value + cases.index.to_numpy() / 100
    return Predicted(cases, {"b4": np.repeat(steps[:, None], 9, axis=1).astype(np.float32)})


def test_each_case_of_the_trained_folds_has_the_score_of_the_network_without_it():
    pooled = pool_out_of_fold({1: network(1, 0.5), 0: network(0, 0.1)})

    assert pooled.cases.image_id.tolist() == ["b", "c", "e", "f"]
    np.testing.assert_allclose(pooled.scores["b4"][:, 0], [0.51, 0.12, 0.14, 0.55], atol=1e-6)


def test_folds_without_a_case_are_refused():
    with pytest.raises(PredictionsError, match=r"^folds \[7\] must have cases\. Got: none\.$"):
        pool_out_of_fold({7: network(7, 0.1)})


def test_list_has_a_row_for_each_case_and_network_that_did_not_train_on_it():
    table = list_predictions({0: network(0, 0.1), 1: network(1, 0.5)})

    assert list(table.columns) == ["image_id", "member", "fold", "split", *PROBABILITIES]
    rows = [tuple(row) for row in table[["image_id", "fold", "split"]].itertuples(index=False)]
    assert rows == [
        ("a", 0, "test"),
        ("c", 0, "out_of_fold"),
        ("e", 0, "out_of_fold"),
        ("g", 0, "calibration"),
        ("a", 1, "test"),
        ("b", 1, "out_of_fold"),
        ("f", 1, "out_of_fold"),
        ("g", 1, "calibration"),
    ]
    expected = [0.1, 0.12, 0.14, 0.16, 0.5, 0.51, 0.55, 0.56]
    np.testing.assert_allclose(table.p_MEL, expected, atol=1e-6)


def deployed(deploy, fold=0):
    settings = EnsembleParams(("b4",), fold, deploy, 1.0)
    return choose_deployed({0: network(0, 0.1), 1: network(1, 0.5)}, settings)


def test_one_fold_is_deployed_with_its_own_out_of_fold_cases():
    found = deployed("fold", fold=1)

    assert found.cases.image_id.tolist() == ["a", "b", "f"]
    np.testing.assert_array_equal(found.scores["b4"], network(1, 0.5).scores["b4"][:3])


def test_average_is_of_what_no_network_trained_on():
    """Planted: an out-of-fold case of one network was trained on by the other."""
    found = deployed("fold_average")

    assert found.cases.image_id.tolist() == ["a", "g"]
    np.testing.assert_allclose(found.scores["b4"][:, 0], [0.3, 0.36], atol=1e-6)
    assert found.scores["b4"].dtype == np.float32
