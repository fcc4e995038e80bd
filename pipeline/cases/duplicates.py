"""Pairs of images that show the same picture: equal bytes, or nearly equal perceptual hashes.

A perceptual hash is 256 bits in each of the eight orientations of the image (see
`pipeline.images.hashing`). Two images are near duplicates where the first hash of one differs from
any of the other's eight in at most some bits: `pipeline.cases.near_search` finds all such pairs.
"""

import numpy as np
import pandas as pd

from pipeline.cases.near_search import HASH_BITS, HASH_WORDS, ORIENTATIONS, near_pairs

HASH_DIGITS = HASH_BITS // 4


class HashError(ValueError):
    """A perceptual hash is not as agreed; the message names the image."""


def find_duplicates(frame: pd.DataFrame, near_duplicate_bits: int) -> np.ndarray:
    """Find pairs of rows with equal `sha256` or near `perceptual_hash`; empty ones pair with none.

    Args:
        frame: Columns image_id, sha256, perceptual_hash.
        near_duplicate_bits: Largest number of differing bits.

    Returns:
        `(pairs, 2)` int64 positions of rows, the smaller first, each pair once, sorted. Of rows
        with equal bytes, each is paired with the first alone, and of rows with equal hashes with
        the first by id: what is linked is the same, and a thousand black images are no million
        pairs.

    Raises:
        HashError: A hash is malformed.
    """
    pairs = np.concatenate(
        [
            find_equal(frame.sha256),
            find_near(frame.image_id, frame.perceptual_hash, near_duplicate_bits),
        ]
    )
    return np.unique(np.sort(pairs, axis=1), axis=0)


def find_equal(texts: pd.Series) -> np.ndarray:
    """Pair each row with the first that has the same text; `(pairs, 2)` int64, empty text never."""
    first: dict[str, int] = {}
    pairs = []
    for row, text in enumerate(texts):
        if text and first.setdefault(text, row) != row:
            pairs.append((first[text], row))
    return np.array(pairs, np.int64).reshape(-1, 2)


def find_near(image_ids: pd.Series, texts: pd.Series, bits: int) -> np.ndarray:
    """Pair rows whose hashes differ in at most `bits`; `(pairs, 2)` int64 positions."""
    order = np.argsort(image_ids.to_numpy(), kind="stable")
    order = order[(texts != "").to_numpy()[order]]
    ordered = texts.iloc[order]
    equal = order[find_equal(ordered)]
    order = order[~ordered.duplicated().to_numpy()]
    hashes = parse_hashes(image_ids.iloc[order], texts.iloc[order])
    return np.concatenate([equal, order[near_pairs(hashes, bits)]])


def parse_hashes(image_ids: pd.Series, texts: pd.Series) -> np.ndarray:
    """Read hashes as `(rows, 8, 4)` uint64.

    Raises:
        HashError: One is not eight hashes of 64 hex digits.
    """
    hashes = np.empty((len(texts), ORIENTATIONS, HASH_WORDS), np.uint64)
    for row, text in enumerate(texts):
        try:
            parts = [bytes.fromhex(part) for part in text.split("-")]
        except ValueError:
            parts = []
        if [len(part) for part in parts] != [HASH_BITS // 8] * ORIENTATIONS:
            raise HashError(
                f"image {image_ids.iloc[row]}: perceptual_hash must be {ORIENTATIONS} hashes of "
                f"{HASH_DIGITS} hex digits, joined by '-'. Got: {text[:80]!r}."
            )
        hashes[row] = np.frombuffer(b"".join(parts), ">u8").reshape(ORIENTATIONS, HASH_WORDS)
    return hashes


def list_pairs(frame: pd.DataFrame, pairs: np.ndarray) -> pd.DataFrame:
    """Name the images of each pair, for people to look at.

    Args:
        frame: Columns image_id, source, sha256, diagnosis.
        pairs: As from `find_duplicates`.

    Returns:
        `image_id_1, image_id_2, source_1, source_2, kind` (`equal_bytes` or `near`) and
        `same_diagnosis`, sorted by the ids. One image that two sources hold is no pair.
    """
    sides = [frame.iloc[pairs[:, side]].reset_index(drop=True) for side in (0, 1)]
    table = pd.DataFrame(
        {
            f"{column}_{side}": rows[column]
            for column in ("image_id", "source")
            for side, rows in enumerate(sides, start=1)
        }
    )
    first, second = sides
    is_equal = (first.sha256 == second.sha256) & (first.sha256 != "")
    table["kind"] = np.where(is_equal, "equal_bytes", "near")
    table["same_diagnosis"] = first.diagnosis == second.diagnosis
    table = table[table.image_id_1 != table.image_id_2]
    return table.sort_values(["image_id_1", "image_id_2"], ignore_index=True)
