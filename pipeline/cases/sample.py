"""The plan of the embedded sample: which images a source has, planted duplicates among them.

A source's plan needs the seed and its own count alone. Even so, some duplicates are copies of
another source's images: of the beginning of its stream, which is known without its count. The
original is there wherever the other source has at least half as many images.

Pixels are rendered elsewhere, from what the plan says (`pipeline.images.synthetic`).
"""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.cases.sample_lesions import (
    CLASS_SHARES,
    NUMBERS_PER_SOURCE,
    SOURCES,
    Photograph,
    take_photographs,
)

DUPLICATE_SHARE = 0.04
COPIES = ("exact", "resaved", "halved", "flipped")

# Shares of unknown values: those of ISIC 2019, ISIC 2020 and HAM10000, or a little more. A skin
# type is known of every third image, where archives know it of a tenth: there are few images here.
UNKNOWN_SHARES = {
    "isic_2019": {"age_years": 0.03, "sex": 0.03, "site": 0.11, "lesion": 0.09},
    "isic_2020": {"age_years": 0.02, "sex": 0.02, "site": 0.03},
    "isic_cli": {
        "age_years": 0.03,
        "sex": 0.03,
        "site": 0.04,
        "lesion": 0.08,
        "patient": 0.08,
        "skin_type": 0.67,
    },
}

FIRST_IMAGE_NUMBER = 9_000_000
IDS_PER_SOURCE = 99_991  # a prime: multiples of a smaller number do not meet modulo it
FIRST_NUMBER_OF_COPIES = 900_000  # of patients and lesions, within a source's

# First words of seeds after the world's own; those of `sample_lesions` are 1 and 2.
OF_COPY, OF_UNKNOWNS = 3, 4


@dataclass(frozen=True)
class SampleParams:
    """Section `sample.<source>` of `params.yaml`."""

    seed: int
    images: int

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be from 0 to {2**32 - 1}. Got: {self.seed}.")
        if not 1 <= self.images <= IDS_PER_SOURCE:
            raise ValueError(f"images must be from 1 to {IDS_PER_SOURCE}. Got: {self.images}.")


@dataclass(frozen=True)
class SampleImage:
    """One image of a source.

    Attributes:
        taken: What it shows and how it is rendered; of the original, for a copy.
        patient: What the table may tell; the same number in every source. `None` if it does not.
        lesion: Likewise, unique over sources.
        age_years: Likewise.
        sex: Likewise.
        site: Likewise.
        skin_type: Fitzpatrick's, 1 to 6. Only today's archive has a column for it.
        copy: How it was made from `original`, one of `COPIES`; empty where it is an original.
        original: `image_id` of the original, maybe in another source; else empty.
        official: The archive's own list of duplicates names the pair.
    """

    image_id: str
    taken: Photograph
    patient: int | None
    lesion: int | None
    age_years: int | None
    sex: str | None
    site: str | None
    skin_type: int | None
    copy: str = ""
    original: str = ""
    official: bool = False


def plan_images(source: str, params: SampleParams) -> list[SampleImage]:
    """Plan the images of one source.

    Args:
        source: One of `SOURCES`.
        params: Seed of the world, and how many images, duplicates included.

    Returns:
        The images in order of their ids, which tell nothing about them.

    Raises:
        ValueError: There is no such source.
    """
    if source not in SOURCES:
        raise ValueError(f"source must be one of {list(SOURCES)}. Got: {source!r}.")
    copies = round(DUPLICATE_SHARE * params.images)
    images = take_images(source, params.seed, params.images - copies)
    images += plan_copies(source, params.seed, images, copies)
    images = [
        leave_out(
            image, source, np.random.default_rng(seed_of(params.seed, OF_UNKNOWNS, source, k))
        )
        for k, image in enumerate(images)
    ]
    return sorted(images, key=lambda image: image.image_id)


def seed_of(seed: int, purpose: int, source: str, number: int) -> list[int]:
    """Return the seed of one image for one purpose."""
    return [seed, purpose, SOURCES.index(source), number]


def image_id_of(source: str, number: int) -> str:
    """Return a source's image id by running number; ids of two sources never meet."""
    scrambled = number * 61_843 % IDS_PER_SOURCE
    return f"ISIC_{FIRST_IMAGE_NUMBER + SOURCES.index(source) * 100_000 + scrambled}"


def take_images(source: str, seed: int, count: int) -> list[SampleImage]:
    """Return the first images of a source, none of them a copy, with all that could be known."""
    return [
        SampleImage(
            image_id=image_id_of(source, number),
            taken=taken,
            patient=taken.lesion.patient,
            lesion=taken.lesion.number,
            age_years=taken.lesion.age_years,
            sex=taken.lesion.sex,
            site=taken.lesion.site,
            skin_type=taken.lesion.skin_type,
        )
        for number, taken in enumerate(take_photographs(source, seed, count))
    ]


def plan_copies(source: str, seed: int, own: list[SampleImage], count: int) -> list[SampleImage]:
    """Plan duplicates under other ids, half of them of other sources' images.

    Half of the source's own carry the patient of their original and stand in the official list;
    the rest pretend to be of another patient, so that only their pixels give them away.
    """
    copies: list[SampleImage] = []
    others = [usable_images(other, source, seed, len(own) // 2) for other in SOURCES]
    others.pop(SOURCES.index(source))
    used: set[str] = set()
    for number in range(count):
        rng = np.random.default_rng(seed_of(seed, OF_COPY, source, number))
        # Each kind of copy is taken within the source and across sources in turn.
        within = (number // len(COPIES) + number) % 2 == 0
        pool = own if within else others[rng.integers(len(others))]
        pool = [image for image in pool if image.image_id not in used] or own
        original = pool[rng.integers(len(pool))]
        used.add(original.image_id)
        official = within and sum(not is_foreign(copy, source) for copy in copies) % 2 == 0
        stranger = SOURCES.index(source) * NUMBERS_PER_SOURCE + FIRST_NUMBER_OF_COPIES + number
        copies.append(
            replace(
                original,
                image_id=image_id_of(source, len(own) + number),
                patient=original.patient if official else stranger,
                lesion=stranger,
                copy=COPIES[number % len(COPIES)],
                original=original.image_id,
                official=official,
            )
        )
    return copies


def usable_images(other: str, source: str, seed: int, count: int) -> list[SampleImage]:
    """Return those of a source's first images whose class another source has words for."""
    classes = CLASS_SHARES[source]
    images = take_images(other, seed, count)
    return [image for image in images if image.taken.lesion.label in classes]


def is_foreign(copy: SampleImage, source: str) -> bool:
    """Say whether a copy's original belongs to another source."""
    return copy.taken.lesion.number // NUMBERS_PER_SOURCE != SOURCES.index(source)


def leave_out(image: SampleImage, source: str, rng: np.random.Generator) -> SampleImage:
    """Make some of an image's values unknown, at its archive's rates."""
    shares = UNKNOWN_SHARES[source]
    unknown = rng.random(len(shares)) < list(shares.values())
    return replace(image, **dict.fromkeys(np.array(list(shares))[unknown].tolist()))
