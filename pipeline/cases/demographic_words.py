"""From each archive's words for sex, site, age and skin type to those of the manifest.

What is missing stays missing. A word for sex, site or skin type that is not known becomes missing
too, and is handed back so that it can be counted; an age that is no age is refused.
"""

import math
import re

from pipeline.demographics import AGE_LIMIT_YEARS, SKIN_TYPES

# How tables write that nothing is known; for identifiers too, or all "unknown" patients are one.
MISSING_WORDS = frozenset({"", "unknown", "na", "n/a", "nan", "none", "null"})

SEX_WORDS = {"female": "female", "male": "male"}
SITE_WORDS = {
    # ISIC 2019, ISIC 2020 and `anatom_site_general` of the archive
    "head/neck": "head_neck",
    "torso": "torso",
    "anterior torso": "torso",
    "posterior torso": "torso",
    "lateral torso": "torso",
    "upper extremity": "upper_extremity",
    "lower extremity": "lower_extremity",
    "palms/soles": "palms_soles",
    "oral/genital": "oral_genital",
    # `anatom_site_1` of today's archive
    "head and neck": "head_neck",
    "trunk": "torso",
    "anogenital region": "oral_genital",
    # HAM10000 (and trunk, above); hands and feet are where ISIC 2019 puts the same images
    "abdomen": "torso",
    "back": "torso",
    "chest": "torso",
    "ear": "head_neck",
    "face": "head_neck",
    "neck": "head_neck",
    "scalp": "head_neck",
    "hand": "upper_extremity",
    "foot": "lower_extremity",
    "acral": "palms_soles",
    "genital": "oral_genital",
}
# Narrower words that tell a site which `anatom_site_1` cannot: `anatom_site_special` and
# `anatom_site_3`. Not "acral NOS": ISIC 2019 calls those hands and feet of HAM10000 extremities.
NARROW_SITE_WORDS = {
    "acral palms or soles": "palms_soles",
    "palm of hand": "palms_soles",
    "sole of foot": "palms_soles",
    "oral or genital": "oral_genital",
}
SKIN_TYPE_WORDS = {name.casefold(): name for name in SKIN_TYPES}
AGE = re.compile(r"([+-]?[0-9]+(\.[0-9]*)?)\+?")


def is_missing(word: str) -> bool:
    """Say whether a table's word means that nothing is known."""
    return word.casefold() in MISSING_WORDS


def sex_of(word: str) -> tuple[str, str]:
    """Return the sex, empty where unknown, and the word itself if it is not a known one."""
    return _look_up(word, SEX_WORDS)


def site_of(general: str, narrower: tuple[str, ...], broad: str) -> tuple[str, str]:
    """Return the site, empty where unknown, and the word that was not known, or empty.

    Args:
        general: One word for the site, as in ISIC 2019 and 2020; it decides where it is given.
        narrower: Words of today's archive that may tell more than `broad`.
        broad: `anatom_site_1` of today's archive.
    """
    if not is_missing(general):
        return _look_up(general, SITE_WORDS)
    for word in narrower:
        if word.casefold() in NARROW_SITE_WORDS:
            return NARROW_SITE_WORDS[word.casefold()], ""
    return _look_up(broad, SITE_WORDS)


def skin_type_of(word: str) -> tuple[str, str]:
    """Return the Fitzpatrick type, empty where unknown, and the word that was not known."""
    return _look_up(word, SKIN_TYPE_WORDS)


def age_of(word: str) -> float:
    """Return the age in years, NaN where unknown.

    `85+`, how archives write ages that could tell who someone is, is 85, as in isic-metadata.

    Raises:
        ValueError: The word is not a number from 0 to `AGE_LIMIT_YEARS`.
    """
    if is_missing(word):
        return math.nan
    number = AGE.fullmatch(word)
    age = float(number[1]) if number else math.nan
    if not 0 <= age <= AGE_LIMIT_YEARS:
        raise ValueError(f"age must be a number from 0 to {AGE_LIMIT_YEARS:.0f}. Got: {word!r}.")
    return age


def _look_up(word: str, known: dict[str, str]) -> tuple[str, str]:
    if is_missing(word):
        return "", ""
    found = known.get(word.casefold(), "")
    return found, "" if found else word
