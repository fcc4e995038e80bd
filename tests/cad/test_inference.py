"""Tests of `pipeline.cad.inference`."""

import dataclasses
import shutil

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from onnx import helper, numpy_helper
from PIL import Image

from pipeline.cad.inference import NOTICE, Patient, Scorer
from pipeline.classes import CLASSES, MALIGNANT
from pipeline.demographics import DEMOGRAPHICS_WIDTH
from pipeline.deploy.bundle import GATE_FILE, MODEL_FILE, Bundle, BundleError, load
from pipeline.images.preprocess import PREPROCESSING_VERSION, preprocess
from pipeline.storage import sha256_of
from tests.deploy.tiny_bundle import (
    MEMBERS,
    PREPROCESSING,
    WITHOUT_DEMOGRAPHICS,
    tiny_manifest,
    write_bundle,
    write_gate,
    write_model,
)

NOBODY = Patient(None, None, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="module")
def scorer(folder):
    return Scorer(load(folder), threads=1)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """90 wide, 60 high: the kept square is the middle 60."""
    path = tmp_path_factory.mktemp("image") / "lesion.jpg"
    pixels = np.random.default_rng(3).integers(60, 200, (60, 90, 3), np.uint8)
    Image.fromarray(pixels).save(path, quality=95)
    return path


def scorer_of(folder, members, **facts):
    """A graph and a manifest that were never sealed: for faults that no real bundle has."""
    write_model(folder / MODEL_FILE, members)
    write_gate(folder / GATE_FILE)
    return Scorer(Bundle(folder, tiny_manifest(members, **facts), sha256=""), threads=1)


def change_model(folder, change):
    """Alter the graph of a copied bundle and load it with the manifest as it was."""
    model = onnx.load(folder / MODEL_FILE)
    change(model)
    onnx.save(model, folder / MODEL_FILE)
    return Bundle(folder, tiny_manifest(MEMBERS), sha256="")


def test_scores_are_keyed_by_class_and_probabilities_sum_to_one(scorer, image):
    result = scorer.score(image, NOBODY)

    for scores in (result["probabilities"], result["rank_scores"], *result["members"].values()):
        assert list(scores) == list(CLASSES)
    assert list(result["members"]) == ["b4", "b5"]
    assert sum(result["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert sum(result["members"]["b4"].values()) == pytest.approx(1, abs=1e-6)


def test_label_is_the_most_probable_class(scorer, image):
    result = scorer.score(image, NOBODY)

    assert result["probabilities"][result["predicted_label"]] == max(
        result["probabilities"].values()
    )


def test_scores_are_those_of_the_graph_on_the_training_preprocessing(scorer, folder, image):
    prepared = preprocess(
        image,
        decode_params=PREPROCESSING.decode,
        crop_params=PREPROCESSING.crop,
        resample=PREPROCESSING.resample,
        inputs=[(64, 32), (48, 24)],
    )
    session = onnxruntime.InferenceSession(folder / MODEL_FILE, providers=["CPUExecutionProvider"])
    feeds = {f"image_{c}_{i}": array[None] for (c, i), array in prepared.arrays.items()}
    # Nothing known is the vector of zeros.
    feeds["demographics"] = np.zeros((1, DEMOGRAPHICS_WIDTH), np.float32)
    (expected,) = session.run(["probabilities"], feeds)

    result = scorer.score(image, NOBODY)

    np.testing.assert_array_equal(list(result["probabilities"].values()), expected[0])


@pytest.mark.parametrize(("target", "classes"), [("malignant", MALIGNANT), ("melanoma", ["MEL"])])
def test_score_of_a_target_is_the_sum_over_its_classes(scorer, image, target, classes):
    result = scorer.score(image, NOBODY)

    expected = sum(result["probabilities"][name] for name in classes)
    assert result[target] == {
        "score": pytest.approx(expected),
        "threshold": 0.5,
        "decision": expected >= 0.5,
    }


@pytest.mark.parametrize(("threshold", "decision"), [(0.0, True), (1.1, False), (None, None)])
def test_decision_is_at_or_above_the_threshold(tmp_path, image, threshold, decision):
    scorer = scorer_of(tmp_path, WITHOUT_DEMOGRAPHICS, threshold=threshold)

    assert scorer.score(image, NOBODY)["malignant"]["decision"] is decision


def test_age_moves_the_probabilities(scorer, image):
    young, old = (
        scorer.score(image, Patient(age, None, None))["probabilities"] for age in (20, 80)
    )

    assert max(abs(young[name] - old[name]) for name in CLASSES) > 1e-3


def test_demographics_are_repeated_as_understood(scorer, image):
    result = scorer.score(image, Patient(35.0, "female", None))

    assert result["demographics_used"] is True
    assert result["demographics"] == {"age_years": 35.0, "sex": "female", "site": None}
    assert result["warnings"] == []


def test_a_bundle_without_demographics_says_so_and_does_not_change(tmp_path, image):
    scorer = scorer_of(tmp_path, WITHOUT_DEMOGRAPHICS)

    known, unknown = scorer.score(image, Patient(80, "male", "torso")), scorer.score(image, NOBODY)

    assert known["demographics_used"] is False
    assert known["probabilities"] == unknown["probabilities"]
    message = "Age, sex and site were given, but no member of this bundle uses them."
    assert known["warnings"] == [{"code": "demographics_unused", "message": message}]
    assert unknown["warnings"] == []


def test_the_gate_gives_reasons_and_refuses_nothing(tmp_path, image):
    folder = write_bundle(tmp_path / "warning")
    warned, silent = load(folder), load(write_bundle(tmp_path / "silent"))
    write_gate(folder / GATE_FILE, blurred=1e9, wrong_aspect=1.0)

    result = Scorer(warned, threads=1).score(image, NOBODY)

    assert [warning["code"] for warning in result["warnings"]] == ["blurred", "wrong_aspect"]
    assert result["warnings"][0]["message"].startswith("The image is blurred")
    expected = Scorer(silent, threads=1).score(image, NOBODY)
    assert expected["warnings"] == []
    assert result["probabilities"] == expected["probabilities"]


def test_a_gate_of_another_version_is_refused(tmp_path):
    verified = load(write_bundle(tmp_path / "bundle"))
    path = verified.folder / GATE_FILE
    path.write_text(path.read_text().replace('"descriptor_version": ', '"descriptor_version": 9'))

    with pytest.raises(
        BundleError, match=r"gate\.json: A gate must be fitted on descriptors of ver"
    ):
        Scorer(verified, threads=1)


def test_crop_is_in_pixels_of_the_upright_original(scorer, image, tmp_path):
    turned = tmp_path / "turned.jpg"
    with Image.open(image) as original:
        exif = original.getexif()
        exif[0x0112] = 6  # shown turned by a quarter
        original.save(turned, exif=exif, quality=95)

    straight, sideways = scorer.score(image, NOBODY), scorer.score(turned, NOBODY)

    assert straight["crop"] == {"left_px": 15.0, "top_px": 0.0, "right_px": 75.0, "bottom_px": 60.0}
    assert sideways["crop"] == {"left_px": 0.0, "top_px": 15.0, "right_px": 60.0, "bottom_px": 75.0}
    assert (sideways["image"]["width_px"], sideways["image"]["height_px"]) == (60, 90)


def test_result_names_image_and_bundle_and_says_research_use(scorer, folder, image):
    result = scorer.score(image, NOBODY)

    assert result["image"]["sha256"] == sha256_of(image)
    assert result["bundle"] == {"name": "tiny", "sha256": sha256_of(folder / "SHA256SUMS")}
    assert result["notice"] == NOTICE


def test_threads_do_not_change_the_scores(folder, scorer, image):
    other = Scorer(load(folder), threads=2)

    assert other.score(image, NOBODY) == scorer.score(image, NOBODY)


def test_a_missing_image_is_named(scorer, tmp_path):
    with pytest.raises(ValueError, match=r"^image must be an existing file\. Got: .*none\.jpg\.$"):
        scorer.score(tmp_path / "none.jpg", NOBODY)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ((-5.0, None, None), r"^age must be from 0 to 120 years\. Got: -5\.0\.$"),
        ((500.0, None, None), r"^age must be from 0 to 120 years\. Got: 500\.0\.$"),
        ((float("nan"), None, None), r"^age must be a number of years or left out\. Got: nan\.$"),
        ((None, "Female", None), r"^sex must be one of \['female', 'male'\]\. Got: 'Female'\.$"),
        ((None, None, "elbow"), r"^site must be one of .* Got: 'elbow'\.$"),
    ],
)
def test_impossible_demographics_are_refused(known, message):
    with pytest.raises(ValueError, match=message):
        Patient(*known)


def test_what_a_manifest_leaves_empty_is_unknown_to_the_cad():
    row = {"age_years": float("nan"), "sex": "", "site": "torso"}
    (case,) = pd.DataFrame([row]).itertuples()

    assert Patient.of_case(case) == Patient(None, None, "torso")


def test_a_file_that_is_no_graph_is_refused(folder, tmp_path):
    copied = shutil.copytree(folder, tmp_path / "bundle")
    (copied / MODEL_FILE).write_bytes(b"no graph at all")

    with pytest.raises(
        BundleError, match=r"ensemble\.onnx must be a graph that ONNX Runtime loads"
    ):
        Scorer(Bundle(copied, tiny_manifest(MEMBERS), sha256=""), threads=1)


def rename_input(model):
    model.graph.input[0].name = "image_64_33"
    model.graph.node[0].input[0] = "image_64_33"


def add_output(model):
    model.graph.output.append(
        helper.make_tensor_value_info("b4/mean", onnx.TensorProto.FLOAT, None)
    )


def fix_batch(model):
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1


def forget_version(model):
    kept = [entry for entry in model.metadata_props if entry.key != "preprocessing_version"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename_input, r"inputs must be .*'image_64_32 tensor\(uint8\).* Got: .*image_64_33"),
        (add_output, r"outputs must be .* Got: \['b4/mean"),
        (fix_batch, r"outputs must be .* Got: .*'probabilities tensor\(float\) \(1, 9\)'"),
        (
            forget_version,
            rf"metadata 'preprocessing_version' must be {PREPROCESSING_VERSION}\. Got: None\.",
        ),
    ],
)
def test_a_graph_that_is_not_the_manifests_is_refused(folder, tmp_path, change, message):
    copied = shutil.copytree(folder, tmp_path / "bundle")
    bundle = change_model(copied, change)

    with pytest.raises(BundleError, match=message):
        Scorer(bundle, threads=1)


def test_a_graph_of_another_class_order_is_refused(folder, tmp_path):
    copied = shutil.copytree(folder, tmp_path / "bundle")
    manifest = dataclasses.replace(tiny_manifest(MEMBERS), classes=CLASSES[::-1])

    with pytest.raises(BundleError, match=r"metadata 'classes' must be \[\"UNK\""):
        Scorer(Bundle(copied, manifest, sha256=""), threads=1)


def test_scores_that_are_no_numbers_never_leave(folder, image, tmp_path):
    def spoil(model):
        weights = next(c for c in model.graph.initializer if c.name == "b5/weights")
        values = numpy_helper.to_array(weights) * np.float32("nan")
        weights.CopyFrom(numpy_helper.from_array(values, "b5/weights"))

    copied = shutil.copytree(folder, tmp_path / "bundle")
    scorer = Scorer(change_model(copied, spoil), threads=1)

    with pytest.raises(BundleError, match=r"must be within 0 and 1\. Got: .*nan"):
        scorer.score(image, NOBODY)
