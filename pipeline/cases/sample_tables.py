"""The embedded sample's tables, in the forms in which ISIC publishes its archives.

Columns, words and number formats are those of the published files. Empty means unknown.
"""

from collections.abc import Callable, Iterable

import pandas as pd

from pipeline.cases.sample import SampleImage
from pipeline.classes import CLASSES, MALIGNANT
from pipeline.demographics import SKIN_TYPES

SITE_WORDS = {
    "head_neck": "head/neck",
    "torso": "torso",
    "upper_extremity": "upper extremity",
    "lower_extremity": "lower extremity",
    "palms_soles": "palms/soles",
    "oral_genital": "oral/genital",
}
TORSO_WORDS_2019 = ("anterior torso", "posterior torso", "lateral torso")

DIAGNOSES_2020 = {
    "MEL": ("melanoma",),
    "NV": ("nevus",),
    "BKL": ("seborrheic keratosis", "lichenoid keratosis", "lentigo NOS", "solar lentigo"),
    "UNK": ("unknown",),
}
RARE_DIAGNOSIS_2020 = "cafe-au-lait macule"  # one row of UNK has it

EPIDERMAL = ("Benign", "Benign epidermal proliferations")
MELANOMA = ("Malignant", "Malignant melanocytic proliferations (Melanoma)")
FIBROUS = ("Benign", "Benign soft tissue proliferations - Fibro-histiocytic")
VASCULAR = ("Benign", "Benign soft tissue proliferations - Vascular")
FOLLICULAR = ("Malignant", "Malignant adnexal epithelial proliferations - Follicular")
SQUAMOUS = ("Malignant", "Malignant epidermal proliferations")
# diagnosis_1, diagnosis_2, diagnosis_3
DIAGNOSES_CLI = {
    "MEL": ((*MELANOMA, "Melanoma, NOS"), (*MELANOMA, "Melanoma in situ")),
    "NV": (("Benign", "Benign melanocytic proliferations", "Nevus"),),
    "BCC": ((*FOLLICULAR, "Basal cell carcinoma"),),
    "AK": (
        ("Indeterminate", "Indeterminate epidermal proliferations", "Solar or actinic keratosis"),
    ),
    "BKL": (
        (*EPIDERMAL, "Pigmented benign keratosis"),
        (*EPIDERMAL, "Seborrheic keratosis"),
        (*EPIDERMAL, "Lichen planus like keratosis"),
        (*EPIDERMAL, "Solar lentigo"),
    ),
    "DF": ((*FIBROUS, "Dermatofibroma"),),
    "VASC": ((*VASCULAR, ""), (*VASCULAR, "Angiokeratoma")),
    "SCC": ((*SQUAMOUS, "Squamous cell carcinoma, NOS"),),
    "UNK": (
        ("Indeterminate", "Indeterminate melanocytic proliferations", ""),
        ("Benign", "", ""),
    ),
}
# anatom_site_1, anatom_site_2, anatom_site_special
SITES_CLI = {
    "head_neck": (("Head and neck", "Head", ""), ("Head and neck", "Neck", "")),
    "torso": (("Trunk", "Anterior trunk", ""), ("Trunk", "Posterior trunk", ""), ("Trunk", "", "")),
    "upper_extremity": (("Upper extremity", "", ""),),
    "lower_extremity": (("Lower extremity", "", ""),),
    "palms_soles": (
        ("Lower extremity", "Foot", "acral palms or soles"),
        ("Upper extremity", "Hand", "acral palms or soles"),
    ),
    "oral_genital": (("Anogenital region", "Genital region", "oral or genital"),),
}

Tables = dict[str, pd.DataFrame]


def make_tables(source: str, images: Iterable[SampleImage]) -> Tables:
    """Write a source's plan as its archive's tables.

    Args:
        source: Key of `FORMS`.
        images: From `plan_images` of that source.

    Returns:
        Tables of text by file name.
    """
    return FORMS[source](list(images))


def tables_2019(images: list[SampleImage]) -> Tables:
    """ISIC 2019: one-hot ground truth, and metadata without patients."""
    truth, metadata = [], []
    for image in images:
        marks = {name: "1.0" if name == image.taken.lesion.label else "0.0" for name in CLASSES}
        truth.append({"image": image.image_id, **marks})
        site = SITE_WORDS.get(image.site or "", "")
        metadata.append(
            {
                "image": image.image_id,
                "age_approx": text(image.age_years),
                "anatom_site_general": pick(TORSO_WORDS_2019, image) if site == "torso" else site,
                "lesion_id": identifier("SYN", image.lesion),
                "sex": text(image.sex),
            }
        )
    return {
        "ISIC_2019_Training_GroundTruth.csv": pd.DataFrame(truth),
        "ISIC_2019_Training_Metadata.csv": pd.DataFrame(metadata),
    }


def tables_2020(images: list[SampleImage]) -> Tables:
    """ISIC 2020: ground truth in its second version, and the official list of duplicates."""
    rows = [
        {
            "image_name": image.image_id,
            "patient_id": identifier("IP", image.patient),
            "lesion_id": identifier("IL", image.lesion),
            "sex": text(image.sex),
            "age_approx": text(image.age_years),
            "anatom_site_general_challenge": SITE_WORDS.get(image.site or "", ""),
            "diagnosis": pick(DIAGNOSES_2020[image.taken.lesion.label], image),
            "benign_malignant": "malignant" if image.taken.lesion.label in MALIGNANT else "benign",
            "target": str(int(image.taken.lesion.label == "MEL")),
        }
        for image in images
    ]
    for row in [row for row in rows if row["diagnosis"] == "unknown"][:1]:
        row["diagnosis"] = RARE_DIAGNOSIS_2020
    pairs = [
        {"image_name_1": image.original, "image_name_2": image.image_id}
        for image in images
        if image.official
    ]
    return {
        "ISIC_2020_Training_GroundTruth_v2.csv": pd.DataFrame(rows),
        "ISIC_2020_Training_Duplicates.csv": pd.DataFrame(
            pairs, columns=["image_name_1", "image_name_2"]
        ),
    }


def tables_cli(images: list[SampleImage]) -> Tables:
    """Write today's export of the archive's command line tool."""
    return {"metadata.csv": pd.DataFrame([row_cli(image) for image in images])}


def row_cli(image: SampleImage) -> dict[str, str]:
    """Write one row of today's export."""
    levels = pick(DIAGNOSES_CLI[image.taken.lesion.label], image)
    site = pick(SITES_CLI[image.site], image) if image.site else ("", "", "")
    biopsied = image.taken.lesion.label in MALIGNANT
    return {
        "isic_id": image.image_id,
        "attribution": "Synthetic, DermEnsemble",
        "copyright_license": "CC-0",
        "age_approx": text(image.age_years),
        "anatom_site_1": site[0],
        "anatom_site_2": site[1],
        "anatom_site_3": "",
        "anatom_site_special": site[2],
        "concomitant_biopsy": str(biopsied),
        "diagnosis_1": levels[0],
        "diagnosis_2": levels[1],
        "diagnosis_3": levels[2],
        "diagnosis_confirm_type": (
            "histopathology" if biopsied else "single image expert consensus"
        ),
        "fitzpatrick_skin_type": SKIN_TYPES[image.skin_type - 1] if image.skin_type else "",
        "image_type": "dermoscopic",
        "lesion_id": identifier("IL", image.lesion),
        "melanocytic": str(image.taken.lesion.label in ("MEL", "NV", "UNK")),
        "patient_id": identifier("IP", image.patient),
        "sex": text(image.sex),
    }


FORMS: dict[str, Callable[[list[SampleImage]], Tables]] = {
    "isic_2019": tables_2019,
    "isic_2020": tables_2020,
    "isic_cli": tables_cli,
}


def text(value: int | str | None) -> str:
    """Write a value; empty where unknown."""
    return "" if value is None else str(value)


def identifier(prefix: str, number: int | None) -> str:
    """Write a number as the archives write ids: seven digits that do not count up."""
    return "" if number is None else f"{prefix}_{(number * 7_368_787 + 2_718_281) % 10_000_000:07d}"


def pick(words: tuple, image: SampleImage) -> str | tuple[str, ...]:
    """Choose one of an archive's words for the same thing, the same for all views of a lesion."""
    return words[image.taken.lesion.variant % len(words)]
