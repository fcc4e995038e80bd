"""Shorter lists of classes than the nine, and where a case of the nine belongs in them.

| list | classes |
|---|---|
| nine | `pipeline.classes.CLASSES`, in ISIC 2019's order |
| seven | HAM10000's, as in ISIC 2018 |
| two | benign and malignant |

The nine are not always enough to tell, and then the archive's own word decides, or nothing does:

- seven: AKIEC holds AK and carcinomas in situ, not invasive ones; SCC goes there where the word
  says in situ, or is HAM10000's own. UNK has no place.
- two: AK counts as malignant, as in `pipeline.classes.MALIGNANT`. UNK is benign where the word says
  so: ISIC 2020 calls all its `unknown` benign. Atypical melanocytic proliferations have no place,
  although ISIC 2020 marks its single one as benign: the archive calls them indeterminate today.
"""

from pipeline.classes import CLASSES, MALIGNANT

CLASS_LISTS = {
    "nine": CLASSES,
    "seven": ("AKIEC", "BCC", "BKL", "DF", "MEL", "NV", "VASC"),
    "two": ("benign", "malignant"),
}
UNDEFINED = ""
IN_SITU = "squamous cell carcinoma in situ"
AKIEC_WORD = "akiec"
BENIGN_WORDS = ("unknown", "cafe-au-lait macule")
BENIGN_LEVEL = "benign"  # how today's archive begins


def class_in_list(name: str, diagnosis: str, diagnosis_raw: str) -> str:
    """Return a case's class in one of the lists.

    Args:
        name: Key of `CLASS_LISTS`.
        diagnosis: One of the nine classes.
        diagnosis_raw: The archive's own words, as in the manifest.

    Returns:
        A class of the list, or `UNDEFINED` where it cannot be said.

    Raises:
        ValueError: The list or the diagnosis is not known.
    """
    if name not in CLASS_LISTS:
        raise ValueError(f"class list must be one of {list(CLASS_LISTS)}. Got: {name!r}.")
    if diagnosis not in CLASSES:
        raise ValueError(f"diagnosis must be one of {list(CLASSES)}. Got: {diagnosis!r}.")
    word = diagnosis_raw.casefold()
    if name == "seven":
        return _one_of_seven(diagnosis, word)
    if name == "two":
        return _one_of_two(diagnosis, word)
    return diagnosis


def _one_of_seven(diagnosis: str, word: str) -> str:
    if diagnosis == "AK" or (diagnosis == "SCC" and (word == AKIEC_WORD or IN_SITU in word)):
        return "AKIEC"
    return diagnosis if diagnosis in CLASS_LISTS["seven"] else UNDEFINED


def _one_of_two(diagnosis: str, word: str) -> str:
    if diagnosis in MALIGNANT:
        return "malignant"
    if diagnosis != "UNK" or word in BENIGN_WORDS or word.split(":")[0] == BENIGN_LEVEL:
        return "benign"
    return UNDEFINED
