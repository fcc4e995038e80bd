"""The deployed graph as a score of one patient's image, to hide parts of and ask again.

What `pipeline.cad.saliency` and `pipeline.scoring.deletion` take. Demographics stay as they are.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.cad.inference import Patient, Scorer
from pipeline.cad.saliency import (
    Images,
    Saliency,
    SaliencyParams,
    fit_masks,
    hide,
    make_fills,
    occlude,
)
from pipeline.classes import CLASSES
from pipeline.images.preprocess import Preprocessed
from pipeline.scoring.deletion import ScoreHidden

OUTPUT = "probabilities"
# Of a probability. A graph whose rank scores moved by a step stays far below it.
SAME_GRAPH = 0.05


class ExplanationError(ValueError):
    """The graph, or an image, is not the one that the tables are of."""


@dataclass(frozen=True, eq=False)
class Question:
    """One image of one patient, and the graph that answers for it.

    Attributes:
        scorer: Of the bundle; may be shared by threads.
        prepared: The image, from `Scorer.prepare`.
        patient: Demographics.
        params: How the image is occluded.
    """

    scorer: Scorer
    prepared: Preprocessed
    patient: Patient
    params: SaliencyParams

    def score(self, batch: dict[tuple[int, int], np.ndarray]) -> np.ndarray:
        """Score altered copies of the image: `(batch, 9)` probabilities of the ensemble."""
        count = len(next(iter(batch.values())))
        copies = [
            dataclasses.replace(self.prepared, arrays={key: part[n] for key, part in batch.items()})
            for n in range(count)
        ]
        return self.scorer.run(copies, [self.patient] * count)[OUTPUT]

    def occlude(self, labels: tuple[str, ...], map_px: int) -> dict[str, Saliency]:
        """Draw the occlusion maps of some classes; the graph runs once for all of them."""
        answered: dict[bytes, np.ndarray] = {}

        def remembered(batch: dict[tuple[int, int], np.ndarray]) -> np.ndarray:
            key = hashlib.sha256(b"".join(part.tobytes() for part in batch.values())).digest()
            if key not in answered:
                answered[key] = self.score(batch)
            return answered[key]

        images: Images = self.prepared.arrays
        return {
            label: occlude(images, remembered, label, params=self.params, map_px=map_px)
            for label in dict.fromkeys(labels)
        }

    def score_hidden(self, label: str) -> ScoreHidden:
        """Make what `deletion.removal_curves` asks: scores of a class from masks."""
        images: Images = self.prepared.arrays
        fills, column = make_fills(images, self.params), CLASSES.index(label)

        def score(masks: np.ndarray) -> np.ndarray:
            parts = [
                self.score(hide(images, fills, fit_masks(part, images)))[:, column]
                for part in np.array_split(masks, -(-len(masks) // self.params.batch_size))
            ]
            return np.concatenate(parts)

        return score


def ask(
    scorer: Scorer,
    image: Path,
    patient: Patient,
    *,
    expected: Mapping[tuple[int, int], np.ndarray],
    params: SaliencyParams,
) -> Question:
    """Read an original as the CAD does.

    Args:
        scorer: Of the bundle.
        image: JPEG or PNG file.
        patient: Demographics.
        expected: What the members were scored on, by `(crop_px, input_px)`.
        params: How the image is occluded.

    Raises:
        ExplanationError: The graph would see other pixels than the members did.
    """
    prepared = scorer.prepare(image)
    for (crop_px, input_px), pixels in expected.items():
        if not np.array_equal(prepared.arrays[crop_px, input_px], pixels):
            raise ExplanationError(
                f"{image} must become the array that was scored, {input_px} px of {crop_px}. "
                f"Got: other pixels. Run the stages from crop on."
            )
    return Question(scorer, prepared, patient, params)


def refuse_other_graph(found: np.ndarray, wanted: np.ndarray) -> float:
    """Refuse a graph that does not answer as stage `ensemble` wrote.

    Args:
        found: A probability of each case from the graph, `(n,)`.
        wanted: The table's, `(n,)`.

    Returns:
        The largest difference.

    Raises:
        ExplanationError: Half of the cases are further away than `SAME_GRAPH`; not the largest, as
            a rank that rounding moves by a step may move one case more.
    """
    apart = np.abs(found - wanted)
    middle = float(np.median(apart))
    if not middle <= SAME_GRAPH:  # `not` refuses NaN too
        raise ExplanationError(
            f"the bundle must answer as stage ensemble wrote, within {SAME_GRAPH}. "
            f"Got: half of the cases are {middle:.3f} away or more."
        )
    return float(apart.max())
