"""Stage `split`: a test set and folds that no patient, lesion or duplicate crosses, with proof.

Usage: python -m stages.split data/ingest data/split

Reads the manifest of each source that params.yaml names, and writes three files:

  manifest.csv    all cases by image_id, each with its group_id (the component: images that share a
                  patient, a lesion or a picture, directly or through others) and its fold, which is
                  test, 0 to folds - 1, or calibration where split.calibration_share is above 0
  duplicates.csv  the pairs of images that show one picture, and whether their diagnoses agree
  proof.json      what was checked in the finished table, and counts; its key "about" explains them

Nothing is written, and the exit status is 1, where something crosses, or where metadata alone tells
a class. What duplicates, folds and the alarm are follows section split of params.yaml.
"""

import argparse
from pathlib import Path

from pipeline import manifest, params
from pipeline.cases.duplicates import find_duplicates, list_pairs
from pipeline.cases.metadata_leak import measure_leak
from pipeline.cases.proof import prove
from pipeline.cases.split import SplitParams, join_sources, read_parts, split
from pipeline.command import run_stage
from pipeline.scoring.ensemble_params import check_calibration
from pipeline.storage import write_csv, write_json


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("split", SplitParams)
    # What stage ensemble would refuse after all the training is refused here.
    check_calibration(params.read_section("ensemble.deploy"), settings.calibration_share)
    cases = join_sources([manifest.read(table) for table in source_tables(args.source)])
    duplicates = find_duplicates(cases, settings.near_duplicate_bits)
    earlier = read_parts(settings)
    parted = split(cases, duplicates, settings, earlier)
    proof = prove(parted, settings, earlier)
    kept = parted[~parted.is_repeated].sort_values("image_id").drop(columns="is_repeated")
    proof["metadata_alone"] = measure_leak(kept, settings)
    write_json(args.target / "proof.json", proof)
    write_csv(args.target / "duplicates.csv", list_pairs(cases, duplicates))
    manifest.write(kept, args.target / "manifest.csv")
    contradicted = proof["repeated_with_different_diagnosis"]
    if contradicted:
        print(
            f"split: images to which a second source gives another diagnosis: {len(contradicted)}, "
            f"first {', '.join(contradicted[:5])}; that of the first source by name is kept"
        )
    set_aside = f"{proof['folds'][manifest.TEST]['cases']} in the test set"
    if settings.calibration_share:
        calibration = proof["folds"][manifest.CALIBRATION]["cases"]
        set_aside += f", {calibration} in the calibration part"
    print(
        f"split: {proof['cases']} cases in {proof['components']} components, "
        f"{set_aside}, {settings.folds} folds, "
        f"no crossing, in {args.target}"
    )


def source_tables(folder: Path) -> list[Path]:
    """List the manifests of the sources that params.yaml names; others are left from a recipe."""
    tables = [folder / name / "manifest.csv" for name in sorted(params.read_section("sources"))]
    absent = [str(table) for table in tables if not table.is_file()]
    if absent or not tables:
        raise ValueError(
            f"{folder} must hold a manifest.csv for each of params.yaml's sources. "
            f"Missing: {absent}, of {len(tables)}. Run stage ingest."
        )
    return tables


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="stages.split",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="folder with one folder per source of ingest")
    parser.add_argument("target", type=Path, help="folder to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
