"""Score one image with a verified bundle, in ONNX Runtime.

Pixels go through the same code as in training, and nothing here reaches TensorFlow or Keras.
"""

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from pipeline.classes import CLASSES, TARGETS
from pipeline.demographics import encode_demographics
from pipeline.deploy import bundle as bundles
from pipeline.deploy.bundle import Bundle, BundleError
from pipeline.images.gate import json_form
from pipeline.images.gate.descriptors import describe
from pipeline.images.gate.limits import InputGate
from pipeline.images.preprocess import Preprocessed, preprocess
from pipeline.storage import read_json, sha256_of

UNUSED = "demographics_unused"
NOTICE = "Research use only; not a diagnosis."
SIDES_PX = ("left_px", "top_px", "right_px", "bottom_px")
THREAD_LIMIT = 256
PROVIDER = "CPUExecutionProvider"
ELEMENT_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}
# What ONNX Runtime raises for a file that it cannot run; they share no base class.
LOAD_ERRORS = (
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.InvalidGraph,
    runtime_errors.InvalidProtobuf,
    runtime_errors.NoSuchFile,
    runtime_errors.NotImplemented,
    runtime_errors.RuntimeException,
)


@dataclass(frozen=True)
class Patient:
    """Demographics as understood; `None` where unknown."""

    age_years: float | None
    sex: str | None
    site: str | None

    def __post_init__(self) -> None:
        # NaN would pass as unknown below, but whoever sends it meant to send an age.
        if self.age_years is not None and math.isnan(self.age_years):
            raise ValueError("age must be a number of years or left out. Got: nan.")
        self.vector()

    @classmethod
    def of_case(cls, case: Any) -> Self:
        """Take a row of the manifest, whose unknowns are NaN and empty text."""
        age = None if math.isnan(case.age_years) else case.age_years
        return cls(age, case.sex or None, case.site or None)

    def vector(self) -> np.ndarray:
        """Encode for the network, `(1, DEMOGRAPHICS_WIDTH)` float32; all zeros where unknown."""
        return encode_demographics(self.age_years, self.sex, self.site)[None]

    def is_known(self) -> bool:
        """Return whether anything is known."""
        return any(value is not None for value in dataclasses.astuple(self))


class Scorer:
    """A bundle with its graph loaded, ready to score images one at a time."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        """Load the graph of a verified bundle.

        Args:
            bundle: From `deploy.bundle.load`.
            threads: CPU threads within one operator; 0 for as many as there are cores.

        Raises:
            BundleError: The graph does not load, or is not the one that the manifest describes.
            ValueError: The threads are outside 0 to `THREAD_LIMIT`.
        """
        self.bundle = bundle
        self._session = _open_session(bundle, threads)
        self._gate = _read_gate(bundle)

    def score(self, image: Path, patient: Patient) -> dict[str, Any]:
        """Score one image.

        Args:
            image: JPEG or PNG file.
            patient: Demographics.

        Returns:
            The JSON object of a prediction. `malignant.score` is the sum of the probabilities of
            the malignant classes and `malignant.decision` whether it is at or above the
            threshold, and so for `melanoma`; `warnings` have a `code` and a `message`; `crop` is
            in pixels of the original after orientation.

        Raises:
            ValueError: The file is missing, or not an image that can be scored.
            BundleError: The graph gave something other than probabilities.
        """
        manifest = self.bundle.manifest
        if not image.is_file():
            raise ValueError(f"image must be an existing file. Got: {image}.")
        prepared = self.prepare(image)
        outputs = {
            name: dict(zip(CLASSES, rows[0].tolist(), strict=True))
            for name, rows in self.run([prepared], [patient]).items()
        }
        probabilities = outputs["probabilities"]
        return {
            "predicted_label": max(probabilities, key=probabilities.__getitem__),
            "probabilities": probabilities,
            "rank_scores": outputs["rank_scores"],
            "members": {m: outputs[f"probabilities_{m}"] for m in sorted(manifest.members)},
            **{target: self._judge(probabilities, target) for target in TARGETS},
            "demographics_used": manifest.demographics.used,
            "demographics": dataclasses.asdict(patient),
            "crop": {side: getattr(prepared.box, side) for side in SIDES_PX},
            "bundle": {"name": manifest.name, "sha256": self.bundle.sha256},
            "image": {
                "sha256": sha256_of(image),
                "width_px": prepared.width_px,
                "height_px": prepared.height_px,
            },
            "warnings": self._warnings(prepared, patient),
            "notice": NOTICE,
        }

    def prepare(self, file: Path | bytes) -> Preprocessed:
        """Make the arrays of one image, given as a JPEG or PNG file or as its bytes.

        Raises:
            ImageError: It cannot be decoded.
        """
        preprocessing = self.bundle.manifest.preprocessing
        inputs = self.bundle.manifest.inputs
        return preprocess(
            file,
            decode_params=preprocessing.decode,
            crop_params=preprocessing.crop,
            resample=preprocessing.resample,
            inputs=[(i.crop_px, i.input_px) for i in inputs if i.crop_px is not None],
        )

    def run(
        self, prepared: Sequence[Preprocessed], patients: Sequence[Patient]
    ) -> dict[str, np.ndarray]:
        """Score images together, each with its patient.

        Returns:
            Name of each of the graph's outputs to its scores, `(len(prepared), 9)` float32.

        Raises:
            BundleError: The graph gave something other than probabilities.
        """
        feeds = {
            i.name: np.concatenate([patient.vector() for patient in patients])
            if i.crop_px is None
            else np.stack([one.arrays[i.crop_px, i.input_px] for one in prepared])
            for i in self.bundle.manifest.inputs
        }
        names = [output.name for output in self.bundle.manifest.outputs]
        scores = dict(zip(names, self._session.run(names, feeds), strict=True))
        for name, rows in scores.items():
            # `not` refuses NaN too.
            if not (rows >= 0).all() or not (rows <= 1 + 1e-5).all():
                raise BundleError(f"output '{name}' must be within 0 and 1. Got: {rows.tolist()}.")
        return scores

    def _judge(self, probabilities: dict[str, float], name: str) -> dict[str, Any]:
        target = self.bundle.manifest.thresholds[name]
        score = sum(probabilities[label] for label in target.classes)
        threshold = target.decision.threshold
        decision = None if threshold is None else score >= threshold
        return {"score": score, "threshold": threshold, "decision": decision}

    def _warnings(self, prepared: Preprocessed, patient: Patient) -> list[dict[str, str]]:
        descriptor = describe(
            prepared.smallest_crop, width_px=prepared.width_px, height_px=prepared.height_px
        )
        found = {reason.code: reason.words for reason in self._gate.reasons(descriptor)}
        if patient.is_known() and not self.bundle.manifest.demographics.used:
            found[UNUSED] = "Age, sex and site were given, but no member of this bundle uses them."
        return [{"code": code, "message": words} for code, words in found.items()]


def _read_gate(bundle: Bundle) -> InputGate:
    path = bundle.folder / bundles.GATE_FILE
    try:
        return json_form.from_json(read_json(path))
    except ValueError as error:
        raise BundleError(f"{path}: {error}") from None


def _open_session(bundle: Bundle, threads: int) -> onnxruntime.InferenceSession:
    if not 0 <= threads <= THREAD_LIMIT:
        raise ValueError(f"threads must be from 0 to {THREAD_LIMIT}. Got: {threads}.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only: this command's stderr is for its user
    path = bundle.folder / bundles.MODEL_FILE
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[PROVIDER])
    except LOAD_ERRORS as error:
        reason = str(error).partition("\n")[0]
        raise BundleError(
            f"{path} must be a graph that ONNX Runtime loads. Got: {reason}"
        ) from None
    if session.get_providers() != [PROVIDER]:
        raise BundleError(f"{path} must run on {PROVIDER}. Got: {session.get_providers()}.")
    _check_graph(session, bundle.manifest, path)
    return session


def _check_graph(
    session: onnxruntime.InferenceSession, manifest: bundles.Manifest, path: Path
) -> None:
    """Refuse a graph whose tensors or metadata are not those of the manifest."""
    for kind, found, wanted in (
        ("inputs", session.get_inputs(), manifest.inputs),
        ("outputs", session.get_outputs(), manifest.outputs),
    ):
        listed = sorted(_signature(t.name, t.type, t.shape) for t in found)
        expected = sorted(
            _signature(t.name, ELEMENT_TYPES[t.type], (None, *t.row_shape)) for t in wanted
        )
        if listed != expected:
            raise BundleError(f"{path}: {kind} must be {expected}. Got: {listed}.")
    metadata = session.get_modelmeta().custom_metadata_map
    wanted_metadata = {
        "classes": json.dumps(list(manifest.classes)),
        "preprocessing_version": str(manifest.preprocessing.version),
    }
    for key, value in wanted_metadata.items():
        if metadata.get(key) != value:
            raise BundleError(
                f"{path}: metadata '{key}' must be {value}. Got: {metadata.get(key)}."
            )


def _signature(name: str, kind: str, shape: Iterable[Any]) -> str:
    """Word a tensor; a dimension without a fixed size is `batch`, whatever its name."""
    sides = (str(side) if isinstance(side, int) else "batch" for side in shape)
    return f"{name} {kind} ({', '.join(sides)})"
