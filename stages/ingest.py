"""Stage `ingest`: one archive's images and tables to a manifest and a quarantine table.

Usage: python -m stages.ingest --source isic_2019 --form isic_2019 data/raw/isic_2019
data/ingest/isic_2019
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
from pipeline.parallel import ParallelParams, map_in_order
from pipeline.reuse import digest_of_making, is_made_by, remember
from pipeline.storage import atomic_folder, sha256_of, write_csv, write_json

MANIFEST = "manifest.csv"


@dataclass(frozen=True)
class Job:
    """One file, the limits that it must keep, and what is known of a file of that name."""

    path: Path
    settings: DecodeParams
    known: ImageFacts | None


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("ingest", DecodeParams)
    rows = read_rows(args.raw, args.form)
    matched = match(rows, find_images(args.raw), args.raw)
    paths = [path for _, path in matched.cases]
    # An older manifest, of other columns, could not be read.
    made_of = asdict(settings) | {"manifest": manifest.COLUMNS}
    made_by = digest_of_making(read_image, [decode, perceptual_hashes], made_of)
    known = known_facts(args.target) if is_made_by(args.target, made_by) else {}
    jobs = [Job(path, settings, known.get(path.name)) for path in paths]
    facts = read_images(jobs, args.source)
    ingested = finish(args.source, matched, facts, len(rows))
    if ingested.manifest.empty:
        reasons = ingested.quarantine.reason[:5].tolist()
        raise ValueError(
            f"{args.raw} must hold at least one usable case. Got: {len(rows)} rows, all refused, "
            f"first {reasons}."
        )
    write(ingested, args.target)
    remember(args.target, made_by)
    print(f"ingest: {args.source}, {describe(ingested.summary)}, in {args.target}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.ingest", description=__doc__)
    parser.add_argument("--source", required=True, help="name of the source in the manifest")
    parser.add_argument("--form", required=True, choices=sorted(FORMS), help="form of its tables")
    parser.add_argument("raw", type=Path, help="folder with the images and tables")
    parser.add_argument("target", type=Path, help="folder to write")
    return parser.parse_args(argv)


def known_facts(target: Path) -> dict[str, ImageFacts]:
    """Read what an earlier run found out about the files that it kept, by their name."""
    columns = ["path", "width_px", "height_px", "sha256", "perceptual_hash"]
    rows = manifest.read(target / MANIFEST)[columns].itertuples(index=False)
    return {Path(path).name: ImageFacts(*values, problem="") for path, *values in rows}


def read_images(jobs: Sequence[Job], source: str) -> dict[Path, ImageFacts]:
    """Decode and hash every file, several at a time; of known bytes, hash alone."""
    parallel = params.load("parallel", ParallelParams)
    # A process of its own costs seconds to start: not for a handful of images.
    workers = min(parallel.processes, 1 + len(jobs) // 64)
    results = map_in_order(read_image, jobs, workers, parallel.cluster)
    bar = tqdm(results, desc=f"ingest {source}", total=len(jobs), unit="image", delay=2)
    facts = dict(zip((job.path for job in jobs), bar, strict=True))
    new = sum(facts[job.path] != job.known for job in jobs)
    print(f"ingest: {source}, {new} images decoded, {len(jobs) - new} known from before")
    return facts


def read_image(job: Job) -> ImageFacts:
    """Decode one file at full size, as a check of every byte, and hash it."""
    try:
        sha256 = sha256_of(job.path)
        if job.known is not None and job.known.sha256 == sha256:
            return job.known
        decoded = decode(job.path, params=job.settings, least_side_px=None)
        return ImageFacts(
            width_px=decoded.width_px,
            height_px=decoded.height_px,
            sha256=sha256,
            perceptual_hash=perceptual_hashes(decoded.pixels),
            problem="",
        )
    except ImageError as error:
        return ImageFacts(0, 0, "", "", problem=str(error))
    except OSError as error:
        problem = f"{job.path} must be a readable file. Got: {error.strerror}."
        return ImageFacts(0, 0, "", "", problem)


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
    """Write the three files as one folder, in place of an earlier one."""
    with atomic_folder(target, replaces=MANIFEST) as folder:
        write_csv(folder / "quarantine.csv", ingested.quarantine)
        write_json(folder / "summary.json", ingested.summary)
        manifest.write(ingested.manifest, folder / MANIFEST)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
