"""Stage `explain`: what the answers rest on, in pictures, and whether the maps can be believed.

Usage: python -m stages.explain data/split/manifest.csv data/crop data/resize data/predict
models/train models/ensemble models/bundle reports/explain

All of it on the test set. Grad-CAM comes from the deployed networks in Keras, occlusion from the
bundle's graph through the CAD's own preprocessing of the originals; either is refused where it does
not score as the tables say. The galleries hold the archives' pictures: they may go where those may.
"""

# Longer than most: four packages meet here that must not know each other.

import argparse
import multiprocessing
import os
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from pipeline import manifest, params
from pipeline.cad.explanation import Question, ask, refuse_other_graph
from pipeline.cad.inference import Patient, Scorer
from pipeline.cad.saliency import Saliency, SaliencyParams
from pipeline.classes import CLASSES
from pipeline.command import run_stage
from pipeline.demographics import encode_demographics
from pipeline.deploy import bundle
from pipeline.images import case_maps
from pipeline.images.case_maps import (
    ENSEMBLE,
    GRAD_CAM,
    OCCLUSION,
    CaseMap,
    ExplainedCase,
    ShownShelf,
)
from pipeline.images.gallery_sheet import SheetStyle
from pipeline.images.png import decode_png
from pipeline.network.maps_job import MapsJob, MemberMaps, refuse_other_scores
from pipeline.network.member_params import MemberParams
from pipeline.parallel import ParallelParams
from pipeline.scoring import gallery
from pipeline.scoring.decisions import draw_resamples
from pipeline.scoring.ensemble_params import EnsembleParams
from pipeline.scoring.fold_predictions import choose_deployed, read_folds
from pipeline.scoring.gallery import Answers, Shelf
from pipeline.scoring.map_checks import (
    ChecksParams,
    gain_rows,
    mean_map,
    measure_all,
    nest_gains,
    word_gains,
)
from pipeline.scoring.predictions import labels_of, read_ensemble
from pipeline.shards.archives import open_smallest
from pipeline.shards.arrays import ArrayShards
from pipeline.storage import write_csv, write_json


@dataclass(frozen=True)
class ExplainParams:
    """Section `explain` of `params.yaml`."""

    seed: int
    per_class: int
    errors: int
    map_px: int
    target: str
    tile_px: int
    opacity: float
    contours: tuple[float, ...]
    occlusion: SaliencyParams
    checks: ChecksParams

    def __post_init__(self) -> None:
        for name in ("per_class", "errors", "map_px", "tile_px"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Got: {getattr(self, name)}.")


@dataclass(frozen=True, eq=False)
class Tested:
    """The test set, what the ensemble says of it, and each member's scores, `(n, 9)`."""

    cases: pd.DataFrame
    answers: Answers
    members: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Looked:
    """What was made of some test cases.

    Attributes:
        rows: Their positions in the test set.
        questions: The graph with each case's image and patient.
        occlusions: Of each case, by class.
        members: Grad-CAM of each member; two maps a case, of the predicted and of the true class.
        difference: Largest, of the graph's probabilities from the table's.
    """

    rows: list[int]
    questions: list[Question]
    occlusions: list[dict[str, Saliency]]
    members: list[MemberMaps]
    difference: float


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("explain", ExplainParams)
    tested = read_tested(args)
    shelves = gallery.hang(tested.answers, per_class=settings.per_class, errors=settings.errors)
    drawn = np.random.default_rng(settings.seed).permutation(len(tested.cases))
    drawn = sorted(drawn[: settings.checks.cases].tolist())
    rows = sorted({row for shelf in shelves for row in shelf.rows} | set(drawn))
    threads = params.load("parallel", ParallelParams).workers or os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as executor:
        looked = look(args, tested, rows, settings, executor)
        checks = check_maps(tested, looked, drawn, settings, executor)
    shown = show(tested, looked, shelves, cells=settings.occlusion.grid)
    write_galleries(args, shown, shelves, word_gains(checks), settings)
    write_csv(args.target / "checks.csv", pd.DataFrame(checks))
    write_json(args.target / "explain.json", summarise(tested, looked, shelves, checks))
    cpu = sum(os.times()[:4])  # of this process and of those that it waited for
    print(
        f"explain: {len(rows)} of {len(tested.cases)} test cases in {args.target}, {cpu:.0f} CPU s"
    )


def read_tested(args: argparse.Namespace) -> Tested:
    """Read the test set with the deployed scores."""
    ensemble = params.load("ensemble", EnsembleParams)
    folds = tuple(params.read_section("split.train_folds"))
    by_fold = read_folds(args.predictions, ensemble.members, folds, manifest.read(args.table))
    predicted = choose_deployed(by_fold, ensemble)
    _, probabilities = read_ensemble(args.ensemble / "predictions.csv", predicted.cases)
    test = predicted.only(manifest.TEST)
    names = test.cases.image_id.to_numpy(str)
    answers = Answers(names, labels_of(test.cases), probabilities[predicted.is_test])
    return Tested(test.cases, answers, test.scores)


def look(
    args: argparse.Namespace,
    tested: Tested,
    rows: list[int],
    settings: ExplainParams,
    executor: Executor,
) -> Looked:
    """Draw Grad-CAM in a process a member, and occlusion meanwhile in threads of this one."""
    jobs = [make_job(name, args, tested, rows, settings) for name in tested.members]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(len(jobs), os.cpu_count() or 1), mp_context=context) as pool:
        # Largest first: it takes as long as the others together.
        order = sorted(jobs, key=lambda job: -sum(path.stat().st_size for path in job.weights))
        futures = {job.name: pool.submit(draw_member, job) for job in order}
        questions = prepare(args, tested, jobs, rows, settings)
        labels = [tested.answers.labels(row) for row in rows]
        found = executor.map(lambda one, own: one.occlude(own, settings.map_px), questions, labels)
        occlusions = list(tqdm(found, desc="occlusion", total=len(rows)))
        members = [futures[job.name].result() for job in tqdm(jobs, desc="grad_cam")]
    for maps, job in zip(members, jobs, strict=True):
        refuse_other_scores(maps, job.image_ids, tested.members[maps.name][rows])
    said = [own[label].score for own, (label, _) in zip(occlusions, labels, strict=True)]
    wanted = tested.answers.probabilities[rows].max(axis=1)
    difference = refuse_other_graph(np.array(said), wanted)
    return Looked(rows, questions, occlusions, members, difference)


def make_job(
    name: str,
    args: argparse.Namespace,
    tested: Tested,
    rows: list[int],
    settings: ExplainParams,
) -> MapsJob:
    """Gather what one member's maps need."""
    ensemble = params.load("ensemble", EnsembleParams)
    folds = ensemble.deployed_folds(params.read_section("split.train_folds"))
    cases, answers = tested.cases.iloc[rows], tested.answers
    known = cases[["age_years", "sex", "site"]].itertuples(index=False)
    return MapsJob(
        name=name,
        member=params.load(f"member.{name}", MemberParams),
        weights=tuple(args.trained / f"{name}-{fold}" / "weights.weights.h5" for fold in folds),
        views=params.read_section("predict.views"),
        image_ids=tuple(cases.image_id),
        pixels=ArrayShards(args.arrays / name).read(cases.image_id.tolist()),
        known=np.stack([encode_demographics(*row) for row in known]),
        classes=np.stack([answers.predicted[rows], answers.truth[rows]]),
        target=settings.target,
        map_px=settings.map_px,
        batch_size=params.read_section("predict.batch_size"),
    )


def draw_member(job: MapsJob) -> MemberMaps:
    """Draw one member's maps; runs in a process of its own."""
    # Keras is imported by the workers alone.
    from pipeline.network.member_maps import draw_maps

    return draw_maps(job)


def prepare(
    args: argparse.Namespace,
    tested: Tested,
    jobs: list[MapsJob],
    rows: list[int],
    settings: ExplainParams,
) -> list[Question]:
    """Read the originals as the CAD does, and hold them against the members' arrays."""
    scorer = Scorer(bundle.load(args.bundle), threads=1)  # each thread asks on its own
    questions = []
    for place, case in enumerate(tested.cases.iloc[rows].itertuples(index=False)):
        patient = Patient.of_case(case)
        sizes = [(job.member.crop_px, job.member.input_px) for job in jobs]
        expected = {size: job.pixels[place] for size, job in zip(sizes, jobs, strict=True)}
        path = Path(case.path)
        questions.append(ask(scorer, path, patient, expected=expected, params=settings.occlusion))
    return questions


def check_maps(
    tested: Tested,
    looked: Looked,
    drawn: list[int],
    settings: ExplainParams,
    executor: Executor,
) -> list[dict[str, Any]]:
    """Hold the maps of the predicted class against controls, by the ensemble's probability."""
    places, checks = [looked.rows.index(row) for row in drawn], settings.checks
    labels = [tested.answers.labels(row)[0] for row in drawn]
    pairs = list(zip(places, labels, strict=True))
    scores = [looked.questions[at].score_hidden(label) for at, label in pairs]
    kinds = {
        "occlusion": [looked.occlusions[at][label].heat for at, label in pairs],
        "grad_cam": [
            mean_map(np.stack([maps.heat[0, at] for maps in looked.members])) for at in places
        ],
    }
    resamples = draw_resamples(tested.cases.iloc[drawn], params.read_section("evaluate"))
    rows: list[dict[str, Any]] = []
    for number, (kind, heats) in enumerate(kinds.items()):
        seed = (settings.seed, number)
        areas = measure_all(heats, scores, steps=checks.steps, seed=seed, executor=executor)
        found = list(tqdm(areas, desc=f"check {kind}", total=len(drawn)))
        rows += gain_rows(kind, found, counts=resamples.counts, interval=resamples.interval)
    return rows


def explain(tested: Tested, looked: Looked, row: int, cells: int) -> ExplainedCase:
    """Put a case together with its maps."""
    place, answers = looked.rows.index(row), tested.answers
    said, truth = answers.labels(row)
    maps = []
    for label, found in looked.occlusions[place].items():
        drop, size = float(found.drops.max()), (cells, cells)
        maps.append(CaseMap(OCCLUSION, ENSEMBLE, label, found.heat, found.score, size, drop))
    for number, label in enumerate(dict.fromkeys((said, truth))):
        for member in looked.members:
            score = float(member.probabilities[place, CLASSES.index(label)])
            heat = member.heat[number, place]
            maps.append(CaseMap(GRAD_CAM, member.name, label, heat, score, member.cells, None))
    given = dict(zip(CLASSES, answers.probabilities[row].tolist(), strict=True))
    return ExplainedCase(str(answers.image_ids[row]), truth, said, given, tuple(maps))


def show(tested: Tested, looked: Looked, shelves: list[Shelf], *, cells: int) -> list[ShownShelf]:
    """Put all cases of the galleries together."""
    return [
        ShownShelf(
            shelf.gallery,
            shelf.title,
            tuple(explain(tested, looked, row, cells) for row in shelf.rows),
        )
        for shelf in shelves
    ]


def write_galleries(
    args: argparse.Namespace,
    shown: list[ShownShelf],
    shelves: list[Shelf],
    note: str,
    settings: ExplainParams,
) -> None:
    """Draw the galleries, and write their cases and maps."""
    crops = open_smallest(args.crops)
    style = SheetStyle(settings.tile_px, settings.opacity, settings.contours)
    for name, counts in gallery.count(shelves).items():
        case_maps.draw_shelves(
            args.target / f"gallery_{name}.png",
            [case_maps.HEADINGS[name].format(**counts), note],
            [shelf for shelf in shown if shelf.gallery == name],
            lambda image_id: decode_png(crops.read(image_id)),
            style,
        )
    saved = case_maps.save_cases(args.target / "maps", shown)
    write_csv(args.target / "cases.csv", pd.DataFrame(saved))
    cases = {case.image_id: case for shelf in shown for case in shelf.cases}
    write_csv(args.target / "maps.csv", pd.DataFrame(case_maps.map_rows(cases.values())))


def summarise(
    tested: Tested, looked: Looked, shelves: list[Shelf], checks: list[dict[str, Any]]
) -> dict[str, Any]:
    """Gather what a reader compares: how many, how fine, how much better than controls."""
    said = [
        own[tested.answers.labels(row)[0]]
        for row, own in zip(looked.rows, looked.occlusions, strict=True)
    ]
    undefined = {"occlusion": sum(not one.is_defined for one in said)}
    for maps in looked.members:
        undefined[f"grad_cam_{maps.name}"] = int(np.isnan(maps.heat[0]).all(axis=(1, 2)).sum())
    return {
        "test_cases": len(tested.cases),
        "mapped_cases": len(looked.rows),
        "undefined_maps": undefined,
        "galleries": gallery.count(shelves),
        "cells": {maps.name: list(maps.cells) for maps in looked.members},
        "largest_graph_difference": looked.difference,
        "gains": nest_gains(checks),
    }


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stages.explain", description=__doc__)
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("crops", type=Path, help="folder written by stage crop")
    parser.add_argument("arrays", type=Path, help="folder of stage resize, one folder per member")
    parser.add_argument("predictions", type=Path, help="folder of the outputs of stage predict")
    parser.add_argument("trained", type=Path, help="folder of stage train")
    parser.add_argument("ensemble", type=Path, help="folder written by stage ensemble")
    parser.add_argument("bundle", type=Path, help="folder written by stage bundle")
    parser.add_argument("target", type=Path, help="folder to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
