"""Measure on real images which copies of an image are found, and how many strangers are paired.

Usage: python -m tools.measure_duplicates ../shared/data --sheet reports/duplicates/sheet.png

Prints four tables:

- planted: of each kind of copy, how many are linked to their original when originals and copies go
  through the search of stage `split` together. The kinds in `BEYOND` are for information: they are
  other pictures, not copies.
- strangers: over one image of each lesion, how many images gain a partner. Every one is listed.
- repeats: the pairs found among all images, and the nearest pairs of unlike lesions that are not.
- search: what the search costs by number of images, on random hashes.

The sheet shows the pairs of the third table side by side, for somebody to look at.
"""

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from tqdm import tqdm

from pipeline import params
from pipeline.cases.duplicates import find_duplicates, parse_hashes
from pipeline.cases.near_search import HASH_WORDS, ORIENTATIONS, differing_bits, near_pairs
from pipeline.cases.split import SplitParams, name_components
from pipeline.command import run_stage
from pipeline.images.decode import DecodeParams
from pipeline.parallel import map_in_order
from pipeline.storage import atomic_path
from tools.planted_copies import BEYOND, hash_copies, hash_file

FOLDERS = ("ham10000", "uda1", "isic_acral")
ID_COLUMNS = ("isic_id", "image_name")
WORKERS = 2
NEAREST = 10  # pairs beyond the limit that are shown
TILE_PX = 224
LABEL_PX = 16


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("ingest", DecodeParams)
    bits = params.load("split", SplitParams).near_duplicate_bits
    images = read_images(args.data, settings)
    print_planted(images, args.planted, bits, settings)
    print_strangers(images, bits)
    shown = print_repeats(images, bits)
    if args.sheet:
        draw_pairs(args.sheet, images, shown)
    print_search(args.search, bits)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.measure_duplicates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, help=f"folder with {', '.join(FOLDERS)}")
    parser.add_argument("--sheet", type=Path, help="PNG to write")
    parser.add_argument("--planted", type=int, default=400, help="originals to plant copies of")
    parser.add_argument(
        "--search", type=int, nargs="*", default=[14_508, 29_016, 58_032], help="numbers of images"
    )
    return parser.parse_args(argv)


def read_images(data: Path, settings: DecodeParams) -> pd.DataFrame:
    """Hash every image that a folder's metadata.csv names.

    Returns:
        Columns image_id, lesion_id (empty where unknown), path, sha256, perceptual_hash, by id.
    """
    tables = []
    for folder in [data / name for name in FOLDERS if (data / name).is_dir()]:
        table = pd.read_csv(folder / "metadata.csv", dtype=str, keep_default_na=False)
        ids = table[next(column for column in ID_COLUMNS if column in table)]
        lesions = table.get("lesion_id", pd.Series("", index=table.index))
        paths = [folder / "images" / f"{image_id}.jpg" for image_id in ids]
        tables.append(pd.DataFrame({"image_id": ids, "lesion_id": lesions, "path": paths}))
    if not tables:
        raise ValueError(f"{data} must hold at least one of {list(FOLDERS)}. Got: none.")
    images = pd.concat(tables).sort_values("image_id", ignore_index=True)
    hashing = map_in_order(partial(hash_file, settings=settings), images.path, WORKERS)
    found = list(tqdm(hashing, desc="hash", total=len(images), unit="image", delay=2))
    return images.assign(
        sha256=[digest for digest, _ in found], perceptual_hash=[text for _, text in found]
    )


def print_planted(images: pd.DataFrame, count: int, bits: int, settings: DecodeParams) -> None:
    """Print how many planted copies of each kind are linked to their originals."""
    chosen = images.iloc[np.unique(np.linspace(0, len(images) - 1, count).astype(int))]
    making = map_in_order(partial(hash_copies, settings=settings), chosen.path, WORKERS)
    copies = list(tqdm(making, desc="planted", total=len(chosen), unit="image", delay=2))
    print(f"planted: copies of {len(chosen)} of {len(images)} images, found within {bits} bits")
    for kind in copies[0]:
        found, distances = find_planted(images, chosen, [made[kind] for made in copies], bits)
        note = " (for information)" if kind in BEYOND else ""
        print(
            f"  {kind}: {found} of {len(chosen)}, {found / len(chosen):.2%}; differing bits: "
            f"median {np.median(distances):.0f}, most {distances.max()}{note}"
        )


def find_planted(
    images: pd.DataFrame, chosen: pd.DataFrame, copies: list[tuple[str, str]], bits: int
) -> tuple[int, np.ndarray]:
    """Search all images and the copies together; count the copies linked to their originals.

    Returns:
        The count, and by how many bits each copy differs from its original, `(copies,)`.
    """
    copied = chosen.assign(
        image_id=[f"copy of {image_id}" for image_id in chosen.image_id],
        sha256=[digest for digest, _ in copies],
        perceptual_hash=[text for _, text in copies],
    )
    together = pd.concat([images, copied], ignore_index=True).assign(lesion_id="", patient_id="")
    groups = name_components(together, find_duplicates(together, bits))
    wanted = list(zip(chosen.index, range(len(images), len(together)), strict=True))
    hashes = parse_hashes(together.image_id, together.perceptual_hash)
    distances = [differing_bits(hashes[[one, other]], 0)[1] for one, other in wanted]
    return sum(groups[one] == groups[other] for one, other in wanted), np.array(distances)


def print_strangers(images: pd.DataFrame, bits: int) -> None:
    """Print how many images gain a partner where each lesion has one image."""
    alone = images[(images.lesion_id == "") | ~images.lesion_id.duplicated()]
    alone = alone.reset_index(drop=True)
    pairs = find_duplicates(alone, bits)
    paired = len(np.unique(pairs))
    print(
        f"strangers: {paired} of {len(alone)} images, one of each lesion, gain a partner, "
        f"{paired / len(alone):.3%}"
    )
    for pair in pairs:
        print(f"  {' = '.join(alone.image_id.iloc[pair])}")


def print_repeats(images: pd.DataFrame, bits: int) -> list[tuple[int, int, int]]:
    """Print the pairs found among all images, then the nearest that are not found.

    Returns:
        Both positions of each pair and the differing bits, nearest first.
    """
    hashes = parse_hashes(images.image_id, images.perceptual_hash)
    found = find_duplicates(images, bits)
    repeats = sorted((differing_bits(hashes, a)[b], a, b) for a, b in found.tolist())
    beyond = nearest_strangers(images, hashes, bits)
    print(f"repeats: {len(repeats)} pairs of {len(images)} images are found")
    for title, pairs in (("", repeats), ("beyond, of unlike lesions: ", beyond)):
        for distance, a, b in pairs:
            same = lesion_words(images, a, b)
            ids = f"{images.image_id[a]} = {images.image_id[b]}"
            print(f"  {title}{ids}, {distance} bits, {same}")
    return [(a, b, int(distance)) for distance, a, b in [*repeats, *beyond]]


def lesion_words(images: pd.DataFrame, a: int, b: int) -> str:
    """Say whether the tables name one lesion for two images."""
    if not images.lesion_id[a] or not images.lesion_id[b]:
        return "a lesion unknown"
    return "one lesion" if images.lesion_id[a] == images.lesion_id[b] else "two lesions"


def nearest_strangers(
    images: pd.DataFrame, hashes: np.ndarray, bits: int
) -> list[tuple[int, int, int]]:
    """Return the nearest pairs not known to be one lesion that are beyond the limit."""
    lesions, nearest = images.lesion_id.to_numpy(), []
    for row in range(len(images)):
        distances = differing_bits(hashes, row)[row + 1 :]
        same = (lesions[row + 1 :] == lesions[row]) & (lesions[row] != "")
        distances = np.where(same | (distances <= bits), HASH_WORDS * 64, distances)
        for other in np.argsort(distances, kind="stable")[:NEAREST]:
            nearest.append((int(distances[other]), row, row + 1 + int(other)))
    return sorted(nearest)[:NEAREST]


def draw_pairs(path: Path, images: pd.DataFrame, pairs: Sequence[tuple[int, int, int]]) -> None:
    """Draw pairs of images side by side, two pairs in a row, with ids and differing bits."""
    rows = -(-len(pairs) // 2)
    sheet = Image.new("RGB", (4 * TILE_PX + 16, max(rows, 1) * (TILE_PX + LABEL_PX)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (a, b, distance) in enumerate(pairs):
        left, top = number % 2 * (2 * TILE_PX + 16), number // 2 * (TILE_PX + LABEL_PX)
        words = f"{images.image_id[a]} = {images.image_id[b]}, {distance} bits"
        pen.text((left + 2, top + 2), f"{words}, {lesion_words(images, a, b)}", fill="black")
        for place, row in enumerate((a, b)):
            with Image.open(images.path[row]) as opened:
                tile = opened.convert("RGB").resize((TILE_PX, TILE_PX))
            sheet.paste(tile, (left + place * TILE_PX, top + LABEL_PX))
    with atomic_path(path) as temporary:
        sheet.save(temporary)
    print(f"sheet: {len(pairs)} pairs in {path}")


def print_search(counts: Sequence[int], bits: int) -> None:
    """Print what the search costs by number of images."""
    for count in counts:
        rng = np.random.default_rng(count)
        hashes = rng.integers(0, 2**64, (count, ORIENTATIONS, HASH_WORDS), dtype=np.uint64)
        start = time.perf_counter()
        near_pairs(hashes, bits)
        seconds = time.perf_counter() - start
        print(f"search: {count} images in {seconds:.1f} s, {1e6 * seconds / count:.0f} µs an image")


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
