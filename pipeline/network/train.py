"""The training loop: one compiled step, seeds derived from (seed, epoch), atomic checkpoints.

Not Keras' `fit`: its backup could not resume to identical weights, and it hides the step.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.network.batch import Result
from pipeline.network.batches import BatchReader
from pipeline.network.checkpoint import (
    Checkpoint,
    check_shapes,
    checkpoint_bytes,
    newest_checkpoint,
    save_checkpoint,
)
from pipeline.network.compiled import Step, is_out_of_memory, make_predictor, make_step
from pipeline.network.epoch import EpochPlan, plan_epoch, read_ahead
from pipeline.network.exchange import load_together
from pipeline.network.monitor import score
from pipeline.network.objective import class_weights
from pipeline.network.optimizers import averaged_weights
from pipeline.network.phases import Phase, enter, make_phases, phase_of, rate_at
from pipeline.network.run import Run, TrainingError, fingerprint
from pipeline.network.seeds import reseed
from pipeline.network.watch import Speed, Watch


@dataclass(frozen=True)
class Outcome:
    """What a finished run leaves besides the model's weights."""

    history: list[dict[str, Any]]
    checkpoint_bytes: int


def train(run: Run, *, name: str) -> Outcome:
    """Train a member, resuming where an earlier process was killed.

    Args:
        run: The run; `run.model` holds the final weights afterwards: those of the last epoch, or,
            with early stopping, of the best one.
        name: Name in the progress bar.

    Raises:
        TrainingError: The loss or a gradient is not finite, or a batch does not fit into memory.
        CheckpointError: The resume folder holds a run of another recipe, or no whole checkpoint,
            or the disk is full.
    """
    try:
        return _Training(run).finish(name)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        member = run.member
        raise TrainingError(
            f"a step of {name} must fit into memory. Got: batch_size {member.batch_size} in "
            f"{member.accumulation_steps} parts at input_px {member.input_px} and precision "
            f"{member.precision}. Raise accumulation_steps (the same batch in smaller parts), use "
            "precision bfloat16, or lower batch_size or input_px."
        ) from error


class _Training:
    """A run under way."""

    def __init__(self, run: Run) -> None:
        self.run = run
        with run.distribution.scope():
            self.phases = make_phases(run.model, run.member, run.settings)
        optimizers = [variable for phase in self.phases for variable in phase.optimizer.variables]
        self.variables = [*run.model.variables, *optimizers]
        self.recipe = fingerprint(run)
        self.weights = class_weights(run.training.labels, run.settings.loss.class_weights)
        self.history: list[dict[str, Any]] = []
        self.best: list[np.ndarray] = []
        self.predictor = make_predictor(run.model)

    def finish(self, name: str) -> Outcome:
        """Train from the newest checkpoint, or from the start, to the end."""
        steps, partial = self._restore()
        for row in self.history:
            self._tell(row)
        plan = self._plan(0)
        self.run.distribution.check_batch(plan.rows.shape[1], self.run.member.accumulation_steps)
        watch = Watch(
            name,
            epochs=self.run.member.epochs,
            epoch_images=plan.rows.size,
            history=self.history,
            folder=self.run.live_folder,
        )
        step, phase = None, None
        with watch:
            while not self._is_done():
                epoch = len(self.history)
                if phase is not phase_of(self.phases, epoch):
                    phase = phase_of(self.phases, epoch)
                    step = self._compile(phase)
                row = self._train_epoch(epoch, step, steps, partial, watch)
                self._finish_epoch(phase, row)
                watch.epoch(self.history[-1])
                self._tell(self.history[-1])
                steps, partial = 0, _no_losses()
        self._take_final_weights()
        size = checkpoint_bytes(self.run.resume_folder) if self.run.distribution.is_chief else 0
        return Outcome(self.history, size)

    def _tell(self, row: dict[str, Any]) -> None:
        if self.run.after_epoch:
            self.run.after_epoch(row)

    def _restore(self) -> tuple[int, dict[str, list[float]]]:
        """Take over a checkpoint; return the steps and losses of its unfinished epoch."""
        found = load_together(self.run.distribution, self.run.resume_folder, self.recipe)
        if not found:
            return 0, _no_losses()
        check_shapes(self.run.resume_folder, found, [tuple(v.shape) for v in self.variables])
        for variable, array in zip(self.variables, found.arrays, strict=True):
            variable.assign(array)
        self.history, self.best = list(found.history), found.best
        return found.step, found.partial or _no_losses()

    def _compile(self, phase: Phase) -> Step:
        enter(phase, self.run.model, self.run.member)
        run = self.run
        return make_step(
            run.model, phase.variables, phase.optimizer, run.settings, run.distribution
        )

    def _plan(self, epoch: int) -> EpochPlan:
        settings, labels = self.run.settings, self.run.training.labels
        return plan_epoch(
            labels,
            self.run.member.batch_size,
            sampling=settings.sampling,
            seed=settings.seed,
            epoch=epoch,
        )

    def _train_epoch(
        self, epoch: int, step: Step, done: int, losses: dict[str, list[float]], watch: Watch
    ) -> dict[str, float]:
        """Take the steps of one epoch that are left; return its means and speed."""
        speed, waiting = Speed(), None
        run, plan = self.run, self._plan(epoch)
        read = BatchReader(run, plan, epoch, self.weights)
        if not done:
            reseed(run.model, run.settings.seed, epoch)
        step.begin()
        for index, (parts, waited) in enumerate(
            read_ahead(read, len(plan), start=done), start=done
        ):
            rate = self._rate(epoch, index, len(plan))
            results = [step(part, rate) for part in parts]
            # One step behind: the device works on the next one while this waits for a number.
            if waiting:
                self._note(*waiting, losses, plan)
            waiting = (results, epoch, index)
            speed.step(plan.rows.shape[1], waited)
            watch.step(epoch, plan.rows.shape[1], losses["loss"], rate)
            if self._saves_after(index, len(plan)):
                self._note(*waiting, losses, plan)
                waiting = None
                step.end()
                self._save(epoch, index + 1, losses)
                step.begin()
        if waiting:
            self._note(*waiting, losses, plan)
        step.end()
        means = {key: float(np.mean(values)) for key, values in losses.items()}
        return means | {"learning_rate": rate} | speed.row()

    def _rate(self, epoch: int, step: int, steps: int) -> float:
        monitored = [row["inner_loss"] for row in self.history if "inner_loss" in row]
        return rate_at(epoch, step, steps, self.run.member, self.run.settings, monitored)

    def _saves_after(self, index: int, steps: int) -> bool:
        """Say whether a checkpoint inside the epoch is due; at its end there is one anyway."""
        every = self.run.settings.checkpoint_steps
        return bool(every) and (index + 1) % every == 0 and index + 1 < steps

    def _note(
        self,
        results: list[Result],
        epoch: int,
        index: int,
        losses: dict[str, list[float]],
        plan: EpochPlan,
    ) -> None:
        """Read a step's numbers from the device, and stop where one is not finite."""
        for key in losses:
            losses[key].append(float(np.mean([float(getattr(r, key)) for r in results])))
        for key in ("loss", "gradient_norm"):
            if not math.isfinite(losses[key][-1]):
                ids = [self.run.training.image_ids[row] for row in plan.rows[index]]
                kept = newest_checkpoint(self.run.resume_folder)
                raise TrainingError(
                    f"{key} must be finite. Got: {losses[key][-1]} in epoch {epoch + 1}, step "
                    f"{index + 1}, on {ids}. The last finite weights are in "
                    f"{kept or 'no checkpoint yet: this was the first epoch'}; lower "
                    "peak_learning_rate, lengthen warmup_epochs or set optimizer.clip_norm."
                )

    def _finish_epoch(self, phase: Phase, row: dict[str, float]) -> None:
        """Score, keep the weights if they are the best, and write a checkpoint."""
        run, epoch = self.run, len(self.history)
        with averaged_weights(phase.variables, phase.optimizer):
            if run.monitored:
                row |= score(run.monitored, self.predictor, "inner", run.distribution)
            row |= score(run.held_out, self.predictor, "held_out", run.distribution)
            self.history.append({"epoch": epoch + 1, **row})
            if run.settings.early_stopping.patience and self._best_epoch() == epoch:
                self.best = [np.asarray(variable) for variable in run.model.variables]
        self._save(epoch + 1, 0, {})

    def _save(self, epoch: int, step: int, losses: dict[str, list[float]]) -> None:
        if not self.run.distribution.is_chief:
            return
        arrays = [np.asarray(variable) for variable in self.variables]
        state = Checkpoint(epoch, step, arrays, self.best, self.history, losses)
        save_checkpoint(self.run.resume_folder, state, self.recipe)

    def _best_epoch(self) -> int:
        return int(np.argmin([row["inner_loss"] for row in self.history]))

    def _is_done(self) -> bool:
        """Say whether the last epoch is over, or early stopping has seen enough."""
        patience, epochs = self.run.settings.early_stopping.patience, len(self.history)
        if epochs == self.run.member.epochs:
            return True
        return bool(patience and epochs) and epochs - 1 - self._best_epoch() >= patience

    def _take_final_weights(self) -> None:
        """Leave in the model what is kept: the best epoch's weights, or averages, or the last."""
        if self.best:
            for variable, array in zip(self.run.model.variables, self.best, strict=True):
                variable.assign(array)
            return
        phase = phase_of(self.phases, len(self.history) - 1)
        if phase.optimizer.use_ema:
            phase.optimizer.finalize_variable_values(phase.variables)


def _no_losses() -> dict[str, list[float]]:
    return {"loss": [], "accuracy": [], "gradient_norm": []}
