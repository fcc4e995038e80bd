"""The training loop: one compiled step, seeds derived from (seed, epoch), atomic checkpoints.

Not Keras' `fit`: its backup could not resume to identical weights, and it hides the step.
"""

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from pipeline.network.augmentation.draw import draw_augmentation
from pipeline.network.augmentation.params import AugmentParams
from pipeline.network.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from pipeline.network.inputs import Cases, shuffled_batches
from pipeline.network.member_params import MemberParams
from pipeline.network.predict import make_predictor, predict_cases
from pipeline.network.schedule import learning_rate_at
from pipeline.network.step import make_train_step


class TrainingError(ValueError):
    """Training cannot go on."""


@dataclass(frozen=True)
class TrainParams:
    """Section `train` of `params.yaml`."""

    seed: int
    augment: AugmentParams


@dataclass(frozen=True)
class Run:
    """One training run: what is trained, how, on what, and where it resumes.

    Attributes:
        model: Freshly built member.
        member: Its section of `params.yaml`.
        settings: Section `train`.
        training: Cases that are trained on.
        held_out: Cases of the fold left out, looked at after each epoch and never chosen by.
        resume_folder: Where checkpoints are kept, outside DVC's outs.
    """

    model: keras.Model
    member: MemberParams
    settings: TrainParams
    training: Cases
    held_out: Cases
    resume_folder: Path


@dataclass(frozen=True)
class Outcome:
    """What a finished run leaves besides the model's weights."""

    history: list[dict[str, Any]]
    checkpoint_bytes: int


def train(run: Run, *, name: str) -> Outcome:
    """Train a member to its last epoch, resuming where an earlier process was killed.

    Args:
        run: The run; `run.model` holds the final weights afterwards.
        name: Name in the progress bar.

    Raises:
        TrainingError: The loss is not finite.
        CheckpointError: The resume folder holds a run of another recipe, or no whole checkpoint.
    """
    optimizer = keras.optimizers.Adam()
    optimizer.build(run.model.trainable_variables)
    variables = run.model.variables + optimizer.variables
    recipe = fingerprint(run)
    found = load_checkpoint(run.resume_folder, recipe)
    if found:
        restore(variables, found.arrays)
    history = list(found.history) if found else []
    step, predictor = (
        make_train_step(run.model, optimizer, run.settings.augment),
        make_predictor(run.model),
    )
    checkpoint_bytes = 0
    steps = len(shuffled_batches(len(run.training), run.member.batch_size, seed=0, epoch=0))
    with tqdm(total=run.member.epochs * steps, initial=len(history) * steps, desc=name) as bar:
        for epoch in range(len(history), run.member.epochs):
            started = time.perf_counter()
            row = _train_epoch(run, step, epoch, bar)
            row |= _held_out(run, predictor)
            history.append({"epoch": epoch + 1, **row, "seconds": time.perf_counter() - started})
            state = Checkpoint(epoch + 1, [np.asarray(v) for v in variables], history)
            checkpoint_bytes = save_checkpoint(run.resume_folder, state, recipe)
    if not checkpoint_bytes:  # the earlier process had finished the last epoch
        checkpoint_bytes = max(p.stat().st_size for p in run.resume_folder.glob("epoch-*.npz"))
    return Outcome(history, checkpoint_bytes)


def _train_epoch(run: Run, step: Any, epoch: int, bar: tqdm) -> dict[str, float]:
    """Take the steps of one epoch; return its mean loss, accuracy and last learning rate."""
    seed, member = run.settings.seed, run.member
    batches = shuffled_batches(len(run.training), member.batch_size, seed=seed, epoch=epoch)
    drawn = draw_augmentation(
        run.settings.augment,
        seed=seed,
        epoch=epoch,
        count=len(run.training),
        size_px=member.input_px,
        repetition=0,  # a batch takes no image twice in an epoch
    )
    reseed(run.model, seed, epoch)
    losses, hits = [], []
    for index, rows in enumerate(batches):
        rate = learning_rate_at(
            epoch * len(batches) + index,
            peak=member.peak_learning_rate,
            steps_per_epoch=len(batches),
            warmup_epochs=member.warmup_epochs,
            epochs=member.epochs,
        )
        cases = run.training
        loss, right = step(
            cases.pixels(rows), cases.demographics[rows], cases.labels[rows], drawn[rows], rate
        )
        if not math.isfinite(loss):
            raise TrainingError(
                f"loss must be finite. Got: {loss} in epoch {epoch + 1}, step {index + 1}, on "
                f"{[cases.image_ids[r] for r in rows]}. The last epoch's checkpoint is kept in "
                f"{run.resume_folder}; lower peak_learning_rate or lengthen warmup_epochs."
            )
        losses.append(loss)
        hits.append(right)
        bar.update()
        bar.set_postfix(epoch=epoch + 1, loss=f"{np.mean(losses):.3f}", rate=f"{rate:.1e}")
    return {
        "loss": float(np.mean(losses)),
        "accuracy": float(np.mean(hits)),
        "learning_rate": rate,
    }


def _held_out(run: Run, predictor: Any) -> dict[str, float]:
    """Score the held-out fold; for the history only, no epoch is chosen by it."""
    cases = run.held_out
    probabilities = predict_cases(predictor, cases, batch_size=64)
    of_truth = probabilities[np.arange(len(cases)), cases.labels]
    return {
        "held_out_loss": float(-np.log(np.maximum(of_truth, 1e-12)).mean()),
        "held_out_accuracy": float((probabilities.argmax(axis=1) == cases.labels).mean()),
    }


def reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Set every dropout's generator from (seed, epoch), so that a resumed epoch repeats exactly."""
    for index, layer in enumerate(model._flatten_layers()):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            state = np.random.SeedSequence([seed, epoch, 2, index]).generate_state(2)
            generator.state.assign(state.astype(generator.state.dtype))


def restore(variables: list[Any], arrays: list[np.ndarray]) -> None:
    """Assign a checkpoint's arrays to the variables they were read from."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def fingerprint(run: Run) -> str:
    """Hash everything that shapes a run: params, cases, labels and demographics."""
    digest = hashlib.sha256()
    digest.update(json.dumps([asdict(run.member), asdict(run.settings)]).encode())
    for cases in (run.training, run.held_out):
        digest.update("\n".join(cases.image_ids).encode())
        digest.update(cases.labels.tobytes() + cases.demographics.tobytes())
    return digest.hexdigest()
