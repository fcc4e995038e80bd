"""Stage `skin_tone`: how light the skin around each lesion is, as far as an image can say.

Usage: python -m stages.skin_tone data/split/manifest.csv data/crop data/skin_tone

Unvalidated: see `pipeline.images.skin_tone`. An empty angle means that too little skin was seen.
"""

import argparse
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from pipeline import manifest
from pipeline.command import run_stage
from pipeline.images.png import decode_png
from pipeline.images.skin_tone import estimate_ita
from pipeline.shards.archives import EncodedShards
from pipeline.storage import atomic_write


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    cases = manifest.read(args.table)
    smallest = min(int(path.name) for path in args.crops.iterdir() if path.name.isdigit())
    crops = EncodedShards(args.crops / str(smallest))
    rows = []
    for image_id in tqdm(cases.image_id, desc="skin_tone", unit="image"):
        found = estimate_ita(decode_png(crops.read(image_id)))
        known = {} if found is None else {"ita_degrees": found.degrees, "ita_group": found.group}
        rows.append({"image_id": image_id, "ita_degrees": None, "ita_group": ""} | known)
    table = pd.DataFrame(rows)
    with atomic_write(args.target / "skin_tone.csv", "w") as file:
        table.to_csv(file, index=False)
    unknown = int((table.ita_group == "").sum())
    print(f"skin_tone: {len(table)} images, {unknown} with too little skin in {args.target}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.skin_tone", description=__doc__)
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("crops", type=Path, help="folder written by stage crop")
    parser.add_argument("target", type=Path, help="folder to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
