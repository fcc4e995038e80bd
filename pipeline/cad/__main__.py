"""Score a dermoscopic image with a bundle, or verify a bundle. Research use only; not a diagnosis.

Usage:
    python -m pipeline.cad predict --bundle DIR IMAGE [--age N] [--sex S] [--site T]
    python -m pipeline.cad verify --bundle DIR [--golden]
"""

import argparse
import json
import re
from pathlib import Path

from pipeline.cad.golden import check_golden
from pipeline.cad.inference import Patient, Scorer
from pipeline.command import run_stage
from pipeline.demographics import SEXES, SITES
from pipeline.deploy.bundle import load


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.command == "predict":
        patient = Patient(parse_age(args.age), args.sex or None, args.site or None)
        scorer = Scorer(load(args.bundle), args.threads)
        print(json.dumps(scorer.score(args.image, patient), indent=2, allow_nan=False))
    else:
        verify(args)


def verify(args: argparse.Namespace) -> None:
    bundle = load(args.bundle)
    scorer = Scorer(bundle, args.threads)
    manifest = bundle.manifest
    print(f"{manifest.name} {manifest.version}: {len(manifest.files)} files as listed")
    print(f"sha256 of SHA256SUMS: {bundle.sha256}")
    if args.golden:
        found = check_golden(scorer)
        print(
            f"golden: {found.cases} cases, members within {found.member_difference:.2g}, "
            f"ranks within {found.rank_difference:.2g}"
        )


def parse_age(text: str | None) -> float | None:
    """Read an age in years; stricter than `float`, which takes `nan`, `1_0` and `1e2`."""
    if not text:
        return None
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
        raise ValueError(f"age must be a number of years. Got: {text!r}.")
    return float(text)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.cad",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    predict = commands.add_parser("predict", help="print the scores of one image as JSON")
    predict.add_argument("image", type=Path, help="JPEG or PNG file")
    predict.add_argument("--age", help="years, 0 to 120; leave out where unknown")
    predict.add_argument("--sex", help=f"{', '.join(SEXES)}; leave out where unknown")
    predict.add_argument("--site", help=f"{', '.join(SITES)}; leave out where unknown")
    check = commands.add_parser("verify", help="check files, hashes and graph of a bundle")
    check.add_argument("--golden", action="store_true", help="score the golden cases too")
    for command in (predict, check):
        command.add_argument("--bundle", type=Path, required=True, help="folder of the bundle")
        command.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all cores")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
