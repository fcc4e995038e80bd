"""Where an image holds what a class is scored by, asked of the deployed graph alone: occlusion.

One patch of the image after another is hidden under a fill without detail, and the class's score
is read again: what it falls by is the patch's importance. Nothing of the network is needed but its
answers, so it serves any output: the ensemble's probability, its rank score, one member's.

Patches lie in coordinates of the crop, from 0 to 1, so that inputs of other crops and sizes, which
show the same box, lose the same part of the lesion. Their edges are soft, as a sharp one would be a
structure of its own, and every pixel lies under as many patches as any other, so that the map has
no seams and no frame.

It takes `SaliencyParams.runs` rows of the graph: 65 for a grid of 8 and patches of one cell, 82 for
patches of two by two.

Source: Zeiler and Fergus 2014, section 4.2, https://arxiv.org/abs/1311.2901
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from pipeline.classes import CLASSES
from pipeline.images.heat_map import resize_map

# RGB uint8 `(input_px, input_px, 3)` by `(crop_px, input_px)`, as `Preprocessed.arrays`.
Images = Mapping[tuple[int, int], np.ndarray]
# The same with a batch dimension, to scores in the order of `CLASSES`, `(batch, 9)` float.
Score = Callable[[dict[tuple[int, int], np.ndarray]], np.ndarray]


def blur(image: np.ndarray, share: float) -> np.ndarray:
    """Blur RGB pixels with a standard deviation of a share of the side: colour without detail."""
    blurred = Image.fromarray(image).filter(ImageFilter.GaussianBlur(share * len(image)))
    return np.asarray(blurred)


def skin(image: np.ndarray, share: float) -> np.ndarray:
    """Fill with the median colour of the frame around the lesion, a share of the side wide."""
    wide = max(1, round(share * len(image)))
    is_frame = np.ones(image.shape[:2], bool)
    is_frame[wide:-wide, wide:-wide] = False
    colour = np.median(image[is_frame], axis=0)
    return np.broadcast_to(np.round(colour).astype(np.uint8), image.shape)


FILLS = {"blur": blur, "skin": skin}


@dataclass(frozen=True)
class SaliencyParams:
    """How an image is occluded.

    Attributes:
        grid: Cells along a side.
        span: Cells along the side of a patch; patches lie one cell apart, so above 1 they overlap,
            and the outermost hang over the border.
        edge_share: Width of the soft edge, of a cell.
        fill: Key of `FILLS`. `blur` takes the detail away and leaves the colour; `skin` takes the
            lesion away.
        fill_share: Of the side: standard deviation of the blur, or width of the frame.
        least_drop: Of the score; where no patch lowers it by as much, the map is undefined. Above
            what the runtime's rounding moves.
        batch_size: Images of one call.
    """

    grid: int
    span: int
    edge_share: float
    fill: str
    fill_share: float
    least_drop: float
    batch_size: int

    def __post_init__(self) -> None:
        if self.grid < 2:
            raise ValueError(f"grid must be at least 2. Got: {self.grid}.")
        if not 1 <= self.span < self.grid:
            raise ValueError(f"span must be from 1 to grid - 1. Got: {self.span}.")
        for name in ("edge_share", "least_drop"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1]. Got: {getattr(self, name)}.")
        if self.fill not in FILLS:
            raise ValueError(f"fill must be one of {list(FILLS)}. Got: {self.fill!r}.")
        if not 0 < self.fill_share < 0.5:
            raise ValueError(f"fill_share must be in (0, 0.5). Got: {self.fill_share}.")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Got: {self.batch_size}.")

    @property
    def positions(self) -> int:
        """Patches along a side."""
        return self.grid + self.span - 1

    @property
    def runs(self) -> int:
        """Rows that the graph scores: the image, and each patch hidden once."""
        return 1 + self.positions**2


@dataclass(frozen=True, eq=False)
class Saliency:
    """What hiding parts of an image does to the score of a class.

    Attributes:
        score: Of the whole image.
        drops: By how much it falls without each patch, `(positions, positions)` float64; below 0
            where the patch spoke against the class.
        heat: `(map_px, map_px)` float32 in [0, 1]: where the score falls, the highest point 1. It
            says where, not how much: that is `drops`. NaN all over where it is undefined.
    """

    score: float
    drops: np.ndarray
    heat: np.ndarray

    @property
    def is_defined(self) -> bool:
        """Whether any patch mattered; where none did, evidence may be spread all over."""
        return bool(np.isfinite(self.heat).all())


def occlude(
    images: Images, score: Score, label: str, *, params: SaliencyParams, map_px: int
) -> Saliency:
    """Hide one patch after another and see what becomes of a class's score.

    Args:
        images: All inputs of one image.
        score: The graph with everything else fixed, one output of it.
        label: One of `CLASSES`.
        params: Grid, fill and batch.
        map_px: Side of the map.

    Raises:
        ValueError: There is no such class.
    """
    if label not in CLASSES:
        raise ValueError(f"label must be one of {list(CLASSES)}. Got: {label!r}.")
    fills = make_fills(images, params)
    patches = {key: _profiles(len(image), params) for key, image in images.items()}
    # The last profile hides nothing: the whole image is one more row of the first batch.
    places = np.array(
        [(-1, -1), *itertools.product(range(params.positions), repeat=2)]
    )  # (runs, 2)
    found = []
    for start in range(0, len(places), params.batch_size):
        rows, columns = places[start : start + params.batch_size].T
        masks = {
            key: edges[rows][:, :, None] * edges[columns][:, None, :]
            for key, edges in patches.items()
        }
        found.append(score(hide(images, fills, masks))[:, CLASSES.index(label)])
    whole, *rest = np.concatenate(found).astype(np.float64).tolist()
    drops = whole - np.reshape(rest, (params.positions, params.positions))
    return Saliency(whole, drops, _spread(drops, _profiles(map_px, params)[:-1], params))


def make_fills(images: Images, params: SaliencyParams) -> dict[tuple[int, int], np.ndarray]:
    """Make what each input is hidden under, of the same shape."""
    return {key: FILLS[params.fill](image, params.fill_share) for key, image in images.items()}


def hide(
    images: Images, fills: Images, masks: Mapping[tuple[int, int], np.ndarray]
) -> dict[tuple[int, int], np.ndarray]:
    """Hide parts of an image under its fill.

    Args:
        images: All inputs of one image.
        fills: From `make_fills`.
        masks: `(batch, input_px, input_px)` float in [0, 1] for each input; 1 hides.

    Returns:
        RGB uint8, `(batch, input_px, input_px, 3)`, by input.
    """
    hidden = {}
    for key, image in images.items():
        covered = np.asarray(masks[key], np.float32)[..., None]
        mixed = image + covered * (fills[key].astype(np.float32) - image)
        hidden[key] = np.round(mixed).astype(np.uint8)
    return hidden


def fit_masks(masks: np.ndarray, images: Images) -> dict[tuple[int, int], np.ndarray]:
    """Bring masks, `(batch, height, width)` float in [0, 1], to the size of each input."""
    return {
        key: np.stack([resize_map(mask, image.shape[:2]) for mask in masks])
        for key, image in images.items()
    }


def _profiles(side_px: int, params: SaliencyParams) -> np.ndarray:
    """Draw the patches along one side, `(positions + 1, side_px)` float32; the last is 0 all over.

    A patch is the product of one profile down and one across.
    """
    at = (np.arange(side_px) + 0.5) / side_px
    edges = np.arange(1, params.grid)[:, None] / params.grid
    rise = np.clip((at - edges) * params.grid / params.edge_share + 0.5, 0, 1)
    rise = rise**2 * (3 - 2 * rise)
    # The image's own borders are no edges: 1 up to the first, 0 from the last.
    before, after = np.ones((params.span, side_px)), np.zeros((params.span, side_px))
    steps = np.concatenate([before, rise, after])
    profiles = steps[: -params.span] - steps[params.span :]
    return np.concatenate([profiles, np.zeros((1, side_px))]).astype(np.float32)


def _spread(drops: np.ndarray, profiles: np.ndarray, params: SaliencyParams) -> np.ndarray:
    """Give every pixel the mean drop of the patches that hide it, positive ones, scaled to 1."""
    mean = profiles.T @ drops @ profiles / params.span**2
    rising = np.maximum(mean, 0)
    if not drops.max() >= params.least_drop or not rising.max() > 0:
        return np.full(mean.shape, np.nan, np.float32)
    return (rising / rising.max()).astype(np.float32)
