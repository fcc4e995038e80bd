"""Tests of `tools.measure_transfer`: what is compared, and what the figures are of."""

from argparse import Namespace

import numpy as np
import pandas as pd
import pytest

from pipeline import params
from pipeline.classes import CLASSES
from pipeline.network.member_params import MemberParams
from pipeline.scoring.predictions import PROBABILITIES
from tools.measure_transfer import WAYS, measure_way, prepare, report

CASES = 120
EVERY_CASE_ONCE = np.ones((1, CASES), np.int64)
ARGS = Namespace(member="m160", recipe="transfer", input_px=96, epochs=10)


def cases():
    return pd.DataFrame(
        {
            "image_id": [f"i{n}" for n in range(CASES)],
            "patient_id": "",
            "lesion_id": [f"l{n // 2}" for n in range(CASES)],
            "diagnosis": [CLASSES[(n // 2) % 3] for n in range(CASES)],
        }
    )


def scores(way, noise, seed):
    """Scores that tell the truth, blurred by noise."""
    frame = cases()
    rng = np.random.default_rng(seed)
    truth = np.array([[name == label for name in CLASSES] for label in frame.diagnosis], float)
    table = pd.DataFrame(truth + rng.normal(0, noise, truth.shape), columns=list(PROBABILITIES))
    return table.assign(image_id=frame.image_id, member=way)


def table(seed, noise=(0.1, 2.0)):
    parts = [scores(way, n, seed) for way, n in zip(WAYS, noise, strict=True)]
    return pd.concat(parts).sample(frac=1, random_state=seed)


def test_scores_that_tell_the_truth_measure_1_whatever_the_order_of_rows():
    found = measure_way(cases(), table(1, noise=(0.0, 2.0)), "pretrained", EVERY_CASE_ONCE)

    assert found.value == 1
    assert found.resampled == pytest.approx([1])


@pytest.mark.parametrize("fault", ["missing", "twice"])
def test_each_case_must_be_scored_once(fault):
    rows = scores("pretrained", 0.1, 1)
    rows = rows.iloc[1:] if fault == "missing" else pd.concat([rows, rows.iloc[:1]])

    with pytest.raises(ValueError, match="must score each of 120 cases once"):
        measure_way(cases(), rows, "pretrained", EVERY_CASE_ONCE)


def test_report_has_a_row_per_seed_their_mean_and_a_difference_of_the_right_sign():
    better, worse = (
        report(cases(), [table(s, n) for s in (1, 2)], ARGS) for n in ((0.1, 2), (2, 0.1))
    )

    assert "120 cases outside the test set, 60 lesions or patients" in better
    lines = better.splitlines()
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| ")] == [
        *("macro AUROC", "seed 1", "seed 2", "mean of the seeds")
    ]
    of = [line.removeprefix("difference: ") for line in (lines[-1], worse.splitlines()[-1])]
    gain, loss = (float(text.split()[0]) for text in of)
    assert gain > 0.1
    assert loss == pytest.approx(-gain, abs=0.05)
    assert "[0." in of[0]  # the whole interval is above 0


def test_two_members_differ_in_their_weights_alone(tmp_path):
    data = tmp_path / "data"
    (data / "ham10000").mkdir(parents=True)
    (data / "ham10000" / "metadata.csv").write_text("isic_id,diagnosis_1\nISIC_1,Benign\n")
    root = tmp_path / "project"

    prepare(root, Namespace(**vars(ARGS), data=data))

    path = root / "params.yaml"
    first, second = (params.load(f"member.{way}", MemberParams, path) for way in WAYS)
    differing = {key for key, value in vars(first).items() if value != getattr(second, key)}
    assert differing == {"weights", "weights_sha256"}
    assert second.weights == "none"
    assert (first.input_px, first.epochs) == (96, 10)
    assert params.read_section("ensemble.members", path) == list(WAYS)
    assert params.read_section("split.train_folds", path) == [0, 1, 2, 3, 4]
