"""How a search over parameters runs: section `tune`, readable without Keras or Optuna."""

from dataclasses import dataclass
from typing import Any

PRUNERS = ("percentile", "none")


@dataclass(frozen=True)
class PrunerParams:
    """When a trial ends before its last epoch.

    Attributes:
        kind: `percentile`: when its best loss so far lies above a percentile of the losses that
            complete trials had after the same epoch of the same inner fold. `none`: never.
        percentile: In (0, 100]; 50 is the median.
        startup_trials: Complete trials before any is pruned.
        warmup_epochs: First epochs of an inner fold, after which none is pruned.
    """

    kind: str
    percentile: float
    startup_trials: int
    warmup_epochs: int

    def __post_init__(self) -> None:
        if self.kind not in PRUNERS:
            raise ValueError(f"pruner.kind must be one of {list(PRUNERS)}. Got: {self.kind!r}.")
        if not 0 < self.percentile <= 100:
            raise ValueError(f"pruner.percentile must be in (0, 100]. Got: {self.percentile}.")
        for name in ("startup_trials", "warmup_epochs"):
            if getattr(self, name) < 0:
                raise ValueError(f"pruner.{name} must be >= 0. Got: {getattr(self, name)}.")


@dataclass(frozen=True)
class TuneParams:
    """Section `tune` of `params.yaml`.

    Attributes:
        seed: Of what is proposed; trial n depends on (seed, n) and the trials before it alone.
        trials: Of a whole search; those that failed or were pruned count.
        startup_trials: First ones, drawn at random.
        inner_folds: Each is left out of training and scored in turn; a trial's value is the mean.
        pruner: When a trial ends early.
        space: From names such as `member.head.dropout` to ranges, see `tune.space`.
    """

    seed: int
    trials: int
    startup_trials: int
    inner_folds: tuple[int, ...]
    pruner: PrunerParams
    space: dict[str, Any]

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("trials", 1), ("startup_trials", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}. Got: {getattr(self, name)}.")
        folds = self.inner_folds
        if not folds or len(set(folds)) < len(folds) or min(folds) < 0:
            raise ValueError(f"inner_folds must be folds, each once. Got: {list(folds)}.")
        if not self.space:
            raise ValueError("space must name a parameter. Got: none.")
