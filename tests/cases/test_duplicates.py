"""Tests of `pipeline.cases.duplicates`."""

import numpy as np
import pytest

from pipeline.cases import duplicates
from pipeline.cases.duplicates import (
    HashError,
    find_duplicates,
    find_near,
    near_pairs,
    parse_hashes,
)
from tests.cases.tables import make_manifest, random_hash


def flip_bits(text, count, orientation=0):
    """Change the first `count` bits of the hash of one orientation."""
    parts = text.split("-")
    changed = int(parts[orientation], 16) ^ ((1 << count) - 1)
    parts[orientation] = f"{changed:064x}"
    return "-".join(parts)


def turn(text, steps):
    """The hashes of the same image, turned: other orientations come first."""
    parts = text.split("-")
    return "-".join(parts[steps:] + parts[:steps])


def pairs_of(*hashes, bits=24):
    frame = make_manifest(*({"perceptual_hash": text} for text in hashes))
    return find_duplicates(frame, bits).tolist()


def test_unrelated_images_are_no_pair():
    assert pairs_of(random_hash(1), random_hash(2), random_hash(3)) == []


@pytest.mark.parametrize(("changed", "expected"), [(0, [[0, 1]]), (24, [[0, 1]]), (25, [])])
def test_near_is_at_most_the_wanted_number_of_bits(changed, expected):
    text = random_hash(1)

    assert pairs_of(text, flip_bits(text, changed)) == expected


@pytest.mark.parametrize("word", range(4))
def test_bits_of_every_word_count(word):
    """The first two words are compared first; the others must not be forgotten."""
    hashes = np.zeros((2, 8, 4), np.uint64)
    hashes[1, :, word] = np.uint64(2**25 - 1)

    assert near_pairs(hashes, 25).tolist() == [[0, 1]]
    assert near_pairs(hashes, 24).tolist() == []


@pytest.mark.parametrize("steps", range(8))
def test_turned_copy_is_found_in_every_orientation(steps):
    text = random_hash(1)

    assert pairs_of(random_hash(2), text, turn(text, steps)) == [[1, 2]]


def test_equal_bytes_are_a_pair_without_any_hash():
    frame = make_manifest({"sha256": "aa"}, {"sha256": "bb"}, {"sha256": "aa"}, {"sha256": "aa"})

    assert find_duplicates(frame, 24).tolist() == [[0, 2], [0, 3]]


def test_missing_digest_and_hash_link_nothing():
    frame = make_manifest(*[{"sha256": "", "perceptual_hash": ""}] * 3)

    assert find_duplicates(frame, 64).shape == (0, 2)


def test_pair_by_bytes_and_by_hash_is_told_once():
    text = random_hash(1)
    frame = make_manifest(*[{"sha256": "aa", "perceptual_hash": text}] * 2)

    assert find_duplicates(frame, 24).tolist() == [[0, 1]]


def test_rows_without_a_hash_do_not_shift_the_others():
    text = random_hash(1)

    assert pairs_of("", text, "", text) == [[1, 3]]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_rows_have_no_pairs(count):
    assert pairs_of(*[random_hash(1)] * count) == []


def test_blocks_agree_with_comparing_one_by_one(monkeypatch):
    monkeypatch.setattr(duplicates, "BLOCK_ROWS", 3)
    monkeypatch.setattr(duplicates, "BLOCK_COLUMNS", 5)
    rng = np.random.default_rng(0)
    # Few different bits, so that many distances lie around the limit.
    hashes = rng.integers(0, 2**12, (40, 8, 4), dtype=np.uint64)
    bits = 18

    expected = [
        [i, j]
        for i in range(40)
        for j in range(i + 1, 40)
        if min(np.bitwise_count(hashes[i, 0] ^ hashes[j, k]).sum() for k in range(8)) <= bits
    ]

    assert 0 < len(expected) < 780
    assert near_pairs(hashes, bits).tolist() == expected


def test_pairs_do_not_depend_on_the_order_of_rows():
    """One image of a pair is turned, the other not: which, must not follow from the order."""
    rng = np.random.default_rng(1)
    words = rng.integers(0, 2**12, (20, 8, 4), dtype=np.uint64)
    hashes = ["-".join("".join(f"{w:016x}" for w in view) for view in row) for row in words]
    frame = make_manifest(*({"perceptual_hash": text} for text in hashes))
    shuffled = frame.sample(frac=1, random_state=0)

    def named(frame):
        found = find_near(frame.image_id, frame.perceptual_hash, 18)
        return {frozenset(frame.image_id.iloc[pair]) for pair in found.tolist()}

    assert named(frame) == named(shuffled)
    assert named(frame)


@pytest.mark.parametrize("text", ["ab", "x" * 64, random_hash(1)[:-1], random_hash(1) + "-00"])
def test_malformed_hash_names_its_image(text):
    frame = make_manifest({"image_id": "ISIC_7", "perceptual_hash": text})

    with pytest.raises(
        HashError, match=r"^image ISIC_7: perceptual_hash must be 8 hashes of 64 hex digits"
    ):
        parse_hashes(frame.image_id, frame.perceptual_hash)
