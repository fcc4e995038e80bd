"""Tests of `pipeline.cad.explanation`, on a tiny bundle."""

import numpy as np
import pytest

from pipeline.cad.explanation import ExplanationError, Question, ask, refuse_other_graph
from pipeline.cad.inference import Patient, Scorer
from pipeline.cad.saliency import SaliencyParams, make_fills
from pipeline.classes import CLASSES
from pipeline.deploy import bundle
from tests.deploy.tiny_bundle import write_bundle

PARAMS = SaliencyParams(
    grid=4, span=2, edge_share=1.0, fill="skin", fill_share=0.1, least_drop=1e-4, batch_size=5
)
PATIENT = Patient(61.0, "female", None)


class Counting(Scorer):
    """Counts the rows that it scores."""

    rows = 0

    def run(self, prepared, patients):
        self.rows += len(prepared)
        return super().run(prepared, patients)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("explanation") / "bundle")


@pytest.fixture
def scorer(folder):
    return Counting(bundle.load(folder), threads=1)


@pytest.fixture
def image(folder):
    return next((folder / "golden").glob("*.png"))


@pytest.fixture
def question(scorer, image):
    return Question(scorer, scorer.prepare(image), PATIENT, PARAMS)


def test_the_whole_image_scores_as_in_a_prediction(question, scorer, image):
    found = question.occlude(("MEL",), 16)["MEL"]

    assert found.score == pytest.approx(scorer.score(image, PATIENT)["probabilities"]["MEL"])


def test_the_patient_counts(question, scorer):
    other = Question(scorer, question.prepared, Patient(None, None, None), PARAMS)
    batch = {key: image[None] for key, image in question.prepared.arrays.items()}

    assert np.abs(question.score(batch) - other.score(batch)).max() > 1e-3


def test_maps_of_two_classes_cost_one_and_are_those_of_each_alone(question, scorer):
    together = question.occlude(("MEL", "NV"), 16)

    assert scorer.rows == PARAMS.runs
    for label in ("MEL", "NV"):
        alone = question.occlude((label,), 16)[label]
        np.testing.assert_array_equal(alone.drops, together[label].drops)
    assert (together["MEL"].drops != together["NV"].drops).any()


def test_one_class_named_twice_is_one_map(question):
    assert list(question.occlude(("NV", "NV"), 8)) == ["NV"]


def test_masks_are_scored_in_their_order_over_batches(question):
    masks = np.linspace(0, 1, 12, dtype=np.float32)[:, None, None] * np.ones((12, 8, 8), np.float32)

    score = question.score_hidden("MEL")
    together, alone = score(masks), [score(mask[None])[0] for mask in masks]

    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert len(set(alone)) > 3


def test_the_ends_are_the_image_and_its_fill(question):
    images = question.prepared.arrays
    ends = question.score_hidden("BCC")(np.stack([np.zeros((4, 4)), np.ones((4, 4))]))

    for batch, found in zip((images, make_fills(images, PARAMS)), ends, strict=True):
        whole = question.score({key: part[None] for key, part in batch.items()})
        assert found == pytest.approx(whole[0, CLASSES.index("BCC")])


def test_an_original_becomes_the_arrays_that_were_scored(scorer, image):
    expected = scorer.prepare(image).arrays

    found = ask(scorer, image, PATIENT, expected=expected, params=PARAMS)

    assert found.patient == PATIENT


def test_planted_flipped_arrays_are_refused(scorer, image):
    expected = {key: part[:, ::-1] for key, part in scorer.prepare(image).arrays.items()}

    with pytest.raises(ExplanationError, match=r"must become the array that was scored, 24 px"):
        ask(scorer, image, PATIENT, expected=expected, params=PARAMS)


def test_a_graph_may_move_one_case_by_a_rank_but_not_half_of_them():
    wanted = np.array([0.9, 0.8, 0.7, 0.6, 0.5])

    assert refuse_other_graph(wanted - [0, 0.001, 0.2, 0, 0], wanted) == pytest.approx(0.2)
    for other in (wanted[::-1], np.full(5, np.nan)):
        with pytest.raises(ExplanationError, match=r"must answer as stage ensemble wrote"):
            refuse_other_graph(other, wanted)
