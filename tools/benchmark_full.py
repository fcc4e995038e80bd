"""Benchmark the members at the paper's own input sizes, on networks that nobody trained.

Usage: python -m tools.benchmark_full   (`make benchmark-full`)

Latency and bytes do not depend on what a network learnt, so the weights are random; statistics of
batch normalisation come from generated images, for numbers that overflow or vanish are not timed
like others. The members and their views are those of recipe `isic`, the engines, rounds and threads
those of `params.yaml`; a member is one network, whatever `ensemble.deploy` says. Writes
reports/benchmark-full/benchmark.json and the charts. Parity on random weights says little: stage
`export` measures it on trained ones.
"""

import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from tqdm import tqdm

from pipeline import params
from pipeline.classes import CLASSES
from pipeline.command import run_stage
from pipeline.demographics import DEMOGRAPHICS_WIDTH
from pipeline.deploy.artefacts import EnsembleArtefacts, MemberArtefacts
from pipeline.deploy.benchmark import BenchmarkParams, run_benchmark
from pipeline.deploy.charts import draw_latency, draw_sizes
from pipeline.deploy.merge import merge_members
from pipeline.images.resize import resize_to_square
from pipeline.images.synthetic import render
from pipeline.network.member_params import MemberParams
from pipeline.scoring.ensemble import make_reference, save_reference
from pipeline.scoring.ensemble_params import EnsembleParams
from pipeline.scoring.probability_map import RANK_LOGISTIC, LinearMap
from pipeline.storage import write_json
from tools.recipe import merge, read_recipe
from tools.summary import latency_table, reduction_table

RECIPE = "isic"
TARGET = Path("reports/benchmark-full")
SEED = 20200601
# Out-of-fold cases of both archives: a fifth of what is left after a test set of a fifth.
REFERENCE_CASES = 9285
STATISTICS_IMAGES = 4


@dataclass(frozen=True)
class Job:
    """One member that is built and exported, in a process of its own."""

    name: str
    recipe: MemberParams
    views: int
    opset: int
    folder: Path
    images: np.ndarray


def main() -> None:
    settings = params.load("benchmark", BenchmarkParams)
    opset = params.read_section("export.opset")
    recipes = read_members(Path())
    views = read_merged("predict", Path())["views"]
    arrays = generate_inputs(recipes, max(*settings.batches, STATISTICS_IMAGES))
    with tempfile.TemporaryDirectory(prefix="benchmark-full-") as folder:
        work = Path(folder)
        jobs = [
            Job(name, recipe, views, opset, work, arrays[image_input(recipe)])
            for name, recipe in recipes.items()
        ]
        members = build_members(jobs)
        ensemble = build_ensemble(members, work)
        result = run_benchmark(members, ensemble, arrays, settings)
    result["command"] = " ".join(["python", *sys.orig_argv[1:]])
    result["weights"] = "random; batch normalisation's statistics from generated images"
    TARGET.mkdir(parents=True, exist_ok=True)
    write_json(TARGET / "benchmark.json", result)
    draw_latency(result, TARGET / "latency.png")
    draw_sizes(result, TARGET / "sizes.png")
    print("\n\n".join([latency_table(result), reduction_table(result)]))
    print(f"benchmark_full: {len(members)} members and the ensemble in {TARGET}")


def read_members(root: Path) -> dict[str, MemberParams]:
    """Read the deployed members of recipe `isic`, as merged into `params.yaml`, without weights."""
    deployed = params.load("ensemble", EnsembleParams, root / params.PARAMS_FILE)
    found, place = read_merged("member", root), f"recipes/{RECIPE}.yaml: member"
    members = {
        name: params.build(found.get(name), MemberParams, f"{place}.{name}")
        for name in deployed.members
    }
    return {name: replace(member, weights="none") for name, member in members.items()}


def read_merged(section: str, root: Path) -> dict[str, Any]:
    """Read a section of `params.yaml` as recipe `isic` leaves it."""
    values = {section: params.read_section(section, root / params.PARAMS_FILE)}
    merge(values, {section: read_recipe(root, RECIPE)[section]}, f"recipes/{RECIPE}.yaml")
    return values[section]


def image_input(recipe: MemberParams) -> str:
    return f"image_{recipe.crop_px}_{recipe.input_px}"


def generate_inputs(recipes: dict[str, MemberParams], count: int) -> dict[str, np.ndarray]:
    """Make every input of the members from generated images, `count` rows each."""
    crop_px = max(recipe.crop_px for recipe in recipes.values())
    crops = [
        render(CLASSES[n % len(CLASSES)], SEED + n, crop_px, crop_px, view=0, skin_type=1 + n % 6)
        for n in range(count)
    ]
    resample = params.read_section("resize.resample")
    arrays = {"demographics": np.zeros((count, DEMOGRAPHICS_WIDTH), np.float32)}
    for recipe in recipes.values():
        images = [resize_to_square(crop, recipe.input_px, resample=resample) for crop in crops]
        arrays[image_input(recipe)] = np.stack(images)
    return arrays


def build_members(jobs: list[Job]) -> list[MemberArtefacts]:
    """Build and export members, each in a process that ends before the next one starts.

    One at a time: tf2onnx takes 13 GB for B7 and 5 GB for B4, whatever the input size.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        return list(tqdm(pool.map(build_and_export, jobs), desc="export", total=len(jobs)))


def build_and_export(job: Job) -> MemberArtefacts:
    """Build one member and write every artefact that the benchmark compares."""
    # TensorFlow is imported by the workers alone.
    import keras
    import tensorflow as tf

    from pipeline.deploy.export import export_member, export_savedmodel
    from pipeline.network.checkpoint import Checkpoint, save_checkpoint
    from pipeline.network.compiled import prepare_backend
    from pipeline.network.members import build_member
    from pipeline.network.scored import load_scored

    prepare_backend()
    keras.utils.set_random_seed(SEED)
    weights = job.folder / f"{job.name}.weights.h5"
    # At momentum 0 one pass in training mode sets the statistics.
    statistics = replace(job.recipe, freeze_batch_norm=False, batch_norm_momentum=0.0)
    network = build_member(statistics)
    images = job.images[:STATISTICS_IMAGES]
    known = np.zeros((len(images), DEMOGRAPHICS_WIDTH), np.float32)
    # As a graph: run eagerly, Keras keeps every activation to the end, 8 GB for B7.
    inputs = [tf.constant(images), tf.constant(known)][: len(network.inputs)]
    tf.function(lambda values: network(values, training=True), jit_compile=False)(inputs)
    network.save_weights(weights)

    network = load_scored(job.recipe, [weights], views=job.views)
    optimizer = keras.optimizers.Adam()
    optimizer.build(network.trainable_variables)
    state = [np.asarray(v) for v in network.variables + optimizer.variables]
    with tempfile.TemporaryDirectory(dir=job.folder) as folder:
        checkpoint_bytes = save_checkpoint(Path(folder), Checkpoint(1, 0, state, [], [], {}), "")
    savedmodel, path = job.folder / job.name, job.folder / f"{job.name}.onnx"
    export_savedmodel(network, savedmodel)
    export_member(network, path, member=job.name, crop_px=job.recipe.crop_px, opset=job.opset)
    return MemberArtefacts(
        member=job.name,
        recipe=job.recipe,
        parameters=network.count_params(),
        training_checkpoint_bytes=checkpoint_bytes,
        weights=(weights,),
        views=job.views,
        savedmodel=savedmodel,
        onnx=path,
    )


def build_ensemble(members: list[MemberArtefacts], folder: Path) -> EnsembleArtefacts:
    """Join the members with references and a map of random numbers, of a real run's sizes."""
    rng = np.random.default_rng(SEED)
    count = len(CLASSES)
    references = {
        member.member: make_reference(rng.dirichlet(np.ones(count), REFERENCE_CASES))
        for member in members
    }
    probability_map = LinearMap(
        RANK_LOGISTIC,
        np.eye(count) + 0.1 * rng.normal(size=(count, count)),
        np.zeros(count),
        0.5 / REFERENCE_CASES,
    )
    ensemble = EnsembleArtefacts(
        folder / "ensemble.onnx", folder / "reference.npz", folder / "probability_map.json"
    )
    save_reference(ensemble.reference, references)
    write_json(ensemble.probability_map, probability_map.to_json())
    graphs = {member.member: onnx.load(member.onnx) for member in members}
    merge_members(graphs, references, probability_map, ensemble.onnx)
    return ensemble


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
