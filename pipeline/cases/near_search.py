"""Find all pairs of near hashes without comparing every image with every other.

Pigeonhole: the 256 bits are dealt to `bits // 2 + 1` chunks. Where two hashes differ in at most
`bits`, some chunk differs in at most one, for else they would differ in two of every chunk. So a
look-up of each chunk, as it is and with each of its bits flipped, meets every near pair; what is
met is then compared whole. No pair is lost.

A hash here is four 64-bit words, `(4,)` uint64; an image has eight, one for each orientation, the
first as it stands. Two images are near where the first hash of one differs from any of the other's
eight in at most `bits`.

Source: M. Norouzi, A. Punjani, D. Fleet, "Fast exact search in Hamming space with multi-index
hashing", 2014 (arXiv 1307.2982).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

ORIENTATIONS = 8
HASH_BITS = 256
HASH_WORDS = HASH_BITS // 64
KEY_BITS = 20  # of a chunk at most: its table of starts, 4 MB, then fits a core's cache
BLOCK_IMAGES = 512  # whose eight hashes are looked up at once
BLOCK_MET = 1 << 21  # pairs that are compared at once


@dataclass(frozen=True, eq=False)
class Chunk:
    """An index of all images by some bits of their first hash.

    Attributes:
        places: Which of the 256 bits, `(key bits,)`; the first is the key's lowest.
        starts: Where the images of each key begin in `rows`, `(2 ** key bits + 1,)` int32.
        rows: The images in order of their keys, `(images,)` int32.
    """

    places: np.ndarray
    starts: np.ndarray
    rows: np.ndarray


def near_pairs(hashes: np.ndarray, bits: int) -> np.ndarray:
    """Find all pairs of images with near hashes.

    Args:
        hashes: `(images, 8, 4)` uint64, fewer than 2**31 images.
        bits: Largest number of differing bits.

    Returns:
        `(pairs, 2)` int64 positions, the smaller first, each pair once, sorted.
    """
    upright = np.ascontiguousarray(hashes[:, 0])
    chunks = [index_images(upright, places) for places in choose_places(bits, len(hashes))]
    pairs: list[np.ndarray] = []
    tops = range(0, len(hashes), BLOCK_IMAGES)
    for top in tqdm(tops, desc="near duplicates", unit="block", delay=2):
        turned = hashes[top : top + BLOCK_IMAGES].reshape(-1, HASH_WORDS)
        bits_set = to_bits(turned)
        for chunk in chunks:
            for rows, queries in meet(chunk, bits_set):
                near = are_near(upright, rows, turned, queries, bits)
                pairs.append(as_pairs(rows[near], top + queries[near] // ORIENTATIONS))
    return np.unique(np.concatenate([np.empty((0, 2), np.int64), *pairs]), axis=0)


def differing_bits(hashes: np.ndarray, row: int) -> np.ndarray:
    """Count the bits in which one image differs from every image, in the best orientation.

    This is what `near_pairs` saves doing for every image.

    Args:
        hashes: As for `near_pairs`.
        row: Position of the image.

    Returns:
        `(images,)` int64, 0 for the image itself.
    """
    one_way = np.bitwise_count(hashes[:, 0, None] ^ hashes[row]).sum(axis=2, dtype=np.int64)
    other_way = np.bitwise_count(hashes[row, 0] ^ hashes).sum(axis=2, dtype=np.int64)
    return np.minimum(one_way, other_way).min(axis=1)


def as_pairs(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Pair positions, the smaller first, `(pairs, 2)` int64; none with itself."""
    pairs = np.sort(np.column_stack([rows, others]).astype(np.int64), axis=1)
    return pairs[pairs[:, 0] < pairs[:, 1]]


def choose_places(bits: int, images: int) -> list[np.ndarray]:
    """Deal the bits to chunks; of each, as many as are worth a key for so many images."""
    chunks = bits // 2 + 1
    # A key of more bits than this seldom rules out more, and its table takes longer to make.
    limit = min(KEY_BITS, max(images, 1).bit_length() + 4)
    # Every so-manieth bit: neighbours in the hash are alike, a chunk of neighbours tells less.
    return [np.arange(HASH_BITS)[first::chunks][:limit] for first in range(chunks)]


def to_bits(hashes: np.ndarray) -> np.ndarray:
    """Spread hashes, `(hashes, 4)` uint64, to `(hashes, 256)` uint8 of 0 and 1."""
    return np.unpackbits(np.ascontiguousarray(hashes).view(np.uint8), axis=1)


def keys_of(bits_set: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Join the bits at some places, `(hashes, 256)` uint8, to keys, `(hashes,)` int32."""
    keys = np.zeros(len(bits_set), np.int32)
    for number, place in enumerate(places):
        keys |= bits_set[:, place].astype(np.int32) << number
    return keys


def index_images(upright: np.ndarray, places: np.ndarray) -> Chunk:
    """Sort all images, `(images, 4)` uint64, by the key that some places of their hash make."""
    blocks = range(0, len(upright), BLOCK_IMAGES * ORIENTATIONS)
    keys = [
        keys_of(to_bits(upright[top : top + BLOCK_IMAGES * ORIENTATIONS]), places) for top in blocks
    ]
    keys = np.concatenate([np.empty(0, np.int32), *keys])
    counts = np.bincount(keys, minlength=2 ** len(places))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return Chunk(places, starts, np.argsort(keys, kind="stable").astype(np.int32))


def meet(chunk: Chunk, bits_set: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield images whose key differs from that of a hash in at most one bit.

    Args:
        chunk: The index.
        bits_set: The hashes, `(hashes, 256)` uint8.

    Yields:
        Positions of images and of hashes, each `(met,)`, at most about `BLOCK_MET` at once.
    """
    flips = np.array([0, *(1 << np.arange(len(chunk.places)))], np.int32)
    keys = (keys_of(bits_set, chunk.places)[:, None] ^ flips).ravel()
    first = chunk.starts[keys]
    counts = chunk.starts[keys + 1] - first
    found = np.flatnonzero(counts)
    first, counts, queries = first[found], counts[found], found // len(flips)
    ends = np.cumsum(counts, dtype=np.int64)
    cuts = np.searchsorted(ends, np.arange(BLOCK_MET, ends[-1] if len(ends) else 0, BLOCK_MET))
    for part in np.split(np.arange(len(found)), cuts):
        if len(part):
            several = counts[part]
            within = np.arange(several.sum()) - np.repeat(several.cumsum() - several, several)
            rows = chunk.rows[np.repeat(first[part], several) + within]
            yield rows, np.repeat(queries[part], several)


def are_near(
    upright: np.ndarray, rows: np.ndarray, turned: np.ndarray, queries: np.ndarray, bits: int
) -> np.ndarray:
    """Return which of the met pairs `(upright[rows], turned[queries])` are near, as positions."""
    # One word of four rules most out, at a quarter of the reading.
    first_word = np.bitwise_count(upright[:, 0][rows] ^ turned[:, 0][queries])
    found = np.flatnonzero(first_word <= bits)
    differences = np.bitwise_count(upright[rows[found]] ^ turned[queries[found]])
    return found[differences.sum(axis=1, dtype=np.int64) <= bits]
