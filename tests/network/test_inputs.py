"""Tests of `pipeline.network.inputs`."""

import numpy as np
import pandas as pd
import pytest

from pipeline.network.inputs import select_cases, set_inner_part_aside, split_fold


def table(folds):
    return pd.DataFrame(
        {
            "image_id": [f"i{n}" for n in range(len(folds))],
            "fold": folds,
            "diagnosis": "BCC",
            "age_years": [45.0, *[np.nan] * (len(folds) - 1)],
            "sex": "",
            "site": "torso",
        }
    )


def test_parts_are_apart_and_whole():
    parts = split_fold(table(["0", "1", "test", "0", "2", "calibration"]), 0)

    ids = {name: list(part.image_id) for name, part in parts.items()}
    assert ids == {
        "training": ["i1", "i4"],
        "out_of_fold": ["i0", "i3"],
        "test": ["i2"],
        "calibration": ["i5"],
    }


@pytest.mark.parametrize(
    ("folds", "missing"), [(["1", "test"], "out_of_fold"), (["0", "test"], "training")]
)
def test_empty_part_is_refused(folds, missing):
    with pytest.raises(ValueError, match=f"fold 0 must have {missing} rows"):
        split_fold(table(folds), 0)


def test_cases_carry_label_and_demographics_of_their_row():
    cases = select_cases(table(["0", "1"]), shards=None)

    assert list(cases.labels) == [2, 2]
    np.testing.assert_allclose(cases.demographics[0], [0.5, 1, 0, 0, 0, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(cases.demographics[1], [0, 0, 0, 0, 0, 1, 0, 0, 0, 0])


def test_inner_part_is_about_its_share_of_every_class_and_parts_no_component():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "image_id": [f"i{n}" for n in range(400)],
            "group_id": [f"g{n}" for n in rng.integers(0, 120, 400)],
            "diagnosis": rng.choice(["NV", "MEL", "BCC"], 400, p=[0.7, 0.2, 0.1]),
        }
    )

    kept, inner = set_inner_part_aside(frame, 0.2, seed=3)

    assert sorted([*kept.image_id, *inner.image_id]) == sorted(frame.image_id)
    assert not set(kept.group_id) & set(inner.group_id)
    shares = inner.diagnosis.value_counts() / frame.diagnosis.value_counts()
    assert shares.between(0.12, 0.28).all()
    assert not inner.equals(set_inner_part_aside(frame, 0.2, seed=4)[1])
