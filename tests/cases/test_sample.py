"""Tests of `pipeline.cases.sample`."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pipeline.cases.sample import (
    COPIES,
    DUPLICATE_SHARE,
    UNKNOWN_SHARES,
    SampleParams,
    is_foreign,
    plan_images,
)
from pipeline.cases.sample_lesions import CLASS_SHARES, SOURCES
from pipeline.classes import CLASSES

COUNTS = {"isic_2019": 240, "isic_2020": 240, "isic_cli": 130}  # as in params.yaml


def plan(source, images=None, seed=2019):
    return plan_images(source, SampleParams(seed=seed, images=images or COUNTS[source]))


@pytest.fixture(scope="module")
def plans():
    return {source: plan(source) for source in SOURCES}


def test_a_source_has_as_many_images_as_asked_for(plans):
    assert {source: len(images) for source, images in plans.items()} == COUNTS


@pytest.mark.parametrize("images", [1, 2, 13, 40])
def test_small_sources_can_be_planned(images):
    assert all(len(plan(source, images)) == images for source in SOURCES)


def test_image_ids_are_seven_digits_and_unique_over_all_sources(plans):
    ids = [image.image_id for images in plans.values() for image in images]

    assert len(set(ids)) == len(ids)
    assert all(len(name) == 12 and name[5:].isdigit() for name in ids)


def test_the_same_seed_gives_the_same_plan_and_another_seed_another(plans):
    assert plan("isic_cli") == plans["isic_cli"]
    assert plan("isic_cli", seed=7) != plans["isic_cli"]


def test_every_class_has_enough_images_to_be_measured(plans):
    counts = Counter(i.taken.lesion.label for images in plans.values() for i in images)

    assert set(counts) == set(CLASSES)
    assert min(counts.values()) >= 40


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_has_the_classes_that_its_archive_has_words_for(plans, source):
    assert {i.taken.lesion.label for i in plans[source]} == set(CLASS_SHARES[source])


def test_class_does_not_go_with_image_size_or_quality(plans):
    """Drawn without the class: every size and quality is found in most classes."""
    taken = [image.taken for images in plans.values() for image in images]

    for trait in ("height_px", "jpeg_quality"):
        labels = Counter(label for label, _ in {(t.lesion.label, getattr(t, trait)) for t in taken})
        assert min(labels.values()) >= 2


@pytest.mark.parametrize("source", SOURCES)
def test_about_one_image_in_twenty_five_is_a_planted_copy(plans, source):
    copies = [image for image in plans[source] if image.copy]

    assert len(copies) == round(DUPLICATE_SHARE * COUNTS[source])
    assert {image.copy for image in copies} == set(COPIES)


@pytest.mark.parametrize("source", SOURCES)
def test_copies_lie_within_and_across_sources(plans, source):
    foreign = {is_foreign(image, source) for image in plans[source] if image.copy}

    assert foreign == {True, False}


def test_every_original_exists_and_shows_the_same(plans):
    """Also across sources, although neither plan knows the other's count."""
    of_id = {image.image_id: image for images in plans.values() for image in images}

    for copy in (image for image in of_id.values() if image.copy):
        assert copy.original != copy.image_id
        assert of_id[copy.original].taken == copy.taken
        assert not of_id[copy.original].copy


def test_no_image_is_copied_twice(plans):
    originals = [i.original for images in plans.values() for i in images if i.copy]

    assert len(originals) - len(set(originals)) <= 1  # two sources may hit upon the same one


def test_official_copies_share_the_patient_and_the_others_hide(plans):
    of_id = {image.image_id: image for image in plans["isic_2020"]}
    copies = [image for image in of_id.values() if image.copy and image.original in of_id]
    official = [copy for copy in copies if copy.official]
    hidden = [copy for copy in copies if not copy.official]

    assert official
    assert hidden
    assert all(copy.patient == of_id[copy.original].patient for copy in official)
    assert all(copy.patient != of_id[copy.original].patient for copy in hidden)


def test_only_copies_within_a_source_are_official(plans):
    for source, images in plans.items():
        assert not any(image.official and is_foreign(image, source) for image in images)


@pytest.mark.parametrize("source", SOURCES)
def test_values_are_unknown_at_the_archives_rates(source):
    images = plan(source, images=1500)

    for name, share in UNKNOWN_SHARES[source].items():
        unknown = np.mean([getattr(image, name) is None for image in images])
        spread = np.sqrt(share * (1 - share) / len(images))
        assert unknown == pytest.approx(share, abs=3 * spread)


def test_what_is_not_unknown_is_the_truth(plans):
    for image in (i for images in plans.values() for i in images):
        assert image.age_years in (None, image.taken.lesion.age_years)
        assert image.site in (None, image.taken.lesion.site)
        assert image.skin_type in (None, image.taken.lesion.skin_type)


def test_unknown_source_is_refused():
    with pytest.raises(ValueError, match=r"^source must be one of \[.*\]\. Got: 'isic_1999'\.$"):
        plan_images("isic_1999", SampleParams(seed=1, images=4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 0}, r"^images must be from 1 to 99991\. Got: 0\.$"),
        ({"images": 100_000}, r"^images must be from 1 to 99991\. Got: 100000\.$"),
        ({"seed": -1}, r"^seed must be from 0 to 4294967295\. Got: -1\.$"),
    ],
)
def test_params_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SampleParams(seed=1, images=4), **change)
