"""Stage `data_report`: what the cases are, step by step, on one page that opens offline.

Usage: python -m stages.data_report data/ingest data/split data/crop reports/data_report

Writes `index.html`, and beside it the charts and contact sheets that it shows and its tables as
CSV. The page holds pictures of the archives' images: it may go where they may.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline import manifest, params
from pipeline.cases import overview, sections
from pipeline.classes import CLASSES
from pipeline.command import run_stage
from pipeline.images.contact_sheet import Tile, draw_sheet, encode_sheet, fold
from pipeline.images.decode import Decoded, DecodeParams, decode
from pipeline.images.png import decode_png
from pipeline.page import Picture, Section, render_page, save_table
from pipeline.shards.archives import EncodedShards, open_smallest
from pipeline.storage import atomic_folder, atomic_write, read_json

TILE_PX = 160


@dataclass(frozen=True)
class DataReportParams:
    """Section `data_report` of `params.yaml`."""

    seed: int
    class_samples: int
    crop_samples: int
    duplicate_samples: int

    def __post_init__(self) -> None:
        for name in ("class_samples", "crop_samples", "duplicate_samples"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Got: {getattr(self, name)}.")


@dataclass(frozen=True)
class Inputs:
    """What the earlier stages wrote."""

    accounts: dict[str, dict[str, Any]]
    cases: pd.DataFrame
    proof: dict[str, Any]
    duplicates: pd.DataFrame
    boxes: pd.DataFrame
    crops: EncodedShards


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("data_report", DataReportParams)
    inputs = read_inputs(args)
    with atomic_folder(args.target) as folder:
        parts = [
            sections.describe_steps(inputs.accounts, inputs.cases, len(inputs.boxes), folder),
            describe_classes(inputs, folder, settings),
            sections.describe_people(inputs.cases, folder),
            sections.describe_originals(inputs.cases, folder),
            describe_duplicates(inputs, folder, settings),
            describe_crops(inputs, folder, settings),
        ]
        lead = (
            f"{len(inputs.cases):,} cases of {len(inputs.accounts)} sources, "
            f"{count_set_aside(inputs.proof['folds'])}. "
            "Every number is counted from the tables of stages ingest, split and crop."
        )
        with atomic_write(folder / "index.html", "w") as file:
            file.write(render_page("The data, step by step", lead, parts))
    print(f"data_report: {len(inputs.cases)} cases, {len(parts)} sections in {args.target}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="stages.data_report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("ingested", type=Path, help="folder with one folder per source")
    parser.add_argument("split", type=Path, help="folder written by stage split")
    parser.add_argument("crops", type=Path, help="folder written by stage crop")
    parser.add_argument("target", type=Path, help="folder to write; absent or empty")
    return parser.parse_args(argv)


def read_inputs(args: argparse.Namespace) -> Inputs:
    """Read the tables, and open the smallest crops."""
    return Inputs(
        accounts={
            source: read_json(args.ingested / source / "summary.json")
            for source in sorted(params.read_section("sources"))
        },
        cases=manifest.read(args.split / "manifest.csv"),
        proof=read_json(args.split / "proof.json"),
        duplicates=pd.read_csv(args.split / "duplicates.csv", dtype=str, keep_default_na=False),
        boxes=pd.read_csv(args.crops / "boxes.csv", dtype={"image_id": str}).set_index("image_id"),
        crops=open_smallest(args.crops),
    )


def describe_classes(inputs: Inputs, folder: Path, settings: DataReportParams) -> Section:
    """Count classes by source and fold, and show some of each."""
    cases = inputs.cases
    rng = np.random.default_rng(settings.seed)
    tiles = [
        Tile(read_crop(inputs, case.image_id), f"{case.diagnosis} {case.image_id}")
        for name in CLASSES
        for case in overview.draw_sample(
            cases[cases.diagnosis == name], settings.class_samples, rng
        ).itertuples()
    ]
    return Section(
        "Classes",
        [],
        [
            save_table(
                overview.count_classes(cases, "source"), "By source", folder / "classes.csv"
            ),
            save_table(
                overview.count_classes(cases, "fold"), name_parts(cases), folder / "folds.csv"
            ),
        ],
        [
            sections.draw_chart("classes", cases, folder),
            sheet(tiles, settings.class_samples, "class_samples", folder, "Crops of each class."),
        ],
    )


def count_set_aside(parts: Mapping[str, Any]) -> str:
    """Say how many cases no network trains on."""
    text = f"{parts[manifest.TEST]['cases']:,} of them in the test set"
    if manifest.CALIBRATION in parts:
        text += f", {parts[manifest.CALIBRATION]['cases']:,} in the calibration part"
    return text


def name_parts(cases: pd.DataFrame) -> str:
    """Say which parts the cases are counted by."""
    if (cases.fold == manifest.CALIBRATION).any():
        return "By fold, calibration part and test set"
    return "By fold and test set"


def describe_duplicates(inputs: Inputs, folder: Path, settings: DataReportParams) -> Section:
    """Show pairs of images that are one picture."""
    counts = pd.Series(inputs.proof["duplicate_pairs"], name="pairs").rename_axis("kind").to_frame()
    paths = inputs.cases.set_index("image_id").path
    # Those that say most come first: equal pictures under different diagnoses.
    pairs = inputs.duplicates.sort_values("same_diagnosis", kind="stable")
    pairs = pairs[: settings.duplicate_samples]
    tiles = [
        Tile(read_original(paths[image_id]).pixels, f"{image_id} {pair.kind}")
        for pair in pairs.itertuples()
        for image_id in (pair.image_id_1, pair.image_id_2)
    ]
    text = f"The first {len(pairs)} pairs of duplicates.csv, those of unlike diagnoses first."
    return Section(
        "Duplicates",
        ["Both images of a pair stay, in one fold. All pairs stand in duplicates.csv of split."],
        [
            save_table(
                counts, "Pairs of images that show the same picture", folder / "duplicates.csv"
            )
        ],
        [sheet(tiles, 6, "duplicates", folder, text)] if tiles else [],
    )


def describe_crops(inputs: Inputs, folder: Path, settings: DataReportParams) -> Section:
    """Show originals with the box that was kept, and the crop, some for each reason."""
    rng = np.random.default_rng(settings.seed)
    paths = inputs.cases.set_index("image_id").path
    tiles = []
    for reason, boxes in inputs.boxes.groupby("reason"):
        for image_id, box in overview.draw_sample(boxes, settings.crop_samples, rng).iterrows():
            tiles += crop_tiles(inputs, image_id, box, paths[image_id], str(reason))
    counts = inputs.boxes.reason.value_counts().sort_index().rename("images").to_frame()
    return Section(
        "Crops",
        [],
        [save_table(counts, "What decided the crop", folder / "crops.csv")],
        [
            sheet(
                tiles, 6, "crops", folder, "Originals with the box that was kept, and their crops."
            )
        ],
    )


def sheet(tiles: list[Tile], columns: int, name: str, folder: Path, caption: str) -> Picture:
    """Draw a contact sheet."""
    png = encode_sheet(draw_sheet(fold(tiles, columns), cell_px=(TILE_PX, TILE_PX)))
    with atomic_write(folder / f"{name}.png") as file:
        file.write(png)
    return Picture(png, caption, caption)


def read_crop(inputs: Inputs, image_id: str) -> np.ndarray:
    """Read the smallest crop of an image."""
    return decode_png(inputs.crops.read(image_id))


def read_original(path: str) -> Decoded:
    """Decode an original no larger than a tile needs."""
    limits = params.load("ingest", DecodeParams)
    return decode(Path(path), params=limits, least_side_px=TILE_PX)


def crop_tiles(
    inputs: Inputs, image_id: str, box: pd.Series, path: str, reason: str
) -> tuple[Tile, Tile]:
    """Show an original with its box, and the crop."""
    original = read_original(path)
    sides = [float(box[f"{side}_px"]) for side in ("left", "top", "right", "bottom")]
    return (
        Tile(original.pixels, f"{image_id} {reason}", original.locate(*sides)),
        Tile(read_crop(inputs, image_id), f"{image_id} crop"),
    )


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
