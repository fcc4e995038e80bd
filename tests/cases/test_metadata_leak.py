"""Tests of `pipeline.cases.metadata_leak`: leaks are planted, and must be named."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.cases.metadata_leak import COLUMNS, TooGoodError, measure_leak
from pipeline.cases.split import SplitParams
from pipeline.classes import CLASSES
from tests.cases.tables import make_manifest

pytestmark = pytest.mark.slow

PARAMS = SplitParams(
    seed=7,
    test_share=0.2,
    calibration_share=0.0,
    folds=2,
    train_folds=(0,),
    near_duplicate_bits=24,
    keep="",
    keep_sha256="",
    too_good_auroc=0.995,
    too_good_cases=10,
)
FOLDS = ["test", "0", "1"]


def honest(cases=360, seed=0):
    """Cases of two sources, three classes and three parts; age tells a little, the rest nothing."""
    rng = np.random.default_rng(seed)
    labels = [("NV", "MEL", "BCC")[n % 3] for n in range(cases)]
    frame = make_manifest(
        *(
            {
                "diagnosis": label,
                "age_years": float(rng.normal(60 if label == "BCC" else 50, 15)).__round__(),
                "sex": rng.choice(["", "female", "male"]),
                "site": rng.choice(["", "torso", "head_neck"]),
                "patient_id": f"P{rng.integers(cases // 3)}",
                "width_px": int(rng.choice([600, 1024])),
            }
            for label in labels
        )
    )
    return frame.assign(group_id=frame.image_id, fold=[FOLDS[n // 3 % 3] for n in range(cases)])


def measure(frame, **changes):
    """Figures of the only source."""
    found = measure_leak(frame, dataclasses.replace(PARAMS, **changes))
    return found["sources"]["here"]


def test_honest_tables_are_below_the_ceiling_and_their_figures_are_told():
    found = measure(honest())

    assert set(found["auroc"]) == {"0", "1", "all folds", "test"}
    assert 0.55 < found["auroc"]["all folds"]["BCC"] < 0.9
    assert found["auroc"]["test"]["DF"] is None
    for part, values in found["auroc"].items():
        known = [value for value in values.values() if value is not None]
        assert (len(known), len(values)) == (3, len(CLASSES))
        assert found["macro_auroc"][part] == pytest.approx(np.mean(known), abs=1e-4)
    assert list(found["macro_auroc_on_test_of_one_column"]) == list(COLUMNS)
    assert found["macro_auroc_on_test_of_one_column"]["file_type"] == 0.5


@pytest.mark.parametrize("column", ["width_px", "licence", "path"])
def test_column_that_is_the_answer_in_other_words_is_named(column):
    frame = honest()
    is_melanoma = (frame.diagnosis == "MEL").to_numpy()
    planted = {
        "width_px": np.where(is_melanoma, 1872, frame.width_px),
        "licence": np.where(is_melanoma, "CC-0", "CC-BY"),
        "path": np.where(is_melanoma, "raw/a.png", "raw/a.jpg"),
    }
    named = "file_type" if column == "path" else column

    with pytest.raises(
        TooGoodError,
        match=rf"^source here: metadata alone must not tell a class: AUROC of MEL against the "
        rf"rest on .* must be below too_good_auroc 0\.995\. Got: 1\.0, .* most: {named} 1\.0, ",
    ):
        measure_leak(frame.assign(**{column: planted[column]}), PARAMS)


def test_patients_photographed_more_often_for_one_class_are_named():
    frame = honest()
    is_melanoma = (frame.diagnosis == "MEL").to_numpy()
    patients = [f"M{n // 8}" if is_melanoma[n] else f"P{n}" for n in range(len(frame))]

    with pytest.raises(TooGoodError, match=r"Alone tell most: images_per_patient 1\.0, "):
        measure_leak(frame.assign(patient_id=patients), PARAMS)


def test_leak_in_a_single_fold_is_caught_there():
    frame = honest()
    there = (frame.diagnosis == "MEL") & (frame.fold == "1")
    # What the other fold and the test set teach holds here without exception.
    frame["width_px"] = np.where(frame.diagnosis == "MEL", 1872, 600)
    frame.loc[(frame.fold != "1") & (frame.index % 5 == 0), "width_px"] = 600

    with pytest.raises(
        TooGoodError, match=r"MEL against the rest on fold 1 must .* Got: 1\.0, and 0"
    ):
        measure_leak(frame, PARAMS)
    assert there.sum() >= PARAMS.too_good_cases


def test_leak_in_the_calibration_part_is_caught_and_nothing_is_learnt_from_it():
    """Networks never see that part: what it shows is measured as of the test set."""
    frame = honest(480)
    frame["fold"] = ["test", "0", "1", "calibration"] * 120
    frame[["source", "patient_id"]] = ["here", ""]
    whole = measure_leak(frame, PARAMS)["sources"]["here"]["auroc"]
    aside = frame.fold == "calibration"
    without = measure_leak(frame[~aside].copy(), PARAMS)["sources"]["here"]["auroc"]

    assert set(whole) == {"0", "1", "all folds", "calibration", "test"}
    assert {part: whole[part] for part in ("0", "1", "all folds")} == {
        part: without[part] for part in ("0", "1", "all folds")
    }
    frame["width_px"] = np.where(frame.diagnosis == "MEL", 700, 600)
    with pytest.raises(TooGoodError, match=r"on (the calibration part|the test set|fold|all)"):
        measure_leak(frame, PARAMS)


def test_class_from_a_source_of_its_own_is_no_leak_and_has_no_figure():
    frame = honest()
    frame["source"] = np.where(frame.diagnosis == "MEL", "melanomas", "others")
    frame["width_px"] = np.where(frame.diagnosis == "MEL", 1872, 600)

    found = measure_leak(frame, PARAMS)["sources"]

    assert {v for figures in found["melanomas"]["auroc"].values() for v in figures.values()} == {
        None
    }
    assert found["others"]["auroc"]["all folds"]["MEL"] is None
    assert found["others"]["auroc"]["all folds"]["NV"] is not None


def test_class_mostly_of_one_source_is_compared_within_each():
    """As UNK and ISIC 2020: what tells the sources apart would tell the class, but is no leak."""
    frame = honest(720)
    in_second = (frame.diagnosis == "MEL") ^ (frame.index % 24 < 3)
    frame["source"] = np.where(in_second, "second", "first")
    frame["width_px"] = np.where(in_second, 6000, 600)
    over_all = roc_auc_score(frame.diagnosis == "MEL", in_second)

    found = measure_leak(frame, PARAMS)["sources"]

    assert over_all > 0.85
    assert found["first"]["auroc"]["all folds"]["MEL"] < 0.7
    assert found["second"]["auroc"]["all folds"]["MEL"] < 0.7


def test_leak_in_one_source_is_caught_beside_a_larger_honest_one():
    small = honest(180, seed=1).assign(source="small")
    small["image_id"] = "small " + small.image_id
    small["width_px"] = np.where(small.diagnosis == "NV", 640, 600)
    both = pd.concat([honest(720), small], ignore_index=True)

    with pytest.raises(TooGoodError, match=r"^source small: .* AUROC of NV .* most: width_px 1\.0"):
        measure_leak(both, PARAMS)


def test_too_few_cases_give_no_figure_and_no_alarm():
    frame = honest()
    rare = frame.index < 18
    frame.loc[rare, "diagnosis"] = "DF"
    frame["width_px"] = np.where(rare, 1872, 600)

    found = measure(frame, too_good_cases=20)

    assert {values["DF"] for values in found["auroc"].values()} == {None}


def test_ceiling_above_one_never_alarms():
    frame = honest()
    frame["width_px"] = np.where(frame.diagnosis == "MEL", 1872, 600)

    found = measure(frame, too_good_auroc=1.1)

    assert found["auroc"]["test"]["MEL"] == 1.0
    assert found["macro_auroc_on_test_of_one_column"]["width_px"] > 0.7


def test_figures_do_not_depend_on_the_order_of_rows():
    frame = honest()

    assert measure_leak(frame, PARAMS) == measure_leak(frame.sample(frac=1, random_state=1), PARAMS)
