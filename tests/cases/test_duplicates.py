"""Tests of `pipeline.cases.duplicates`."""

import numpy as np
import pytest

from pipeline.cases.duplicates import (
    HashError,
    find_duplicates,
    find_near,
    list_pairs,
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


def test_of_equal_hashes_each_is_paired_with_the_first_by_id():
    """A thousand black images must not make a million pairs; what is linked is the same."""
    text = random_hash(1)
    near = flip_bits(text, 3)

    assert pairs_of(text, near, text, text) == [[0, 1], [0, 2], [0, 3]]


def test_pairs_do_not_depend_on_the_order_of_rows():
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


def test_pairs_are_named_with_what_makes_them_one():
    frame = make_manifest(
        {"image_id": "b", "sha256": "1", "source": "here", "diagnosis": "MEL"},
        {"image_id": "a", "sha256": "1", "source": "there", "diagnosis": "NV"},
        {"image_id": "c", "sha256": "2"},
        {"image_id": "c", "sha256": "2", "source": "there"},
    )

    table = list_pairs(frame, np.array([[0, 1], [0, 2], [2, 3]]))

    assert table.to_dict("records") == [
        {"image_id_1": "b", "image_id_2": "a", "source_1": "here", "source_2": "there"}
        | {"kind": "equal_bytes", "same_diagnosis": False},
        {"image_id_1": "b", "image_id_2": "c", "source_1": "here", "source_2": "here"}
        | {"kind": "near", "same_diagnosis": False},
    ]


def test_no_pair_is_a_table_without_rows():
    table = list_pairs(make_manifest({"image_id": "a"}), np.empty((0, 2), np.int64))

    assert list(table.columns)[:2] == ["image_id_1", "image_id_2"]
    assert table.empty
