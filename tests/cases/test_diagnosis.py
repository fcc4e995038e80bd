"""Tests of `pipeline.cases.diagnosis`."""

import pytest

from pipeline.cases.diagnosis import (
    FLAT_WORDS,
    HAM_WORDS,
    HIERARCHY,
    UnknownDiagnosisError,
    class_of_folders,
    class_of_ham_word,
    class_of_levels,
    class_of_one_hot,
    class_of_word,
    is_folder_of_class,
    join_levels,
)
from pipeline.classes import CLASS_NAMES, CLASSES

MELANOCYTIC = "Malignant melanocytic proliferations (Melanoma)"
FOLLICULAR = "Malignant adnexal epithelial proliferations - Follicular"
FIBROUS = "Benign soft tissue proliferations - Fibro-histiocytic"
VASCULAR = "Benign soft tissue proliferations - Vascular"
SQUAMOUS = "Malignant epidermal proliferations"
EPIDERMAL = "Benign epidermal proliferations"
PIGMENT = "Flat melanotic pigmentations - not melanocytic nevus"
UNSURE = "Indeterminate melanocytic proliferations"


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("melanoma", "MEL"),
        ("nevus", "NV"),
        ("seborrheic keratosis", "BKL"),
        ("lichenoid keratosis", "BKL"),
        ("solar lentigo", "BKL"),
        ("lentigo NOS", "BKL"),
        ("unknown", "UNK"),
        ("cafe-au-lait macule", "UNK"),
        ("atypical melanocytic proliferation", "UNK"),
        ("AIMP", "UNK"),
        ("Basal Cell Carcinoma", "BCC"),
        ("vascular lesion", "VASC"),
    ],
)
def test_flat_word_has_its_class(word, label):
    assert class_of_word(word, "") == label


@pytest.mark.parametrize(
    ("levels", "label"),
    [
        (("Malignant", MELANOCYTIC, "Melanoma in situ"), "MEL"),
        (("Malignant", MELANOCYTIC, ""), "MEL"),
        (("Benign", "Benign melanocytic proliferations", "Nevus"), "NV"),
        (("Benign", "Benign melanocytic proliferations", "Nevus, Spitz"), "NV"),
        (("Malignant", FOLLICULAR, "Basal cell carcinoma"), "BCC"),
        (
            (
                "Indeterminate",
                "Indeterminate epidermal proliferations",
                "Solar or actinic keratosis",
            ),
            "AK",
        ),
        (("Benign", EPIDERMAL, "Seborrheic keratosis"), "BKL"),
        (("Benign", EPIDERMAL, "Pigmented benign keratosis"), "BKL"),
        (("Benign", EPIDERMAL, "Lichen planus like keratosis"), "BKL"),
        (("Benign", EPIDERMAL, "Solar lentigo"), "BKL"),
        (("Benign", PIGMENT, "Lentigo NOS"), "BKL"),
        (("Benign", FIBROUS, "Dermatofibroma"), "DF"),
        (("Benign", VASCULAR, "Hemangioma"), "VASC"),
        (("Benign", VASCULAR, ""), "VASC"),
        (("Malignant", SQUAMOUS, "Squamous cell carcinoma in situ"), "SCC"),
        (("Benign", PIGMENT, "Cafe au lait macule or patch"), "UNK"),
        (("Indeterminate", UNSURE, "Atypical melanocytic neoplasm"), "UNK"),
        (("Indeterminate", UNSURE, ""), "UNK"),
        (("Benign", "", ""), "UNK"),
        (("", "", ""), "UNK"),
    ],
)
def test_hierarchy_has_its_class(levels, label):
    assert class_of_levels(levels) == label


@pytest.mark.parametrize(
    "levels",
    [
        ("Malignant", "", ""),  # UNK means benign
        ("Indeterminate", "", ""),
        ("Benign", "Benign melanocytic proliferations", ""),
        ("Benign", "Benign melanocytic proliferations", "Lentigo simplex"),
        ("Benign", EPIDERMAL, "Clear cell acanthoma"),
        ("Benign", FIBROUS, "Scar"),
        ("Malignant", FOLLICULAR, "Trichoblastic carcinoma"),
        ("Malignant", VASCULAR, "Angiosarcoma"),
        ("Benign", SQUAMOUS, "Squamous cell carcinoma"),  # the levels contradict each other
    ],
)
def test_what_the_hierarchy_does_not_know_never_becomes_a_class(levels):
    with pytest.raises(
        UnknownDiagnosisError,
        match=r"^diagnosis must be in the known part of the hierarchy\. Got: ",
    ):
        class_of_levels(levels)


@pytest.mark.parametrize("word", ["", "other", "scar", "naevus", "merkel cell carcinoma"])
def test_unknown_word_is_refused(word):
    with pytest.raises(UnknownDiagnosisError, match=rf"one of the known words\. Got: '{word}'\.$"):
        class_of_word(word, "")


def test_unspecified_but_malignant_lesion_is_not_unk():
    with pytest.raises(UnknownDiagnosisError, match=r"must name the class of a malignant lesion"):
        class_of_word("unknown", "malignant")
    assert class_of_word("melanoma", "malignant") == "MEL"


@pytest.mark.parametrize(
    ("word", "truth", "label"),
    [
        ("bkl", [], "BKL"),
        ("NV", [], "NV"),
        ("akiec", ["AK"], "AK"),
        ("akiec", ["SCC"], "SCC"),
        ("mel", ["SCC"], "MEL"),  # the truth is asked about akiec alone
    ],
)
def test_word_of_ham10000_has_its_class(word, truth, label):
    assert class_of_ham_word(word, truth) == label


@pytest.mark.parametrize("truth", [[], ["MEL"], ["AK", "SCC"]])
def test_akiec_never_becomes_a_class_without_a_truth_that_fits(truth):
    with pytest.raises(
        UnknownDiagnosisError,
        match=r"^dx 'akiec' is AK or SCC: ISIC_2019_.* must say which\. Got: \[",
    ):
        class_of_ham_word("akiec", truth)


def test_word_that_ham10000_does_not_have_is_refused():
    with pytest.raises(
        UnknownDiagnosisError, match=r"^dx must be one of \['akiec', 'bcc', .*'scc'"
    ):
        class_of_ham_word("scc", [])


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (["MEL"], "MEL"),
        (["nv"], "NV"),
        (["basal_cell-carcinoma"], "BCC"),
        (["Squamous Cell Carcinoma"], "SCC"),
        (["cafe au lait macule"], "UNK"),
        (["Melanocytic nevus"], "NV"),
        (["train", "vasc", "2019"], "VASC"),
        (["melanoma", "MEL"], "MEL"),
    ],
)
def test_folder_names_its_class(names, label):
    assert class_of_folders(names) == label


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], r"\[\] from ''"),
        (["train"], r"\[\] from 'train'"),
        (["akiec"], r"\[\] from 'akiec'"),
        (["nevus", "melanoma"], r"\['MEL', 'NV'\] from 'nevus/melanoma'"),
    ],
)
def test_folders_that_name_no_class_or_two_are_refused(names, found):
    with pytest.raises(
        UnknownDiagnosisError, match=rf"^folders must name one class\. Got: {found}\.$"
    ):
        class_of_folders(names)


def test_every_class_and_known_word_may_name_a_folder():
    assert all(map(is_folder_of_class, [*CLASSES, *CLASS_NAMES.values(), *FLAT_WORDS]))
    assert not is_folder_of_class("benign")


def test_one_hot_row_has_the_class_of_its_one():
    values = dict.fromkeys(CLASSES, "0.0") | {"DF": "1"}

    assert class_of_one_hot(values) == "DF"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, r"exactly one class column must be 1\. Got: \[\]\.$"),
        ({"MEL": "1", "NV": "1.0"}, r"exactly one class column must be 1\. Got: \['MEL', 'NV'\]"),
        ({"MEL": "1", "NV": "0.5"}, r"the class columns must be 0 or 1\. Got: .*'NV': '0\.5'"),
        ({"MEL": "1", "NV": ""}, r"the class columns must be 0 or 1"),
        ({"MEL": "yes"}, r"the class columns must be 0 or 1"),
    ],
)
def test_row_that_is_not_one_hot_is_refused(changed, message):
    with pytest.raises(UnknownDiagnosisError, match=message):
        class_of_one_hot(dict.fromkeys(CLASSES, "0") | changed)


def test_tables_use_the_nine_classes_alone():
    assert {*FLAT_WORDS.values(), *(rule[-1] for rule in HIERARCHY)} == set(CLASSES)
    assert {*HAM_WORDS.values()} < set(CLASSES)


def test_known_words_are_in_the_case_they_are_looked_up_in():
    words = [*FLAT_WORDS, *(pattern for rule in HIERARCHY for pattern in rule[:-1])]

    assert [word for word in words if word != word.casefold()] == []


def test_levels_are_joined_as_the_archive_writes_them():
    assert join_levels(("Benign", VASCULAR, "", "", "")) == f"Benign:{VASCULAR}"
