"""Choose the thresholds that a bundle decides by: section and stage `operating_points`.

On cases that no deployed network trained on, never on the test set: stage `clinical` measures what
they are worth there.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.classes import TARGETS
from pipeline.deploy import bundle
from pipeline.scoring.decisions import Resamples, measure_decision
from pipeline.scoring.operating_point import (
    BinaryCases,
    ChosenThreshold,
    binary_cases,
    choose_thresholds,
)

WORDS = {
    "sensitivity": "highest threshold with sensitivity >= {:g} on {} images",
    "specificity": "lowest threshold with specificity >= {:g} on {} images",
}


@dataclass(frozen=True)
class OperatingPointsParams:
    """Section `operating_points` of `params.yaml`.

    Attributes:
        malignant: Classes that count as malignant: `MEL, BCC, SCC`, and `AK` as the policy is.
        decision_sensitivity: Of the threshold that decides, for every target.
        sensitivities: Of further thresholds.
        specificities: Of further thresholds.
    """

    malignant: tuple[str, ...]
    decision_sensitivity: float
    sensitivities: tuple[float, ...]
    specificities: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.malignant not in TARGETS["malignant"]:
            raise ValueError(
                f"malignant must be one of {TARGETS['malignant']}. Got: {self.malignant}."
            )
        for name in ("sensitivities", "specificities"):
            if not all(0 < wanted <= 1 for wanted in getattr(self, name)):
                raise ValueError(f"{name} must be in (0, 1]. Got: {getattr(self, name)}.")
        if not 0 < self.decision_sensitivity <= 1:
            raise ValueError(
                f"decision_sensitivity must be in (0, 1]. Got: {self.decision_sensitivity}."
            )

    def targets(self) -> dict[str, tuple[str, ...]]:
        """Return the classes of each binary outcome."""
        return {"melanoma": ("MEL",), "malignant": self.malignant}


def choose_points(
    labels: np.ndarray,
    probabilities: np.ndarray,
    resamples: Resamples,
    *,
    settings: OperatingPointsParams,
    images: str,
) -> dict[str, bundle.Target]:
    """Choose every target's thresholds, and measure each on the cases that chose it.

    Args:
        labels: Of n cases that no deployed network trained on, index into `CLASSES`, `(n,)` int.
        probabilities: `(n, 9)`.
        resamples: Of the same cases.
        settings: What is wanted.
        images: What the images are called in the rules: `out-of-fold` or `calibration`.
    """
    wanted = {
        "sensitivities": (settings.decision_sensitivity, *settings.sensitivities),
        "specificities": settings.specificities,
    }
    targets = {}
    for name, classes in settings.targets().items():
        cases = binary_cases(labels, probabilities, classes)
        decision, *others = [
            _measure(cases, one, resamples, images) for one in choose_thresholds(cases, **wanted)
        ]
        targets[name] = bundle.Target(classes, decision, tuple(others))
    return targets


def _measure(
    cases: BinaryCases, one: ChosenThreshold, resamples: Resamples, images: str
) -> bundle.OperatingPoint:
    found = measure_decision(cases, one.threshold, None, resamples)
    sensitivity, specificity = (
        bundle.Estimate(e.value, e.low, e.high)
        for e in (found["sensitivity"], found["specificity"])
    )
    return bundle.OperatingPoint(
        rule=WORDS[one.quantity].format(one.wanted, images),
        quantity=one.quantity,
        wanted=one.wanted,
        threshold=one.threshold,
        n=len(cases),
        positives=int(cases.positive.sum()),
        interval=resamples.interval,
        sensitivity=sensitivity,
        specificity=specificity,
    )
