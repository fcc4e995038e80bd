"""Age, sex, site and skin type: their one vocabulary, and the vector that the network takes.

Layout of the vector, float32 `(DEMOGRAPHICS_WIDTH,)`, also written into each bundle: age/90, age
known (0 or 1), one-hot sex, one-hot site. All zeros means that nothing is known.
"""

import math

import numpy as np

SEXES = ("female", "male")
# Fitzpatrick's, of how skin burns and tans. They part the cases of reports; no network takes them.
SKIN_TYPES = ("I", "II", "III", "IV", "V", "VI")
SITES = ("head_neck", "torso", "upper_extremity", "lower_extremity", "palms_soles", "oral_genital")
AGE_SCALE_YEARS = 90.0
AGE_LIMIT_YEARS = 120.0

DEMOGRAPHICS_LAYOUT = (
    "age_years/90",
    "age_known",
    *(f"sex={sex}" for sex in SEXES),
    *(f"site={site}" for site in SITES),
)
DEMOGRAPHICS_WIDTH = len(DEMOGRAPHICS_LAYOUT)
# Where each field stands in the vector: age, sex, site.
DEMOGRAPHICS_FIELDS = (slice(0, 2), slice(2, 2 + len(SEXES)), slice(2 + len(SEXES), None))


def encode_demographics(age_years: float | None, sex: str | None, site: str | None) -> np.ndarray:
    """Write one case's demographics as the vector that the network takes.

    Args:
        age_years: 0 to 120, or `None` or NaN where unknown.
        sex: One of `SEXES`; `None` or empty where unknown.
        site: One of `SITES`; `None` or empty where unknown.

    Returns:
        `(DEMOGRAPHICS_WIDTH,)` float32, laid out as `DEMOGRAPHICS_LAYOUT`.

    Raises:
        ValueError: A known value is outside the vocabulary or the range.
    """
    vector = np.zeros(DEMOGRAPHICS_WIDTH, np.float32)
    if age_years is not None and not math.isnan(age_years):
        if not 0 <= age_years <= AGE_LIMIT_YEARS:
            raise ValueError(
                f"age must be from 0 to {AGE_LIMIT_YEARS:.0f} years. Got: {age_years}."
            )
        vector[:2] = age_years / AGE_SCALE_YEARS, 1.0
    for name, value, words, start in (
        ("sex", sex, SEXES, 2),
        ("site", site, SITES, 2 + len(SEXES)),
    ):
        if not value:
            continue
        if value not in words:
            raise ValueError(f"{name} must be one of {list(words)}. Got: {value!r}.")
        vector[start + words.index(value)] = 1.0
    return vector
