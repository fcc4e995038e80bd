"""Pairs of images that show the same picture: equal bytes, or nearly equal perceptual hashes.

A perceptual hash is 256 bits in each of the eight orientations of the image (see
`pipeline.images.hashing`). Two images are near duplicates where the first hash of one differs from
any of the other's eight in at most some bits. All pairs are compared, in blocks: 6,000 images take
0.4 s on one core, 58,000 a minute or so.
"""

import numpy as np
import pandas as pd
from tqdm import tqdm

ORIENTATIONS = 8
HASH_BITS = 256
HASH_DIGITS = HASH_BITS // 4
HASH_WORDS = HASH_BITS // 64
# Images per block: the block of differences then stays in a core's cache.
BLOCK_ROWS = 256
BLOCK_COLUMNS = 512


class HashError(ValueError):
    """A perceptual hash is not as agreed; the message names the image."""


def find_duplicates(frame: pd.DataFrame, near_duplicate_bits: int) -> np.ndarray:
    """Find pairs of rows with equal `sha256` or near `perceptual_hash`; empty ones pair with none.

    Args:
        frame: Columns image_id, sha256, perceptual_hash.
        near_duplicate_bits: Largest number of differing bits.

    Returns:
        `(pairs, 2)` int64 positions of rows, the smaller first, each pair once, sorted. Of rows
        with equal bytes, each is paired with the first alone.

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
    # By id, because of a pair only one image is turned: the result must not depend on row order.
    order = np.argsort(image_ids.to_numpy(), kind="stable")
    order = order[(texts != "").to_numpy()[order]]
    hashes = parse_hashes(image_ids.iloc[order], texts.iloc[order])
    return order[near_pairs(hashes, bits)]


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


def near_pairs(hashes: np.ndarray, bits: int) -> np.ndarray:
    """Compare all images with all later ones.

    Args:
        hashes: `(rows, 8, 4)` uint64, the hash of the image as it stands first.
        bits: Largest number of differing bits.

    Returns:
        `(pairs, 2)` int64 rows, the smaller first, each pair once.
    """
    count = len(hashes)
    # Words first, so that each word of many hashes lies together: (words, rows [* 8]).
    upright = np.ascontiguousarray(hashes[:, 0].T)
    turned = np.ascontiguousarray(hashes.reshape(-1, HASH_WORDS).T)
    pairs = [np.empty((0, 2), np.int64)]
    for top in tqdm(range(0, count, BLOCK_ROWS), desc="near duplicates", delay=2):
        for left in range(top, count, BLOCK_COLUMNS):
            rows = slice(top, top + BLOCK_ROWS)
            columns = slice(left * ORIENTATIONS, (left + BLOCK_COLUMNS) * ORIENTATIONS)
            found = _near_in_block(upright[:, rows], turned[:, columns], bits)
            found += top, left * ORIENTATIONS
            found[:, 1] //= ORIENTATIONS
            pairs.append(found[found[:, 0] < found[:, 1]])
    return np.unique(np.concatenate(pairs), axis=0)


def _near_in_block(upright: np.ndarray, turned: np.ndarray, bits: int) -> np.ndarray:
    """Return (row, column) of near hashes: words `(4, rows)` against `(4, columns)` uint64."""
    half = np.zeros((upright.shape[1], turned.shape[1]), np.uint8)
    # Half of the words rule out nearly all; 128 differing bits still fit into uint8.
    for word in range(HASH_WORDS // 2):
        half += np.bitwise_count(upright[word][:, None] ^ turned[word])
    found = np.argwhere(half <= bits)
    differences = np.bitwise_count(upright[:, found[:, 0]] ^ turned[:, found[:, 1]])
    return found[differences.sum(axis=0, dtype=np.int64) <= bits]
