"""Tests of `pipeline.cases.deal`."""

import numpy as np
import pytest

from pipeline.cases.deal import FREE, Components, deal

SHARES = [0.2] * 5


def patients(seed, count=150):
    """Components of 1 to 32 images, of five classes in proportions of their own, in six bands."""
    rng = np.random.default_rng(seed)
    band = rng.choice(6, count, p=[0.5, 0.2, 0.1, 0.1, 0.06, 0.04])
    classes = np.array(
        [rng.multinomial(2**size, rng.dirichlet(np.full(5, 0.5))) for size in band.tolist()]
    )
    return Components(classes, np.eye(6, dtype=int)[band] * 2 ** band[:, None])


def deal_freely(components, shares=SHARES, seed=0):
    bound = np.full(len(components), FREE)
    return deal(components, shares, [1] * len(shares), bound, np.random.default_rng(seed))


def unevenness(counts, parts):
    """Mean distance of the parts from an equal share, relative to it."""
    by_part = np.array([counts[parts == part].sum(axis=0) for part in range(len(SHARES))])
    wanted = counts.sum(axis=0) / len(SHARES)
    return (np.abs(by_part - wanted) / wanted).mean()


def test_bands_even_out_images_per_patient_and_cost_the_classes_little():
    with_bands, without, classes = [], [], []
    for seed in range(12):
        components = patients(seed)
        blind = Components(components.classes, np.zeros_like(components.bands))
        with_bands.append(unevenness(components.bands, deal_freely(components)))
        without.append(unevenness(components.bands, deal_freely(blind)))
        classes.append(unevenness(components.classes, deal_freely(components)))

    assert np.mean(with_bands) < 0.93 * np.mean(without)
    assert np.mean(classes) < 0.06


def test_small_part_gets_its_share_of_large_components():
    """By squared distance the large part would be filled first, and get all of them."""
    classes = np.array([[32]] * 20 + [[1]] * 640)

    parts = deal_freely(Components(classes, classes), shares=[0.2, 0.8])

    assert (parts[:20] == 0).sum() == 4
    assert (parts[20:] == 0).sum() == 128


def test_bound_components_stay_and_the_others_fill_up():
    components = Components(np.ones((20, 1), int), np.ones((20, 1), int))
    bound = np.full(20, FREE)
    bound[:6] = [0, 0, 0, 0, 1, 1]

    parts = deal(components, [0.5, 0.5], [1, 1], bound, np.random.default_rng(0))

    assert parts[:6].tolist() == [0, 0, 0, 0, 1, 1]
    assert np.bincount(parts).tolist() == [10, 10]


@pytest.mark.parametrize("seed", range(5))
def test_every_part_gets_every_class_that_has_a_component_for_each(seed):
    classes = np.zeros((30, 3), int)
    classes[:5, 0], classes[5:12, 1], classes[12:, 2] = 1, 3, 9

    parts = deal_freely(Components(classes, classes.sum(axis=1)[:, None]), seed=seed)

    for label in range(3):
        assert set(parts[classes[:, label] > 0]) == set(range(5))
