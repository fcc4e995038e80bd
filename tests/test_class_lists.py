"""Tests of `pipeline.class_lists`."""

import pytest

from pipeline.class_lists import CLASS_LISTS, UNDEFINED, class_in_list
from pipeline.classes import CLASSES


@pytest.mark.parametrize(
    ("diagnosis", "word", "seven", "two"),
    [
        ("MEL", "melanoma", "MEL", "malignant"),
        ("NV", "NV", "NV", "benign"),
        ("BCC", "bcc", "BCC", "malignant"),
        ("AK", "AK", "AKIEC", "malignant"),
        ("BKL", "solar lentigo", "BKL", "benign"),
        ("DF", "DF", "DF", "benign"),
        ("VASC", "VASC", "VASC", "benign"),
        ("SCC", "SCC", UNDEFINED, "malignant"),  # ISIC 2019 does not say whether it is in situ
        ("SCC", "akiec", "AKIEC", "malignant"),
        ("SCC", "Malignant:Malignant epidermal proliferations:Squamous cell carcinoma in situ", "AKIEC", "malignant"),  # noqa: E501
        ("SCC", "Malignant:Malignant epidermal proliferations:Squamous cell carcinoma, NOS", UNDEFINED, "malignant"),  # noqa: E501
        ("UNK", "unknown", UNDEFINED, "benign"),
        ("UNK", "cafe-au-lait macule", UNDEFINED, "benign"),
        ("UNK", "Benign", UNDEFINED, "benign"),
        ("UNK", "Benign:Flat melanotic pigmentations:Cafe au lait macule", UNDEFINED, "benign"),
        ("UNK", "atypical melanocytic proliferation", UNDEFINED, UNDEFINED),
        ("UNK", "Indeterminate:Indeterminate melanocytic proliferations", UNDEFINED, UNDEFINED),
        ("UNK", "", UNDEFINED, UNDEFINED),
    ],
)  # fmt: skip
def test_case_of_the_nine_has_its_place_or_none(diagnosis, word, seven, two):
    assert class_in_list("nine", diagnosis, word) == diagnosis
    assert class_in_list("seven", diagnosis, word) == seven
    assert class_in_list("two", diagnosis, word) == two


@pytest.mark.parametrize("name", CLASS_LISTS)
def test_every_class_of_a_list_is_reached_and_none_other(name):
    words = ("", "unknown", "akiec")
    found = {class_in_list(name, diagnosis, word) for diagnosis in CLASSES for word in words}

    assert found - {UNDEFINED} == set(CLASS_LISTS[name])


def test_unknown_list_or_diagnosis_is_refused():
    with pytest.raises(ValueError, match=r"^class list must be one of \['nine', .*Got: 'eight'\.$"):
        class_in_list("eight", "MEL", "")
    with pytest.raises(ValueError, match=r"^diagnosis must be one of \['MEL', .*Got: 'mole'\.$"):
        class_in_list("two", "mole", "")
