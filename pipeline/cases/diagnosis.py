"""From each archive's words for a diagnosis to the nine classes.

What is not in these tables is refused with `UnknownDiagnosisError`: it never becomes a class.

ISIC's archive had flat words until 2024 and has a hierarchy of five levels since. A flat word goes
where its entry in today's hierarchy goes, so that both exports of one image agree. Sources: the
class definitions of the ISIC 2019 and 2020 challenges, and the vocabulary of
https://github.com/ImageMarkup/isic-metadata.
"""

import re
from collections.abc import Mapping, Sequence

from pipeline.classes import CLASS_NAMES, CLASSES

FLAT_WORDS = {
    "melanoma": "MEL",
    "melanoma metastasis": "MEL",
    "nevus": "NV",
    "nevus spilus": "NV",
    "basal cell carcinoma": "BCC",
    "actinic keratosis": "AK",
    "seborrheic keratosis": "BKL",
    "lichenoid keratosis": "BKL",
    "solar lentigo": "BKL",
    "lentigo nos": "BKL",
    "pigmented benign keratosis": "BKL",
    "dermatofibroma": "DF",
    "vascular lesion": "VASC",
    "angioma": "VASC",
    "angiokeratoma": "VASC",
    "pyogenic granuloma": "VASC",
    "squamous cell carcinoma": "SCC",
    "unknown": "UNK",
    "cafe-au-lait macule": "UNK",
    "atypical melanocytic proliferation": "UNK",
    "atypical spitz tumor": "UNK",
    "aimp": "UNK",  # atypical intraepithelial melanocytic proliferation
}

# HAM10000's `dx`. Its `akiec` is two classes: see `class_of_ham_word`.
HAM_WORDS = {
    "bcc": "BCC",
    "bkl": "BKL",
    "df": "DF",
    "mel": "MEL",
    "nv": "NV",
    "vasc": "VASC",
}
AKIEC = "akiec"
CLASSES_OF_AKIEC = ("AK", "SCC")

EPIDERMAL = "benign epidermal proliferations"
FLAT_PIGMENT = "flat melanotic pigmentations*"

# (level 1, level 2, level 3) -> class. A pattern that ends in * stands for any ending, also none;
# the first rule that fits decides.
HIERARCHY = (
    ("malignant", "malignant melanocytic proliferations (melanoma)", "*", "MEL"),
    ("benign", "benign melanocytic proliferations", "nevus*", "NV"),
    (
        "malignant",
        "malignant adnexal epithelial proliferations - follicular",
        "basal cell carcinoma*",
        "BCC",
    ),
    (
        "indeterminate",
        "indeterminate epidermal proliferations",
        "solar or actinic keratosis",
        "AK",
    ),
    ("benign", EPIDERMAL, "seborrheic keratosis", "BKL"),
    ("benign", EPIDERMAL, "pigmented benign keratosis", "BKL"),
    ("benign", EPIDERMAL, "lichen planus like keratosis", "BKL"),
    ("benign", EPIDERMAL, "solar lentigo", "BKL"),
    ("benign", FLAT_PIGMENT, "solar lentigo", "BKL"),
    ("benign", FLAT_PIGMENT, "lentigo nos", "BKL"),
    ("benign", "benign soft tissue proliferations - fibro-histiocytic", "dermatofibroma*", "DF"),
    ("benign", "benign soft tissue proliferations - vascular", "*", "VASC"),
    ("malignant", "malignant epidermal proliferations", "squamous cell carcinoma*", "SCC"),
    ("benign", FLAT_PIGMENT, "cafe au lait*", "UNK"),
    ("benign", FLAT_PIGMENT, "cafe-au-lait*", "UNK"),
    ("indeterminate", "indeterminate melanocytic proliferations", "*", "UNK"),
    ("benign", "", "", "UNK"),
    ("", "", "", "UNK"),
)


class UnknownDiagnosisError(ValueError):
    """A diagnosis is not in the tables of this module."""


def class_of_word(word: str, benign_malignant: str) -> str:
    """Return the class of a flat word: ISIC 2020's, or the archive's until 2024.

    Args:
        word: For example `nevus`; upper and lower case are the same.
        benign_malignant: The column of that name, empty where the table has none.

    Raises:
        UnknownDiagnosisError: The word is not in `FLAT_WORDS`, or it says nothing specific of a
            lesion that the table calls malignant: UNK means benign.
    """
    label = FLAT_WORDS.get(word.casefold())
    if label is None:
        raise UnknownDiagnosisError(f"diagnosis must be one of the known words. Got: {word!r}.")
    if label == "UNK" and benign_malignant.casefold() == "malignant":
        raise UnknownDiagnosisError(
            f"diagnosis must name the class of a malignant lesion. Got: {word!r}."
        )
    return label


def class_of_levels(levels: Sequence[str]) -> str:
    """Return the class of `diagnosis_1`, `diagnosis_2`, `diagnosis_3` of today's archive.

    Args:
        levels: Three words, empty where the archive gives none.

    Raises:
        UnknownDiagnosisError: No rule of `HIERARCHY` fits.
    """
    words = [level.casefold() for level in levels]
    for *patterns, label in HIERARCHY:
        if all(_fits(word, pattern) for word, pattern in zip(words, patterns, strict=True)):
            return label
    raise UnknownDiagnosisError(
        f"diagnosis must be in the known part of the hierarchy. Got: {join_levels(levels)!r}."
    )


def class_of_ham_word(word: str, truth: Sequence[str]) -> str:
    """Return the class of HAM10000's `dx`.

    Args:
        word: For example `nv`; upper and lower case are the same.
        truth: Classes that ISIC 2019's ground truth marks for the same image, empty where that is
            not at hand. Read for `akiec` alone, which does not say whether it is AK or SCC.

    Raises:
        UnknownDiagnosisError: The word is not known, or cannot be told apart.
    """
    word = word.casefold()
    if word in HAM_WORDS:
        return HAM_WORDS[word]
    if word != AKIEC:
        known = sorted([*HAM_WORDS, AKIEC])
        raise UnknownDiagnosisError(f"dx must be one of {known}. Got: {word!r}.")
    if len(truth) == 1 and truth[0] in CLASSES_OF_AKIEC:
        return truth[0]
    raise UnknownDiagnosisError(
        f"dx {AKIEC!r} is {' or '.join(CLASSES_OF_AKIEC)}: ISIC_2019_Training_GroundTruth.csv "
        f"beside the table must say which. Got: {list(truth)}."
    )


def class_of_folders(names: Sequence[str]) -> str:
    """Return the class that the folders above an image name.

    Args:
        names: From the outermost; those that name no class are passed over.

    Raises:
        UnknownDiagnosisError: No folder names a class, or two name different ones.
    """
    labels = {FOLDER_NAMES[_plain(name)] for name in names if is_folder_of_class(name)}
    if len(labels) != 1:
        raise UnknownDiagnosisError(
            f"folders must name one class. Got: {sorted(labels)} from {'/'.join(names)!r}."
        )
    return labels.pop()


def is_folder_of_class(name: str) -> bool:
    """Say whether a folder's name names a class."""
    return _plain(name) in FOLDER_NAMES


def class_of_one_hot(values: Mapping[str, str]) -> str:
    """Return the class whose column of ISIC 2019's ground truth holds the 1.

    Args:
        values: Text by class, for each of `CLASSES`.

    Raises:
        UnknownDiagnosisError: The columns are not one 1 and otherwise 0.
    """
    if not all(_is_number(values[name], 0) or _is_number(values[name], 1) for name in CLASSES):
        shown = {name: values[name] for name in CLASSES}
        raise UnknownDiagnosisError(f"the class columns must be 0 or 1. Got: {shown}.")
    chosen = marked_classes(values)
    if len(chosen) != 1:
        raise UnknownDiagnosisError(f"exactly one class column must be 1. Got: {chosen}.")
    return chosen[0]


def marked_classes(values: Mapping[str, str]) -> list[str]:
    """Return the classes whose column is 1."""
    return [name for name in CLASSES if _is_number(values[name], 1)]


def join_levels(levels: Sequence[str]) -> str:
    """Write the levels as the archive does, `Benign:Benign melanocytic proliferations:Nevus`."""
    return ":".join(levels).rstrip(":")


def _plain(name: str) -> str:
    """Write a folder's name as it is looked up: words apart by one blank."""
    return " ".join(re.split(r"[\s_-]+", name.casefold()))


FOLDER_NAMES = {
    _plain(word): label
    for words in (FLAT_WORDS, HAM_WORDS, {text: name for name, text in CLASS_NAMES.items()})
    for word, label in [*words.items(), *((label, label) for label in CLASSES)]
}


def _fits(word: str, pattern: str) -> bool:
    return word.startswith(pattern[:-1]) if pattern.endswith("*") else word == pattern


def _is_number(text: str, number: int) -> bool:
    try:
        return float(text) == number
    except ValueError:
        return False
