"""Stage `skin_tone`: how light the skin around each lesion is, as far as an image can say.

Usage: python -m stages.skin_tone data/split/manifest.csv data/crop data/skin_tone [--workers N]

Unvalidated: see `pipeline.images.skin_tone`. An empty angle means that too little skin was seen.
"""

import argparse
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from pipeline import manifest, params
from pipeline.command import run_stage
from pipeline.images.png import decode_png
from pipeline.images.skin_tone import estimate_ita
from pipeline.parallel import ParallelParams, add_workers_option, map_in_order
from pipeline.shards.archives import Place, open_smallest
from pipeline.storage import write_csv


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    cases = manifest.read(args.table)
    crops = open_smallest(args.crops)
    parallel = params.load("parallel", ParallelParams).with_workers(args.workers)
    places = (crops.place(image_id) for image_id in cases.image_id)
    found = map_in_order(estimate_tone, places, parallel.processes, parallel.cluster)
    bar = tqdm(found, desc="skin_tone", total=len(cases), unit="image")
    table = pd.DataFrame(bar, columns=["image_id", "ita_degrees", "ita_group"])
    write_csv(args.target / "skin_tone.csv", table)
    unknown = int((table.ita_group == "").sum())
    print(f"skin_tone: {len(table)} images, {unknown} with too little skin in {args.target}")


def estimate_tone(place: Place) -> tuple[str, float | None, str]:
    """Estimate the tone of one crop; runs in a process of its own."""
    found = estimate_ita(decode_png(place.read()))
    return (
        (place.image_id, None, "")
        if found is None
        else (place.image_id, found.degrees, found.group)
    )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.skin_tone", description=__doc__)
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("crops", type=Path, help="folder written by stage crop")
    parser.add_argument("target", type=Path, help="folder to write")
    add_workers_option(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
