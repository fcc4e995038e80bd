"""Two ways to score the same images, compared; the tolerances of the export gate in one place."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from pipeline.classes import CLASSES
from pipeline.scoring.ensemble import combine
from pipeline.scoring.probability_map import ProbabilityMap

# Graph against NumPy on the same member scores.
FORMULA_TOLERANCE = 1e-6


class ParityError(ValueError):
    """Two ways to score the same images disagree."""


@dataclass(frozen=True)
class MemberParity:
    """How far a member's graph is from Keras on real images.

    Attributes:
        images: How many were compared.
        noise: Largest difference of Keras from itself, one image at a time against all at once.
        difference: Largest difference of ONNX Runtime from Keras in any probability.
        tolerance: What the gate allows a network whose own noise is small.
    """

    member: str
    images: int
    noise: float
    difference: float
    tolerance: float


def open_session(model: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """Open a graph on the CPU, the reference for parity; with 0 threads the runtime chooses."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    if session.get_providers()[0] != "CPUExecutionProvider":
        raise ParityError(f"{model} must run on the CPU. Got: {session.get_providers()}.")
    return session


def check_member(parity: MemberParity) -> dict[str, Any]:
    """Pass a member through the gate.

    A network hardly trained differs from itself from batch to batch by more than the tolerance;
    there, three times that noise is allowed, and what was allowed is part of the report.

    Raises:
        ParityError: The difference is above what is allowed.
    """
    allowed = max(parity.tolerance, 3 * parity.noise)
    if not parity.difference <= allowed:
        raise ParityError(
            f"member {parity.member}: ONNX and Keras must agree within {allowed:g} on "
            f"{parity.images} images. Got: {parity.difference:.3g} "
            f"(Keras differs from itself by {parity.noise:.3g})."
        )
    return {**asdict(parity), "allowed": allowed}


def check_ensemble(
    outputs: dict[str, np.ndarray],
    native: dict[str, np.ndarray],
    references: dict[str, np.ndarray],
    probability_map: ProbabilityMap,
) -> dict[str, Any]:
    """Pass the merged graph through the gate.

    Args:
        outputs: What the graph answered, by output name, each `(n, 9)`.
        native: Member name to Keras' probabilities on the same images, `(n, 9)`.
        references: Member name to its reference scores, `(m, 9)`, columns ascending.
        probability_map: The members' joined scores to probabilities.

    Raises:
        ParityError: On the graph's own member scores the formula differs by more than
            `FORMULA_TOLERANCE`, or a rank differs from the native one by more than 2/m.
    """
    own = {name: outputs[f"probabilities_{name}"] for name in native}
    joined = combine(references, own)
    formula = {
        "rank_scores": _largest(outputs["rank_scores"], joined.rank_average),
        "probabilities": _largest(outputs["probabilities"], probability_map.apply(joined)),
    }
    for name, difference in formula.items():
        if not difference <= FORMULA_TOLERANCE:
            raise ParityError(
                f"ensemble: {name} of graph and formula must be equal within {FORMULA_TOLERANCE:g} "
                f"on equal scores. Got: {difference:.3g}."
            )
    step = 2 / min(len(reference) for reference in references.values())
    moved = _largest(outputs["rank_scores"], combine(references, native).rank_average)
    if not moved <= step:
        raise ParityError(
            f"ensemble: rank scores of graph and Keras must agree within 2/n = {step:.3g}. "
            f"Got: {moved:.3g}."
        )
    return {
        "images": len(joined.rank_average),
        "reference_cases": min(len(reference) for reference in references.values()),
        "formula_tolerance": FORMULA_TOLERANCE,
        "formula_difference": formula,
        "rank_tolerance": step,
        "rank_difference": moved,
    }


def _largest(found: np.ndarray, wanted: np.ndarray) -> float:
    if found.shape != wanted.shape or found.shape[1] != len(CLASSES):
        raise ParityError(
            f"scores must be (n, {len(CLASSES)}). Got: {found.shape}, {wanted.shape}."
        )
    return float(np.abs(found - wanted).max())
