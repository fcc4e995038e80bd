"""Stage `ingest`: one archive's images and tables to a manifest and a quarantine table.

Usage: python -m stages.ingest --source isic_2019 --form isic_2019 data/raw/isic_2019
data/ingest/isic_2019
"""

import argparse
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline import manifest, params
from pipeline.cases.files import find_images
from pipeline.cases.ingest import ImageFacts, Ingested, finish, match
from pipeline.cases.sources import FORMS, read_rows
from pipeline.command import run_stage
from pipeline.images.decode import DecodeParams, ImageError, decode
from pipeline.images.hashing import perceptual_hashes
from pipeline.parallel import map_in_order
from pipeline.storage import atomic_write, sha256_of, write_json


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("ingest", DecodeParams)
    rows = read_rows(args.raw, args.form)
    matched = match(rows, find_images(args.raw), args.raw)
    paths = [path for _, path in matched.cases]
    facts = read_images(paths, settings, args.source)
    ingested = finish(args.source, matched, facts, len(rows))
    if ingested.manifest.empty:
        reasons = ingested.quarantine.reason[:5].tolist()
        raise ValueError(
            f"{args.raw} must hold at least one usable case. Got: {len(rows)} rows, all refused, "
            f"first {reasons}."
        )
    write(ingested, args.target)
    print(f"ingest: {args.source}, {describe(ingested.summary)}, in {args.target}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.ingest", description=__doc__)
    parser.add_argument("--source", required=True, help="name of the source in the manifest")
    parser.add_argument("--form", required=True, choices=sorted(FORMS), help="form of its tables")
    parser.add_argument("raw", type=Path, help="folder with the images and tables")
    parser.add_argument("target", type=Path, help="folder to write")
    return parser.parse_args(argv)


def read_images(
    paths: Sequence[Path], settings: DecodeParams, source: str
) -> dict[Path, ImageFacts]:
    """Decode and hash every file, several at a time."""
    # A process of its own costs seconds to start: not for a handful of images.
    workers = min(os.cpu_count() or 1, 1 + len(paths) // 64)
    results = map_in_order(partial(read_image, settings=settings), paths, workers)
    progress = tqdm(results, desc=f"ingest {source}", total=len(paths), unit="image", delay=2)
    return dict(zip(paths, progress, strict=True))


def read_image(path: Path, *, settings: DecodeParams) -> ImageFacts:
    """Decode one file at full size, as a check of every byte, and hash it."""
    try:
        decoded = decode(path, params=settings, least_side_px=None)
        return ImageFacts(
            width_px=decoded.width_px,
            height_px=decoded.height_px,
            sha256=sha256_of(path),
            perceptual_hash=perceptual_hashes(decoded.pixels),
            problem="",
        )
    except (ImageError, OSError) as error:
        return ImageFacts(0, 0, "", "", problem=str(error))


def describe(summary: dict[str, Any]) -> str:
    """Say in one line where every row went."""
    reasons = sorted(summary["reasons"].items(), key=lambda pair: (-pair[1], pair[0]))
    listed = ", ".join(f"{count} {kind}" for kind, count in reasons)
    return (
        f"{summary['rows_in']} rows = {summary['kept']} kept + "
        f"{summary['quarantined']} quarantined{f' ({listed})' if listed else ''}; "
        f"{summary['files_without_row']} files without a row"
    )


def write(ingested: Ingested, target: Path) -> None:
    """Write the three files, the manifest last: where it is, the others are."""
    with atomic_write(target / "quarantine.csv", "w") as file:
        ingested.quarantine.to_csv(file, index=False, lineterminator="\n")
    write_json(target / "summary.json", ingested.summary)
    manifest.write(ingested.manifest, target / "manifest.csv")


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
