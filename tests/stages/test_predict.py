"""Tests of `stages.predict`; its run after a training stands in `test_train`."""

import numpy as np
import pytest

from pipeline.classes import CLASSES

pytestmark = pytest.mark.slow


def test_table_holds_each_score_under_its_class_and_brings_float32_back(tmp_path):
    import pandas as pd

    from stages.predict import as_table

    scores = np.random.default_rng(0).dirichlet(np.ones(9), 5).astype(np.float32)
    table = as_table(scores, list("abcde"), "b4", 2, "test")
    table.to_csv(tmp_path / "predictions.csv", index=False, float_format="%.9g")

    found = pd.read_csv(tmp_path / "predictions.csv")
    assert list(found.columns) == ["image_id", "member", "fold", "split"] + [
        f"p_{name}" for name in CLASSES
    ]
    assert set(found.fold) == {2}
    values = found[[f"p_{name}" for name in CLASSES]].to_numpy(np.float32)
    np.testing.assert_array_equal(values, scores)


def test_every_member_has_one_row_per_case_of_fold_and_test_set(sample_run):
    import pandas as pd

    table = pd.read_csv(sample_run / "data/split/manifest.csv", dtype={"fold": str})
    wanted = sorted(table.image_id[table.fold.isin(["0", "test"])])
    for member in ("b4", "b5", "b7"):
        found = pd.read_csv(sample_run / f"data/predict/{member}-0/predictions.csv")
        assert sorted(found.image_id) == wanted
