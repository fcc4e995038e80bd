"""Tests of `pipeline.cases.sample_lesions`."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from pipeline.cases.sample_lesions import (
    CLASS_SHARES,
    FIRST_SHARED_PATIENT,
    SOURCES,
    choose_label,
    take_photographs,
)

SEED = 2019


@pytest.fixture(scope="module")
def photographs():
    return {source: take_photographs(source, SEED, 300) for source in SOURCES}


@pytest.mark.parametrize("source", SOURCES)
def test_a_streams_beginning_does_not_depend_on_how_much_is_taken(photographs, source):
    assert take_photographs(source, SEED, 77) == photographs[source][:77]


@pytest.mark.parametrize("source", SOURCES)
def test_shares_of_the_classes_are_kept_from_the_beginning(photographs, source):
    wanted = np.array(list(CLASS_SHARES[source].values()), float)
    wanted /= wanted.sum()

    for count in (60, 300):
        counts = Counter(image.lesion.label for image in photographs[source][:count])
        got = np.array([counts[label] for label in CLASS_SHARES[source]])
        assert np.abs(got - count * wanted).max() <= 7


@pytest.mark.parametrize("source", SOURCES)
def test_some_patients_have_several_lesions_and_some_lesions_several_images(photographs, source):
    lesions_of, images_of = defaultdict(set), Counter()
    for image in photographs[source]:
        lesions_of[image.lesion.patient].add(image.lesion.number)
        images_of[image.lesion.number] += 1

    assert {len(lesions) for lesions in lesions_of.values()} == {1, 2, 3}
    assert set(images_of.values()) == {1, 2, 3}


def test_sources_share_patients_but_no_lesions(photographs):
    patients = [{i.lesion.patient for i in images} for images in photographs.values()]
    lesions = [{i.lesion.number for i in images} for images in photographs.values()]

    assert len(set.intersection(*patients)) >= 10
    assert all(patient >= FIRST_SHARED_PATIENT for patient in patients[0] & patients[1])
    assert not lesions[0] & lesions[1] | lesions[1] & lesions[2]


def test_a_patient_is_the_same_person_in_every_source(photographs):
    persons = defaultdict(set)
    for image in (i for images in photographs.values() for i in images):
        lesion = image.lesion
        persons[lesion.patient].add((lesion.age_years, lesion.sex, lesion.skin_type))

    assert all(len(person) == 1 for person in persons.values())


def test_demographics_carry_some_signal(photographs):
    lesions = [i.lesion for images in photographs.values() for i in images]

    def mean_age(*labels):
        return np.mean([lesion.age_years for lesion in lesions if lesion.label in labels])

    def share_at(site, *labels):
        return np.mean([lesion.site == site for lesion in lesions if lesion.label in labels])

    assert mean_age("AK", "SCC", "BCC") > mean_age("NV", "UNK") + 15
    assert share_at("head_neck", "AK", "SCC", "BCC") > share_at("head_neck", "NV", "VASC") + 0.3
    assert share_at("torso", "VASC") > 0.5


def test_all_skin_types_occur(photographs):
    types = {i.lesion.skin_type for images in photographs.values() for i in images}

    assert types == {1, 2, 3, 4, 5, 6}


def test_a_class_that_is_far_behind_is_chosen_whatever_the_age():
    counts = Counter(MEL=60, NV=85, BKL=50)

    labels = {choose_label("isic_2020", 85, counts, np.random.default_rng(k)) for k in range(20)}

    assert labels == {"UNK"}
