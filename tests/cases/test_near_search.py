"""Tests of `pipeline.cases.near_search`: the search by chunks loses no pair and invents none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cases import near_search
from pipeline.cases.near_search import choose_places, differing_bits, near_pairs


def random_hashes(images, seed):
    return np.random.default_rng(seed).integers(0, 2**64, (images, 8, 4), dtype=np.uint64)


def compare_all(hashes, bits):
    """All near pairs, by comparing every image with every other."""
    near = [differing_bits(hashes, row) <= bits for row in range(len(hashes))]
    return np.argwhere(np.triu(np.reshape(near, (len(hashes),) * 2), k=1))


def flip(hashes, places):
    """Change the bits of a hash, `(4,)`, at some of its 256 places."""
    changed = hashes.copy()
    for place in places:
        changed[place // 64] ^= np.uint64(1 << (place % 64))
    return changed


@pytest.mark.parametrize(("changed", "expected"), [(0, [[0, 1]]), (24, [[0, 1]]), (25, [])])
def test_near_is_at_most_the_wanted_number_of_bits(changed, expected):
    hashes = random_hashes(2, seed=1)
    hashes[1, 5] = flip(hashes[0, 0], range(0, 10 * changed, 10))

    assert near_pairs(hashes, 24).tolist() == expected


@pytest.mark.parametrize(("upright", "turned"), [(0, 1), (1, 0)])
def test_either_image_may_be_the_turned_one(upright, turned):
    hashes = random_hashes(2, seed=1)
    hashes[turned, 5] = hashes[upright, 0]

    assert near_pairs(hashes, 24).tolist() == [[0, 1]]


def test_two_turned_hashes_make_no_pair():
    hashes = random_hashes(2, seed=1)
    hashes[0, 3] = hashes[1, 5]

    assert near_pairs(hashes, 24).tolist() == []


@pytest.mark.parametrize("bits", [0, 1, 2, 23, 24, 25, 64])
def test_chunks_hold_no_bit_twice_and_one_bit_of_doubt_is_enough(bits):
    chunks = choose_places(bits, images=10**6)

    places = np.concatenate(chunks).tolist()
    assert len(set(places)) == len(places)
    # With two differing bits in each chunk, more would differ than are allowed.
    assert 2 * len(chunks) > bits


@settings(max_examples=60)
@given(
    images=st.integers(0, 60),
    planted=st.integers(0, 40),
    bits=st.sampled_from([0, 1, 5, 18, 24, 31, 40]),
    spread=st.sampled_from(["anywhere", "in runs"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_search_finds_what_comparing_all_finds(images, planted, bits, spread, seed):
    """Planted at, and one beyond, the limit: in bits apart, and in runs that fill few chunks."""
    rng = np.random.default_rng(seed)
    hashes = random_hashes(images, seed)
    for _ in range(planted if images > 1 else 0):
        one, other = rng.choice(images, 2, replace=False)
        count = bits + int(rng.integers(-1, 2))
        places = rng.permutation(256) if spread == "anywhere" else np.arange(256)
        places = np.roll(places, rng.integers(256))[: max(count, 0)]
        hashes[other, rng.integers(8)] = flip(hashes[one, 0], places.tolist())

    found = near_pairs(hashes, bits)

    np.testing.assert_array_equal(found, compare_all(hashes, bits))


def test_blocks_agree_with_comparing_one_by_one(monkeypatch):
    monkeypatch.setattr(near_search, "BLOCK_IMAGES", 3)
    monkeypatch.setattr(near_search, "BLOCK_MET", 5)
    # Few different bits, so that many distances lie around the limit and many keys are equal.
    hashes = np.random.default_rng(0).integers(0, 2**12, (40, 8, 4), dtype=np.uint64)
    bits = 18

    expected = [
        [i, j]
        for i in range(40)
        for j in range(i + 1, 40)
        if any(
            np.bitwise_count(hashes[one, 0] ^ hashes[other, k]).sum() <= bits
            for one, other in ((i, j), (j, i))
            for k in range(8)
        )
    ]

    assert 0 < len(expected) < 780
    assert near_pairs(hashes, bits).tolist() == expected
    assert compare_all(hashes, bits).tolist() == expected


def test_differing_bits_are_those_of_the_best_orientation_either_way():
    hashes = random_hashes(3, seed=2)
    hashes[1, 6] = flip(hashes[0, 0], [0, 70, 255])
    hashes[0, 2] = flip(hashes[2, 0], [5])

    assert differing_bits(hashes, 0).tolist() == [0, 3, 1]
    assert differing_bits(hashes, 1)[:2].tolist() == [3, 0]


@pytest.mark.slow
def test_search_finds_what_comparing_all_finds_among_many():
    rng = np.random.default_rng(3)
    hashes = random_hashes(4000, seed=3)
    for row in range(300):
        places = rng.permutation(256)[: rng.integers(20, 29)]
        hashes[2000 + row, rng.integers(8)] = flip(hashes[row, 0], places.tolist())

    found = near_pairs(hashes, 24)

    assert 100 < len(found) < 250
    np.testing.assert_array_equal(found, compare_all(hashes, 24))
