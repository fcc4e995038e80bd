"""The search itself: what Optuna proposes next, and when it ends a trial early.

A study is built anew, in memory, from the trials that are finished. The sampler of trial n is
seeded by (seed, n), so what is proposed depends on the trials before it alone, and not on whether
one process made them or several, one after another.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from pipeline.network.tune.params import PrunerParams, TuneParams
from pipeline.network.tune.space import Space

COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
STATES = {COMPLETE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED, FAILED: TrialState.FAIL}

optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line for each study otherwise


@dataclass(frozen=True)
class Trial:
    """A finished trial.

    Attributes:
        number: From 0, in the order in which they ran.
        params: Values by dotted name.
        state: `complete`, `pruned` or `failed`.
        value: Mean over the inner folds of the log-loss of the weights that training keeps; `None`
            unless complete.
        losses: Log-loss of the inner fold after each epoch, a list per inner fold that was begun.
        reason: Why it failed; empty otherwise.
        seconds: Of its training steps, by all processes that took part.
    """

    number: int
    params: dict[str, Any]
    state: str
    value: float | None
    losses: list[list[float]]
    reason: str
    seconds: float


def propose(trials: list[Trial], space: Space, settings: TuneParams) -> dict[str, Any]:
    """Choose the values of the trial that follows those that are finished.

    Args:
        trials: Finished ones, from number 0 on.
        space: What is searched.
        settings: Seed and how many are drawn at random.
    """
    seed = np.random.SeedSequence([settings.seed, len(trials)]).generate_state(1)[0]
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=settings.startup_trials, seed=int(seed), multivariate=True
    )
    return rebuild(trials, space, sampler=sampler).ask(space).params


def rebuild(
    trials: list[Trial], space: Space, sampler: optuna.samplers.BaseSampler | None = None
) -> optuna.Study:
    """Build the study of finished trials, in memory."""
    study = optuna.create_study(direction="minimize", sampler=sampler)
    for trial in trials:
        # Of pruned trials Optuna ranks those higher that came further.
        flat = [loss for losses in trial.losses for loss in losses]
        study.add_trial(
            optuna.trial.create_trial(
                state=STATES[trial.state],
                value=trial.value,
                params=trial.params,
                distributions=space,
                intermediate_values=dict(enumerate(flat)),
            )
        )
    return study


def is_hopeless(losses: list[float], earlier: list[list[float]], pruner: PrunerParams) -> bool:
    """Say whether a trial should end now.

    Args:
        losses: Of the trial after each epoch of one inner fold so far.
        earlier: Of complete trials after each epoch of the same inner fold.
        pruner: When to prune.
    """
    if pruner.kind == "none":
        return False
    chosen = optuna.pruners.PercentilePruner(
        pruner.percentile,
        n_startup_trials=pruner.startup_trials,
        n_warmup_steps=pruner.warmup_epochs,
    )
    study = optuna.create_study(direction="minimize", pruner=chosen)
    for values in earlier:
        study.add_trial(
            optuna.trial.create_trial(value=values[-1], intermediate_values=dict(enumerate(values)))
        )
    trial = study.ask()
    for epoch, loss in enumerate(losses):
        trial.report(loss, epoch)
    return bool(trial.should_prune())


def importances(trials: list[Trial], space: Space, seed: int) -> dict[str, float]:
    """Attribute the spread of the complete trials' values to parameters, by fANOVA.

    Returns:
        Shares that sum to 1, largest first; empty where fewer than four trials are complete, or
        all have one value.

    Source: Hutter et al. 2014, An efficient approach for assessing hyperparameter importance.
    """
    values = {trial.value for trial in trials if trial.state == COMPLETE}
    if sum(trial.state == COMPLETE for trial in trials) < 4 or len(values) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    return optuna.importance.get_param_importances(rebuild(trials, space), evaluator=evaluator)
