"""Stage `bundle`: the folder for the CAD system, with golden cases, model card and checksums.

Usage: python -m stages.bundle data/split/manifest.csv models/export models/ensemble
models/operating_points models/gate reports/evaluate reports/benchmark models/bundle
"""

import argparse
import csv
from pathlib import Path

import pandas as pd

from pipeline import manifest, params
from pipeline.cad.golden import check_golden, score_golden
from pipeline.cad.inference import Scorer
from pipeline.command import run_stage
from pipeline.deploy import bundle, bundle_writer
from pipeline.deploy.bundle_writer import BundleParams
from pipeline.deploy.model_card import Evidence, Source, word_card
from pipeline.images.crop import CropParams
from pipeline.images.decode import DecodeParams
from pipeline.images.preprocess import PREPROCESSING_VERSION
from pipeline.images.resize import ResizeParams
from pipeline.network.member_params import MemberParams
from pipeline.scoring.ensemble import load_reference
from pipeline.scoring.ensemble_params import EnsembleParams
from pipeline.storage import atomic_folder, atomic_write, read_json

# Golden outputs must not depend on how many cores the writing machine has.
THREADS = 1


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("bundle", BundleParams)
    cases = manifest.read(args.table)
    described = describe(args, settings)
    evidence = gather_evidence(args, cases)
    with atomic_folder(args.target) as folder:
        bundle_writer.copy_file(args.exported / "ensemble.onnx", folder / bundle.MODEL_FILE)
        bundle_writer.copy_file(args.gate / "gate.json", folder / bundle.GATE_FILE)
        bundle_writer.copy_file(args.benchmark / "benchmark.json", folder / "benchmark.json")
        malignant = described.thresholds["malignant"].classes
        bundle_writer.write_labels(folder / "labels.json", malignant)
        with atomic_write(folder / "MODEL_CARD.md", "w") as file:
            file.write(word_card(described, evidence))
        drawn = bundle_writer.draw_golden(folder, settings)
        # The CAD's own path says what the golden cases score: what is sealed is what will run.
        scorer = Scorer(bundle.Bundle(folder, described, sha256=""), THREADS)
        scored = [score_golden(scorer, case) for case in drawn]
        bundle_writer.write_golden(folder, scored, reference_rows=described.reference_rows)
        bundle_writer.seal(folder, described)
        check_golden(Scorer(bundle.load(folder), THREADS))
    sealed = bundle.load(args.target)
    size = (args.target / bundle.MODEL_FILE).stat().st_size / 2**20
    print(
        f"bundle: {len(sealed.manifest.files)} files, model of {size:.0f} MiB, "
        f"{len(scored)} golden cases, sha256 {sealed.sha256[:12]}… in {args.target}"
    )


def describe(args: argparse.Namespace, settings: BundleParams) -> bundle.Manifest:
    """Gather the manifest from the parameters and what the stages before have written."""
    ensemble = params.load("ensemble", EnsembleParams)
    references = load_reference(args.ensemble / "reference.npz")
    return bundle_writer.make_manifest(
        settings,
        bundle.Preprocessing(
            PREPROCESSING_VERSION,
            decode=params.load("ingest", DecodeParams),
            crop=params.load("crop", CropParams),
            resample=params.load("resize", ResizeParams).resample,
        ),
        {name: read_member(name) for name in ensemble.members},
        deployed=bundle.Deployed(
            ensemble.deploy,
            ensemble.deployed_folds(params.read_section("split.train_folds")),
            params.read_section("predict.views"),
            ensemble.held_out_words,
        ),
        reference_rows=min(len(references[name]) for name in ensemble.members),
        thresholds=read_thresholds(args.thresholds / "operating_points.json"),
    )


def read_member(name: str) -> bundle.Member:
    """Take what a CAD system needs to know of a member."""
    member = params.load(f"member.{name}", MemberParams)
    return bundle.Member(member.backbone, member.crop_px, member.input_px, member.demographics)


def read_thresholds(path: Path) -> dict[str, bundle.Target]:
    """Read what stage `operating_points` chose."""
    return {
        name: params.build(target, bundle.Target, f"{path}: {name}")
        for name, target in read_json(path).items()
    }


def gather_evidence(args: argparse.Namespace, cases: pd.DataFrame) -> Evidence:
    """Read what the model card reports."""
    with open(args.evaluated / "per_class.csv", encoding="utf-8", newline="") as file:
        per_class = list(csv.DictReader(file))
    return Evidence(
        metrics=read_json(args.evaluated / "metrics.json"),
        per_class=per_class,
        interval=params.read_section("evaluate")["interval"],
        sources=list_sources(cases),
        parity=read_json(args.exported / "parity.json"),
    )


def list_sources(cases: pd.DataFrame) -> list[Source]:
    """Count the images by source and licence; those that stage `sample` generated are marked."""
    generated = manifest.generated_sources(cases)
    return [
        Source(name, licence, len(rows), name in generated)
        for (name, licence), rows in cases.groupby(["source", "licence"])
    ]


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.bundle", description=__doc__)
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("exported", type=Path, help="folder written by stage export")
    parser.add_argument("ensemble", type=Path, help="folder written by stage ensemble")
    parser.add_argument("thresholds", type=Path, help="folder written by stage operating_points")
    parser.add_argument("gate", type=Path, help="folder written by stage gate")
    parser.add_argument("evaluated", type=Path, help="folder written by stage evaluate")
    parser.add_argument("benchmark", type=Path, help="folder written by stage benchmark")
    parser.add_argument("target", type=Path, help="folder to write; absent or empty")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
