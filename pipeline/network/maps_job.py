"""What a process that draws a member's maps is given and gives back; needs no Keras.

What comes back holds the member's own scores too: a map is only of what was deployed if they are
those that stage `predict` wrote (`refuse_other_scores`).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.network.member_params import MemberParams

# Of a probability: far above what another batch or a member in bfloat16 moves, far below what
# another network, image or view does.
SAME_SCORE = 0.02


class MapsError(ValueError):
    """Maps are not of the networks and images that were scored."""


@dataclass(frozen=True, eq=False)
class MapsJob:
    """What one process draws.

    Attributes:
        name: Of the member.
        member: How it is built.
        weights: Of its deployed networks.
        views: Of `predict.views`.
        image_ids: Names of the `n` images.
        pixels: `(n, input_px, input_px, 3)` uint8.
        known: `(n, DEMOGRAPHICS_WIDTH)` float32.
        classes: Indices into `CLASSES`, `(k, n)` int: `k` maps of each image.
        target: Key of `grad_cam.TARGETS`.
        map_px: Side of the maps.
        batch_size: Images at a time.
    """

    name: str
    member: MemberParams
    weights: tuple[Path, ...]
    views: int
    image_ids: tuple[str, ...]
    pixels: np.ndarray
    known: np.ndarray
    classes: np.ndarray
    target: str
    map_px: int
    batch_size: int


@dataclass(frozen=True, eq=False)
class MemberMaps:
    """A member's maps.

    Attributes:
        name: Of the member.
        cells: Height and width of the feature map: the true resolution of the maps.
        heat: `(k, n, map_px, map_px)` float32 in [0, 1]; NaN all over where undefined.
        probabilities: What the member gave each class, `(n, 9)` float32.
    """

    name: str
    cells: tuple[int, int]
    heat: np.ndarray
    probabilities: np.ndarray


def refuse_other_scores(maps: MemberMaps, image_ids: tuple[str, ...], scores: np.ndarray) -> None:
    """Refuse maps of another network, of other images, or of images that lie otherwise.

    Args:
        maps: Of one member.
        image_ids: Names of the images.
        scores: What stage `predict` wrote for them, `(n, 9)`.

    Raises:
        MapsError: They differ; the message names the member and the images.
    """
    apart = np.abs(maps.probabilities - scores).max(axis=1)
    # `not` refuses NaN too.
    wrong = [name for name, part in zip(image_ids, apart, strict=True) if not part <= SAME_SCORE]
    if wrong:
        raise MapsError(
            f"maps of {maps.name} must come from networks and images that score as in stage "
            f"predict, within {SAME_SCORE}. Got others for {len(wrong)} of {len(image_ids)} "
            f"images, first {wrong[:5]}; the largest difference is {apart.max():.3f}."
        )
