"""Stage `gate`: learn which pictures are unlike the training images, and test it on the test set.

Usage: python -m stages.gate data/split/manifest.csv data/crop models/gate [--workers N]

Fitted on all cases but the test set. `gate.json` goes into the bundle, and the CAD system gives its
reasons as warnings; `flagged.csv` says how many genuine test images get each reason.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from pipeline import manifest, params
from pipeline.command import run_stage
from pipeline.images.gate.descriptors import describe
from pipeline.images.gate.fit import GateParams, fit_gate
from pipeline.images.gate.json_form import to_json
from pipeline.images.gate.limits import WORDS, InputGate
from pipeline.images.png import decode_png
from pipeline.manifest import TEST
from pipeline.parallel import ParallelParams, add_workers_option, map_in_order
from pipeline.scoring.decisions import draw_resamples, flat, share_estimate
from pipeline.shards.archives import Place, open_smallest
from pipeline.storage import write_csv, write_json

ANY = "any"


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("gate", GateParams)
    parallel = params.load("parallel", ParallelParams).with_workers(args.workers)
    cases = manifest.read(args.table)
    descriptors = describe_cases(cases, args.crops, parallel)
    test = (cases.fold == TEST).to_numpy()
    gate = fit_gate(
        descriptors[~test],
        groups=cases.group_id[~test].to_numpy(),
        false_positive_share=settings.false_positive_share,
    )
    flagged = count_flagged(gate, descriptors[test], cases[test])
    write_json(args.target / "gate.json", to_json(gate))
    write_csv(args.target / "flagged.csv", flagged)
    warned = int(flagged.set_index("reason").flagged[ANY])
    print(
        f"gate: fitted on {gate.images} images; {warned} of {test.sum()} test images flagged, "
        f"in {args.target}"
    )


def describe_cases(cases: pd.DataFrame, crops: Path, parallel: ParallelParams) -> np.ndarray:
    """Describe the smallest crop of every case, `(n, len(FEATURES))` float64."""
    shards = open_smallest(crops)
    rows = zip(cases.image_id, cases.width_px, cases.height_px, strict=True)
    jobs = ((shards.place(name), int(width), int(height)) for name, width, height in rows)
    found = map_in_order(describe_crop, jobs, parallel.processes, parallel.cluster)
    return np.stack(list(tqdm(found, desc="gate", total=len(cases), unit="image")))


def describe_crop(job: tuple[Place, int, int]) -> np.ndarray:
    """Describe one crop; runs in a process of its own."""
    place, width_px, height_px = job
    return describe(decode_png(place.read()), width_px=width_px, height_px=height_px)


def count_flagged(gate: InputGate, descriptors: np.ndarray, cases: pd.DataFrame) -> pd.DataFrame:
    """Count how many genuine images get each reason, and any, with intervals."""
    _, flags = gate.judge(descriptors)
    flags[ANY] = np.logical_or.reduce([flags[code] for code in WORDS])
    resamples = draw_resamples(cases, params.read_section("evaluate"))
    every = np.ones(len(cases), bool)
    rows = [
        {
            "reason": code,
            "n": len(cases),
            "flagged": int(flags[code].sum()),
            **flat({"share": share_estimate(flags[code], every, resamples)}),
        }
        for code in (ANY, *WORDS)
    ]
    return pd.DataFrame(rows)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.gate", description=__doc__)
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("crops", type=Path, help="folder written by stage crop")
    parser.add_argument("target", type=Path, help="folder to write")
    add_workers_option(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
