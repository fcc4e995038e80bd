"""The world of the embedded sample: its patients, their lesions, and who is photographed where.

A seed makes one world. Each source sees its own stream of patients from it; what comes first in a
stream does not depend on how much of it is taken, so that one source can work out the beginning of
another's. Patients that are shared have numbers common to all sources.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from pipeline.demographics import SEXES, SITES

# Share of each class among a source's images. ISIC 2019 has no UNK; ISIC 2020 words for four.
CLASS_SHARES = {
    "isic_2019": dict(MEL=24, NV=24, BCC=42, AK=42, BKL=22, DF=42, VASC=42, SCC=42),
    "isic_2020": dict(MEL=60, NV=85, BKL=50, UNK=85),
    "isic_cli": dict(MEL=14, NV=20, BCC=18, AK=18, BKL=14, DF=20, VASC=20, SCC=18, UNK=18),
}
SOURCES = tuple(CLASS_SHARES)

# Mean age in years and most frequent site of a class: demographics carry some signal.
TYPICAL = {
    "MEL": (60, "torso"),
    "NV": (36, "torso"),
    "BCC": (68, "head_neck"),
    "AK": (73, "head_neck"),
    "BKL": (64, "torso"),
    "DF": (44, "lower_extremity"),
    "VASC": (46, "torso"),
    "SCC": (74, "head_neck"),
    "UNK": (42, "lower_extremity"),
}
AGE_SPREAD_YEARS = 13.0
TYPICAL_SITE_SHARE = 0.5
SITE_SHARES = (0.20, 0.34, 0.18, 0.22, 0.04, 0.02)  # of the rest, in the order of SITES

SHARED_PATIENT_SHARE = 0.25
LESION_COUNT_SHARES = (0.5, 0.3, 0.2)  # of patients, with one, two and three lesions
VIEW_COUNT_SHARES = (0.6, 0.3, 0.1)  # of lesions, with one, two and three images
SKIN_TYPE_SHARES = (0.12, 0.28, 0.26, 0.16, 0.11, 0.07)  # Fitzpatrick I to VI

# Image size and quality never depend on the class.
IMAGE_SIZES_PX = ((480, 640), (450, 600), (768, 1024))  # (height, width)
IMAGE_SIZE_SHARES = (0.82, 0.12, 0.06)
JPEG_QUALITIES = (87, 94)  # from, below

NUMBERS_PER_SOURCE = 1_000_000
FIRST_SHARED_PATIENT = 9_000_000

# First words of seeds after the world's own: streams of random numbers must not meet.
OF_PATIENT, OF_VISIT = 1, 2


@dataclass(frozen=True)
class Lesion:
    """A patient's lesion, with what is known of the patient.

    Attributes:
        patient: Number, common to all sources.
        number: Unique over all sources.
        skin_type: Fitzpatrick's, 1 to 6.
        variant: Chooses among the words that an archive has for one class or site.
        seed: Makes its looks.
    """

    label: str
    patient: int
    number: int
    age_years: int
    sex: str
    site: str
    skin_type: int
    variant: int
    seed: int


@dataclass(frozen=True)
class Photograph:
    """One image of a lesion; `view` counts the images of one lesion from 0."""

    lesion: Lesion
    view: int
    height_px: int
    width_px: int
    jpeg_quality: int


def take_photographs(source: str, seed: int, count: int) -> list[Photograph]:
    """Return the first `count` images of a source's stream."""
    place, slot, shared = SOURCES.index(source), 0, 0
    taken: list[Photograph] = []
    counts: Counter[str] = Counter()
    while len(taken) < count:
        rng = np.random.default_rng([seed, OF_VISIT, place, slot])
        patient = place * NUMBERS_PER_SOURCE + slot
        if rng.random() < SHARED_PATIENT_SHARE:
            patient, shared = FIRST_SHARED_PATIENT + shared, shared + 1
        age_years, sex, skin_type = describe_patient(seed, patient)
        for which in range(rng.choice((1, 2, 3), p=LESION_COUNT_SHARES)):
            label = choose_label(source, age_years, counts, rng)
            lesion = Lesion(
                label=label,
                patient=patient,
                number=place * NUMBERS_PER_SOURCE + 3 * slot + which,
                age_years=age_years,
                sex=sex,
                site=choose_site(label, rng),
                skin_type=skin_type,
                variant=int(rng.integers(2**16)),
                seed=int(rng.integers(2**32)),
            )
            images = photograph_lesion(lesion, rng)
            counts[label] += len(images)
            taken += images
        slot += 1
    return taken[:count]


def photograph_lesion(lesion: Lesion, rng: np.random.Generator) -> list[Photograph]:
    """Take one to three images of a lesion."""
    images = []
    for view in range(rng.choice((1, 2, 3), p=VIEW_COUNT_SHARES)):
        height_px, width_px = IMAGE_SIZES_PX[rng.choice(3, p=IMAGE_SIZE_SHARES)]
        quality = int(rng.integers(*JPEG_QUALITIES))
        images.append(Photograph(lesion, view, height_px, width_px, quality))
    return images


def describe_patient(seed: int, patient: int) -> tuple[int, str, int]:
    """Return age in years (in steps of five), sex and skin type; the same in every source."""
    rng = np.random.default_rng([seed, OF_PATIENT, patient])
    age_years = 5 * int(rng.integers(4, 18))
    return age_years, SEXES[rng.integers(2)], 1 + int(rng.choice(6, p=SKIN_TYPE_SHARES))


def choose_label(
    source: str, age_years: int, counts: Counter[str], rng: np.random.Generator
) -> str:
    """Choose a class that suits the age, the sooner the more a source lacks of it."""
    labels = list(CLASS_SHARES[source])
    shares = np.array([CLASS_SHARES[source][label] for label in labels], float)
    means = np.array([TYPICAL[label][0] for label in labels], float)
    lacking = shares / shares.sum() * (counts.total() + 1) - [counts[label] for label in labels]
    logits = lacking - 0.5 * ((age_years - means) / AGE_SPREAD_YEARS) ** 2
    weights = np.exp(logits - logits.max())
    return labels[rng.choice(len(labels), p=weights / weights.sum())]


def choose_site(label: str, rng: np.random.Generator) -> str:
    """Choose the site that the class mostly has, or any."""
    if rng.random() < TYPICAL_SITE_SHARE:
        return TYPICAL[label][1]
    return SITES[rng.choice(len(SITES), p=SITE_SHARES)]
