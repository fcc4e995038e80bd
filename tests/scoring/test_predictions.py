"""Tests of `pipeline.scoring.predictions`."""

import numpy as np
import pandas as pd
import pytest

from pipeline.classes import CLASSES
from pipeline.scoring.predictions import (
    PROBABILITIES,
    RANK_SCORES,
    PredictionsError,
    labels_of,
    read_ensemble,
    read_members,
)

MANIFEST = pd.DataFrame(
    {
        "image_id": ["a", "b", "c", "d", "e"],
        "diagnosis": ["MEL", "UNK", "NV", "DF", "MEL"],
        "fold": ["test", "0", "1", "0", "test"],
    }
)
CASES = MANIFEST[MANIFEST.fold != "1"]


def softmax(count, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(9), count).astype(np.float32)


def member_table(member="b4", fold=0):
    """What stage predict writes of the four cases, in an order of its own."""
    table = pd.DataFrame({"image_id": ["d", "b", "e", "a"], "member": member, "fold": fold})
    table["split"] = ["out_of_fold", "out_of_fold", "test", "test"]
    return table.join(pd.DataFrame(softmax(4), columns=PROBABILITIES))


def read_one(folder, table, member="b4"):
    path = folder / f"{member}-0" / "predictions.csv"
    path.parent.mkdir(exist_ok=True)
    table.to_csv(path, index=False, float_format="%.9g")
    return read_members(folder, (member,), 0, MANIFEST)


def test_scores_stand_in_the_order_of_the_manifest_bit_for_bit(tmp_path):
    found = read_one(tmp_path, member_table())

    assert found.cases.image_id.tolist() == ["a", "b", "d", "e"]
    np.testing.assert_array_equal(found.scores["b4"], softmax(4)[[3, 1, 0, 2]])
    assert found.scores["b4"].dtype == np.float32
    np.testing.assert_array_equal(found.is_test, [True, False, False, True])


def test_members_are_read_in_the_order_asked_for(tmp_path):
    read_one(tmp_path, member_table("b4"), "b4")
    read_one(tmp_path, member_table("b7"), "b7")

    assert list(read_members(tmp_path, ("b7", "b4"), 0, MANIFEST).scores) == ["b7", "b4"]


def test_an_image_named_na_is_an_image(tmp_path):
    """pandas reads NA as missing unless told otherwise."""
    manifest = CASES.assign(image_id=["NA", "b", "d", "e"])
    path = tmp_path / "b4-0" / "predictions.csv"
    path.parent.mkdir()
    member_table().replace({"image_id": {"a": "NA"}}).to_csv(path, index=False)

    assert read_members(tmp_path, ("b4",), 0, manifest).cases.image_id.iloc[0] == "NA"


def test_calibration_cases_must_be_predicted_as_such(tmp_path):
    manifest = pd.concat(
        [MANIFEST, pd.DataFrame({"image_id": ["f"], "diagnosis": "NV", "fold": "calibration"})]
    )
    path = tmp_path / "b4-0" / "predictions.csv"
    path.parent.mkdir()
    more = member_table()[:1].assign(image_id="f", split="calibration")
    pd.concat([member_table(), more]).to_csv(path, index=False)

    found = read_members(tmp_path, ("b4",), 0, manifest)

    assert found.cases.image_id.tolist() == ["a", "b", "d", "e", "f"]
    assert found.only("calibration").cases.image_id.tolist() == ["f"]
    assert not found.is_test[-1]
    pd.concat([member_table(), more.assign(split="out_of_fold")]).to_csv(path, index=False)
    with pytest.raises(PredictionsError, match=r"split must be the manifest's\. .* first \['f'\]"):
        read_members(tmp_path, ("b4",), 0, manifest)
    member_table().to_csv(path, index=False)
    with pytest.raises(PredictionsError, match=r"must predict the 5 cases .* Missing 1: \['f'\]"):
        read_members(tmp_path, ("b4",), 0, manifest)


def first_row(column, value):
    def change(table):
        table[column] = table[column].astype(object)
        table.loc[0, column] = value
        return table

    return change


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            lambda t: t.drop(columns="p_NV"),
            r"columns must be .* Missing: \['p_NV'\]\. Unknown: \[\]",
        ),
        (lambda t: t.assign(other=1), r"columns must be .* Missing: \[\]\. Unknown: \['other'\]"),
        (lambda t: pd.concat([t, t[:1]]), r"image_id must be unique\. Got: 1 twice, first \['d'\]"),
        (lambda t: t[1:], r"must predict the 4 cases .* Missing 1: \['d'\]\. Not among them 0"),
        (first_row("image_id", "c"), r".* Missing 1: \['d'\]\. Not among them 1: \['c'\]\.$"),
        (first_row("member", "b5"), r"member must be b4 in every row\.$"),
        (first_row("fold", 1), r"fold must be 0 in every row\.$"),
        (
            first_row("split", "test"),
            r"split must be the manifest's\. .* 1 cases, first \['d'\]\.$",
        ),
        (
            first_row("p_NV", ""),
            r"p_MEL to p_UNK must be in \[0, 1\]\. .* 1 cases, first \['d'\]\.$",
        ),
        (first_row("p_NV", "nan"), r"p_MEL to p_UNK must be in \[0, 1\]"),
        (first_row("p_NV", "many"), r"p_MEL to p_UNK must be in \[0, 1\]"),
        (first_row("p_NV", -0.1), r"p_MEL to p_UNK must be in \[0, 1\]"),
        (first_row("p_NV", 0.99), r"probabilities of a case must sum to 1\. .* first \['d'\]\.$"),
    ],
)
def test_a_broken_table_is_refused_with_its_path(tmp_path, fault, message):
    path = tmp_path / "b4-0" / "predictions.csv"

    with pytest.raises(PredictionsError, match=rf"^{path}:? {message}"):
        read_one(tmp_path, fault(member_table()))


def test_an_empty_file_is_refused_with_its_path(tmp_path):
    path = tmp_path / "b4-0" / "predictions.csv"
    path.parent.mkdir()
    path.write_text("")

    with pytest.raises(PredictionsError, match=rf"^{path} must be a table\. Got: an empty file\.$"):
        read_members(tmp_path, ("b4",), 0, MANIFEST)


def test_an_absent_member_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"b4-0/predictions\.csv"):
        read_members(tmp_path, ("b4",), 0, MANIFEST)


def ensemble_table():
    table = pd.DataFrame({"image_id": ["d", "b", "e", "a"]})
    table["split"] = ["out_of_fold", "out_of_fold", "test", "test"]
    ranks = np.random.default_rng(1).random((4, 9))
    scores = np.hstack([ranks, softmax(4).astype(np.float64)])
    return table.join(pd.DataFrame(scores, columns=[*RANK_SCORES, *PROBABILITIES]))


def test_ensemble_scores_come_back_bit_for_bit(tmp_path):
    table = ensemble_table()
    table.to_csv(tmp_path / "predictions.csv", index=False)

    ranks, probabilities = read_ensemble(tmp_path / "predictions.csv", CASES)

    rows = table.iloc[[3, 1, 0, 2]]
    np.testing.assert_array_equal(ranks, rows[list(RANK_SCORES)])
    np.testing.assert_array_equal(probabilities, rows[list(PROBABILITIES)])


def test_a_rank_above_1_is_refused(tmp_path):
    path = tmp_path / "predictions.csv"
    ensemble_table().assign(r_DF=[0.5, 1.5, 0.5, 0.5]).to_csv(path, index=False)

    with pytest.raises(PredictionsError, match=rf"^{path}: r_MEL to r_UNK must be in \[0, 1\]"):
        read_ensemble(path, CASES)


def test_labels_are_places_in_the_classes():
    assert [CLASSES[k] for k in labels_of(MANIFEST)] == ["MEL", "UNK", "NV", "DF", "MEL"]
