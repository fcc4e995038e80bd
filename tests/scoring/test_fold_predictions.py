"""Tests of `pipeline.scoring.fold_predictions`."""

import numpy as np
import pandas as pd
import pytest

from pipeline.scoring.fold_predictions import list_predictions, pool_out_of_fold
from pipeline.scoring.predictions import PROBABILITIES, Predicted, PredictionsError

MANIFEST = pd.DataFrame(
    {"image_id": list("abcdef"), "fold": ["test", "1", "0", "2", "0", "1"], "diagnosis": "NV"}
)


def network(fold, value):
    """A network's scores: `value`, and a hundredth more for each case in the manifest's order."""
    cases = MANIFEST[MANIFEST.fold.isin(["test", str(fold)])]
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
        ("a", 1, "test"),
        ("b", 1, "out_of_fold"),
        ("f", 1, "out_of_fold"),
    ]
    np.testing.assert_allclose(table.p_MEL, [0.1, 0.12, 0.14, 0.5, 0.51, 0.55], atol=1e-6)
