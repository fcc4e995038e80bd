"""Many images in few files: which image goes to which shard, and what an earlier run left of it.

Shards end where the hash of an image's name says so, not at a count: an added image changes the
shard that it falls in and leaves the others, byte for byte and by name. What is written depends on
the images and their order alone, never on what was there before.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pipeline.shards.tables import SHARD_COLUMNS, SHARDS, Index, read_table
from pipeline.storage import sha256_of

# Of the largest number of images in a shard: where no shard ends before, and the mean distance of
# ends from there on. One shard in thirty is cut off at the largest number.
LEAST_SHARE = 8
MEAN_SHARE = 4

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """Images `start` to `stop` (exclusive) of a sequence, and the stem of their file's name."""

    stem: str
    start: int
    stop: int


def plan_shards(image_ids: Sequence[str], shard_images: int) -> list[Shard]:
    """Part a sequence of images into shards of at most `shard_images`, a third of it on average."""
    shards, start = [], 0
    for stop, image_id in enumerate(image_ids, 1):
        if ends_shard(image_id, stop - start, shard_images) or stop == len(image_ids):
            shards.append(Shard(stem_of(image_ids[start]), start, stop))
            start = stop
    return shards


def ends_shard(image_id: str, images: int, shard_images: int) -> bool:
    """Tell whether a shard ends with this image, which makes it `images` long."""
    least, mean = max(1, shard_images // LEAST_SHARE), max(1, shard_images // MEAN_SHARE)
    return images >= shard_images or (images >= least and _hash(image_id) % mean == 0)


def stem_of(image_id: str) -> str:
    """Name a shard after its first image, so that a shard added before it does not rename it."""
    return f"{_hash(image_id):016x}"


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


class Previous:
    """A folder of shards of an earlier run, of which images may be taken.

    A shard is used only where its bytes have the hash that `shards.csv` says, so a damaged one is
    made anew, not passed on.
    """

    def __init__(self, folder: Path, columns: tuple[str, ...]) -> None:
        """Read the tables; `columns` of the index begin with image_id and shard."""
        self.folder = folder
        self.index = Index(folder, columns)
        self._source = columns.index("source_sha256")
        self._sha256 = {row[0]: row[-1] for row in read_table(folder / SHARDS, SHARD_COLUMNS)}
        self._whole: dict[str, bool] = {}

    def sha256_of(self, name: str) -> str:
        """Return the hash that a shard has."""
        return self._sha256[name]

    def holds(self, image_id: str, source_sha256: str) -> bool:
        """Tell whether an image made of these bytes lies in a whole shard."""
        row = self.index.find(image_id)
        return row is not None and row[self._source] == source_sha256 and self._is_whole(row[1])

    def is_shard(self, name: str, image_ids: Sequence[str]) -> bool:
        """Tell whether a shard has exactly these images, in this order."""
        return list(self.index.rows_of(name)) == list(image_ids)

    def _is_whole(self, name: str) -> bool:
        if name not in self._whole:
            path = self.folder / name
            self._whole[name] = path.is_file() and sha256_of(path) == self._sha256.get(name)
        return self._whole[name]


@dataclass(frozen=True)
class Step:
    """One shard to write: images `start` to `stop`, and which of them an earlier run left.

    Attributes:
        stem: Of the file's name.
        start: First image.
        stop: Behind the last image.
        is_old: For each image, whether it may be taken from the earlier run.
        is_whole: Whether the earlier run's file may be taken as it is.
    """

    stem: str
    start: int
    stop: int
    is_old: tuple[bool, ...]
    is_whole: bool


def plan_steps(
    images: Sequence[tuple[str, str]],
    shard_images: int,
    previous: Sequence[Previous],
    suffix: str,
) -> list[Step]:
    """Plan the shards of a run, and what it takes from an earlier one.

    Args:
        images: The image_id and `source_sha256` of each.
        shard_images: At most, in a shard.
        previous: Folders of the earlier run, all of which must hold an image; none to take nothing.
        suffix: Of the shards' names.
    """
    steps = []
    for shard in plan_shards([image_id for image_id, _ in images], shard_images):
        own = images[shard.start : shard.stop]
        is_old = tuple(
            bool(previous) and all(folder.holds(*image) for folder in previous) for image in own
        )
        image_ids = [image_id for image_id, _ in own]
        is_whole = all(is_old) and all(
            folder.is_shard(shard.stem + suffix, image_ids) for folder in previous
        )
        steps.append(Step(shard.stem, shard.start, shard.stop, is_old, is_whole))
    return steps


def select_missing(items: Sequence[Item], steps: Sequence[Step]) -> list[Item]:
    """Take of a run's items, in the order of its images, those that no earlier run left."""
    is_old = [old for step in steps for old in step.is_old]
    return [item for item, old in zip(items, is_old, strict=True) if not old]
