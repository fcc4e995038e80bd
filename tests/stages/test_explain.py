"""Tests of `stages.explain`, on the sample's trained members and bundle."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import manifest
from pipeline.cad.saliency import SaliencyParams
from pipeline.classes import CLASSES
from pipeline.params import ParamsError, build
from pipeline.scoring.predictions import PROBABILITIES
from pipeline.storage import read_json
from stages.explain import ExplainParams

pytestmark = pytest.mark.slow

OCCLUSION = SaliencyParams(6, 2, 1.0, "skin", 0.08, 1e-4, 16)
SECTION = {
    "seed": 1,
    "per_class": 1,
    "errors": 1,
    "map_px": 32,
    "target": "log_odds",
    "tile_px": 100,
    "opacity": 0.5,
    "contours": [0.5],
    "occlusion": dataclasses.asdict(OCCLUSION),
    "checks": {"cases": 2, "steps": 2},
}
GALLERIES = ("errors", "hits", "misses")


@pytest.fixture(scope="module")
def report(sample_run):
    return sample_run / "reports/explain"


@pytest.fixture(scope="module")
def cases(report):
    return pd.read_csv(report / "cases.csv", keep_default_na=False)


@pytest.fixture(scope="module")
def answers(sample_run):
    """Truth, answer and its probability of every test case, from the tables."""
    table = manifest.read(sample_run / "data/split/manifest.csv").set_index("image_id")
    said = pd.read_csv(sample_run / "models/ensemble/predictions.csv").set_index("image_id")
    said = said[said.split == "test"][list(PROBABILITIES)]
    truth = table.diagnosis[said.index]
    predicted = said.to_numpy().argmax(axis=1)
    return pd.DataFrame(
        {"truth": truth, "predicted": np.array(CLASSES)[predicted], "sure": said.max(axis=1)}
    )


def misplaced(cases, answers):
    """Cases of a gallery in which the tables say that they do not belong."""
    own = answers.loc[cases.image_id]
    right = (own.truth == own.predicted).to_numpy()
    wrong = right != (cases.gallery == "hits").to_numpy()
    for column in ("truth", "predicted"):
        wrong |= own[column].to_numpy() != cases[column].to_numpy()
    return cases.image_id[wrong].tolist()


def test_galleries_hold_what_the_tables_say(cases, answers):
    assert sorted(set(cases.gallery)) == sorted(GALLERIES)
    assert misplaced(cases, answers) == []
    assert (cases.truth[cases.gallery == "hits"].value_counts() == 1).all()


def test_planted_hit_among_the_misses_is_found(cases, answers):
    faulty = cases.copy()
    faulty.loc[faulty.index[faulty.gallery == "hits"][0], "gallery"] = "misses"

    assert misplaced(faulty, answers) == [cases.image_id[cases.gallery == "hits"].iloc[0]]


def test_the_errors_are_the_surest_ones(cases, answers):
    wrong = answers[answers.truth != answers.predicted].sort_values("sure", ascending=False)
    shown = cases[cases.gallery == "errors"]

    assert shown.image_id.tolist() == wrong.index[: len(shown)].tolist()
    np.testing.assert_allclose(shown.probability, wrong.sure[: len(shown)], atol=1e-6)


def test_every_case_has_its_maps_of_every_member_and_both_classes(report, cases, sample_run):
    maps = pd.read_csv(report / "maps.csv")
    for case in cases.itertuples():
        own = maps[maps.image_id == case.image_id]
        labels = {case.predicted, case.truth}
        assert len(own) == 4 * len(labels) and set(own["class"]) == labels
        files = case.map_files.split()
        assert len(files) == own.is_defined.sum()
        for name in files:
            with Image.open(report / "maps" / name) as image:
                assert np.asarray(image).max() == 255
    # The number of cells is that of the feature map at each member's own size.
    cells = maps[maps.method == "grad_cam"].groupby("model").cells_wide.unique()
    assert {name: found.tolist() for name, found in cells.items()} == {
        "b4": [2],
        "b5": [3],
        "b7": [2],
    }


def test_scores_beside_maps_are_those_that_were_predicted(report, sample_run):
    maps = pd.read_csv(report / "maps.csv")
    members = pd.read_csv(sample_run / "models/ensemble/members.csv")
    wanted = members.set_index(["image_id", "member"])
    own = maps[maps.method == "grad_cam"]

    found = [wanted.loc[(r.image_id, r.model), f"p_{r[4]}"] for r in own.itertuples()]

    np.testing.assert_allclose(own.probability, found, atol=1e-3)


def test_checks_have_n_and_intervals_and_occlusion_beats_random_maps(report):
    table = pd.read_csv(report / "checks.csv")

    assert len(table) == 8 and (table.n > 0).all()
    assert ((table.low <= table.gain) & (table.gain <= table.high)).all()
    own = table[(table["map"] == "occlusion") & (table.control == "random")]
    assert (own.gain > 0).all()


def test_the_bundle_answered_as_the_table(report):
    found = read_json(report / "explain.json")

    assert found["largest_graph_difference"] <= 0.05
    assert found["galleries"]["misses"]["found"] == found["galleries"]["errors"]["found"]


@pytest.mark.parametrize("gallery", GALLERIES)
def test_galleries_are_as_wide_as_a_phone_needs(report, gallery):
    with Image.open(report / f"gallery_{gallery}.png") as image:
        assert image.width <= 720 < image.height
        assert len(image.convert("RGB").getcolors(1 << 24)) > 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"per_class": 0}, r"per_class must be at least 1\. Got: 0\."),
        ({"checks": {"cases": 1, "steps": 2}}, r"cases must be at least 2\. Got: 1\."),
    ],
)
def test_params_out_of_range_are_refused(change, message):
    build(SECTION, ExplainParams, "params.yaml: section 'explain'")

    with pytest.raises(ParamsError, match=message):
        build(SECTION | change, ExplainParams, "params.yaml: section 'explain'")
