"""Tests of `pipeline.deploy.model_card`."""

import dataclasses

import pytest
from ruamel.yaml import YAML

from pipeline.deploy.bundle import Estimate, OperatingPoint, Target
from pipeline.deploy.model_card import Evidence, Source, word_card
from tests.deploy.tiny_bundle import MEMBERS, WITHOUT_DEMOGRAPHICS, tiny_manifest

METRICS = {
    "ensemble": {
        "n": 376,
        "resampling_units": 210,
        "majority_accuracy": 0.5,
        "macro_auroc": 0.8123,
        "macro_auroc_low": 0.79,
        "macro_auroc_high": 0.84,
        "accuracy": 0.7,
        "accuracy_low": None,
        "accuracy_high": None,
        "macro_f1": None,
        "macro_f1_low": None,
        "macro_f1_high": None,
    },
    "rank_argmax": {"n": 376, "accuracy": 0.6, "accuracy_low": 0.55, "accuracy_high": 0.65},
}
PER_CLASS = [
    {
        "model": "ensemble",
        "class": "MEL",
        "n": "376",
        "positives": "40",
        "recall": "0.9",
        "recall_low": "0.8",
        "recall_high": "0.95",
        "precision": "",
        "precision_low": "",
        "precision_high": "",
        "auroc": "0.91",
        "auroc_low": "0.88",
        "auroc_high": "0.94",
    },
    {"model": "b4", "class": "NV", "n": "376", "positives": "99"},
]
PARITY = {name: {"difference": 3.2e-6, "images": 24} for name in MEMBERS}
REAL = Source("ham10000", "CC-BY-NC", 1938, synthetic=False)
SAMPLE = Source("isic_2019", "CC-BY-NC", 280, synthetic=True)


def card(manifest=None, sources=(REAL,)):
    evidence = Evidence(METRICS, PER_CLASS, 0.95, list(sources), PARITY)
    return word_card(manifest or tiny_manifest(MEMBERS), evidence)


def test_a_figure_stands_with_its_interval_and_its_n():
    text = card()

    assert (
        "| ensemble | macro AUROC, one class against the rest | 0.812 | [0.790, 0.840] | 376 |"
        in text
    )
    assert "| rank_argmax | accuracy | 0.600 | [0.550, 0.650] | 376 |" in text
    assert "n = 376 images of 210 patients" in text


def test_what_is_undefined_is_said_to_be():
    text = card()

    assert "| ensemble | accuracy | 0.700 | [undefined] | 376 |" in text
    assert "| ensemble | macro F1 | undefined | - | 376 |" in text


def test_out_of_fold_figures_stand_apart_from_those_of_the_test_set():
    own = {"n": 900, "accuracy": 0.61, "accuracy_low": 0.58, "accuracy_high": 0.64}
    evidence = Evidence(METRICS | {"b4_out_of_fold": own}, PER_CLASS, 0.95, [REAL], PARITY)

    text = word_card(tiny_manifest(MEMBERS), evidence)

    before, after = text.split("## Members out of fold")
    assert "| b4 | accuracy | 0.610 | [0.580, 0.640] | 900 |" in after
    assert "| 900 |" not in before
    assert "out_of_fold" not in text
    assert "Members out of fold" not in card()


def test_classes_are_those_of_the_ensemble_with_their_positives():
    text = card()

    assert (
        "| MEL | Melanoma | 0.900 [0.800, 0.950] | undefined - | 0.910 [0.880, 0.940] | 40 of 376 |"
        in text
    )
    assert "99 of 376" not in text


def test_purpose_says_research_use():
    assert "**Research use only; not a diagnosis.**" in card()


def test_data_stand_with_their_licence():
    text = card()

    assert "| ham10000 | 1938 | CC-BY-NC |" in text
    assert "synthetic" not in text


def test_synthetic_data_are_called_so():
    text = card(sources=[SAMPLE, REAL])

    assert "| isic_2019 | 280 | none: generated |" in text
    assert "synthetic images" in text


@pytest.mark.parametrize(
    ("members", "wording"),
    [(MEMBERS, "image and age, sex and site"), (WITHOUT_DEMOGRAPHICS, "image and no demographics")],
)
def test_purpose_says_whether_demographics_are_used(members, wording):
    assert wording in card(tiny_manifest(members))


def test_the_threshold_stands_with_what_was_measured_at_it():
    rates = Estimate(0.9, 0.8, 0.97), Estimate(0.6, 0.5, 0.7)
    point = OperatingPoint("rule", "sensitivity", 0.9, 0.25, 100, 30, 0.95, *rates)
    other = dataclasses.replace(point, rule="another rule", threshold=None)
    thresholds = {
        "malignant": Target(("MEL", "BCC", "SCC"), point, (other,)),
        "melanoma": Target(("MEL",), point, ()),
    }
    manifest = dataclasses.replace(tiny_manifest(MEMBERS), thresholds=thresholds)

    text = card(manifest)

    assert "Score: sum of the probabilities of MEL, BCC, SCC. Threshold that decides: 0.25" in text
    assert "of the same 30 positive and 70 negative images" in text
    measured = "0.900 [0.800, 0.970] | 0.600 [0.500, 0.700] |"
    assert f"| rule | 0.25 | {measured}" in text
    assert f"| another rule | undefined | {measured}" in text


def test_a_threshold_that_could_not_be_chosen_is_undefined():
    nothing = Estimate(None, None, None)
    point = OperatingPoint("rule", "sensitivity", 0.9, None, 100, 0, 0.95, nothing, nothing)
    target = Target(("MEL",), point, ())
    thresholds = {"malignant": target, "melanoma": target}
    manifest = dataclasses.replace(tiny_manifest(MEMBERS), thresholds=thresholds)

    assert card(manifest).count("Threshold: undefined (rule; 0 positive images).") == 2


def test_members_stand_with_their_distance_from_keras():
    assert "| b4 | EfficientNet-B4 | 64 | 32 | yes | 3.2e-06 | 24 |" in card()


def read_front(text):
    """What the hub reads: the YAML between the two lines of dashes that open the card."""
    opening, front, _ = text.split("---\n", 2)
    assert not opening
    return YAML(typ="safe").load(front)


def test_the_front_matter_holds_the_ensembles_figures():
    front = read_front(card())

    (model,) = front["model-index"]
    (result,) = model["results"]
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values == {"roc_auc": 0.8123, "accuracy": 0.7}
    assert result["dataset"]["name"] == "test set of ham10000, n = 376"
    assert front["license"] == "other"


def test_a_name_cannot_end_the_front_matter():
    manifest = dataclasses.replace(tiny_manifest(MEMBERS), name="a\n---\nb: [")

    assert read_front(card(manifest))["model-index"][0]["name"] == "a\n---\nb: ["


def test_synthetic_images_bind_no_licence_and_are_a_tag():
    front = read_front(card(sources=[SAMPLE]))

    assert front["license"] == "apache-2.0"
    assert "synthetic" in front["tags"]


def test_an_ensemble_without_a_defined_figure_has_no_results():
    metrics = METRICS | {"ensemble": METRICS["ensemble"] | {"macro_auroc": None, "accuracy": None}}
    evidence = Evidence(metrics, PER_CLASS, 0.95, [REAL], PARITY)

    front = read_front(word_card(tiny_manifest(MEMBERS), evidence))

    assert front["model-index"][0]["results"] == []


def test_sections_are_those_of_the_hubs_form_in_its_order():
    headings = [line for line in card().splitlines() if line.startswith("## ")]

    assert headings == [
        "## Model details",
        "## Uses",
        "## Bias, risks and limitations",
        "## How to get started",
        "## Training details",
        "## Evaluation",
        "## Technical specifications",
        "## Environmental impact",
        "## More information",
    ]
