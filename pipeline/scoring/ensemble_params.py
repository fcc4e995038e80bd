"""Which networks are deployed, and how they give probabilities: section `ensemble`."""

from collections.abc import Collection
from dataclasses import dataclass

from pipeline.manifest import CALIBRATION
from pipeline.scoring.probability_map import METHODS

FOLD = "fold"
FOLD_AVERAGE = "fold_average"
BEST = "best"


@dataclass(frozen=True)
class CalibrationParams:
    """Part `calibration` of section `ensemble` of `params.yaml`.

    Attributes:
        method: One of `probability_map.METHODS`, or `best`: the least log loss on cases left out.
        regularisation_c: Inverse strength of the squared penalty of `rank_logistic` and
            `dirichlet`, scikit-learn's C.
        folds: Parts that are left out in turn when maps are compared.
        seed: Of the parts.
    """

    method: str
    regularisation_c: float
    folds: int
    seed: int

    def __post_init__(self) -> None:
        if self.method not in (BEST, *METHODS):
            raise ValueError(f"method must be {BEST} or one of {METHODS}. Got: {self.method!r}.")
        if self.regularisation_c <= 0:
            raise ValueError(f"regularisation_c must be > 0. Got: {self.regularisation_c}.")
        if self.folds < 2:
            raise ValueError(f"folds must be at least 2. Got: {self.folds}.")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0. Got: {self.seed}.")


@dataclass(frozen=True)
class EnsembleParams:
    """Section `ensemble` of `params.yaml`.

    Attributes:
        members: Names in section `member`.
        fold: The fold whose networks are deployed.
        deploy: `fold`; or `fold_average`, where a member's score is the mean of the probabilities
            of its networks of all trained folds.
        calibration: How the probability map is fitted.
    """

    members: tuple[str, ...]
    fold: int
    deploy: str
    calibration: CalibrationParams

    def __post_init__(self) -> None:
        if not self.members or len(set(self.members)) != len(self.members):
            raise ValueError(f"members must be one or more different names. Got: {self.members}.")
        if self.fold < 0:
            raise ValueError(f"fold must be at least 0. Got: {self.fold}.")
        check_deploy(self.deploy)

    @property
    def held_out(self) -> str:
        """Part of the manifest that no deployed network trained on, beside the test set.

        The reference, the probability map and the threshold come from it.
        """
        return CALIBRATION if self.deploy == FOLD_AVERAGE else str(self.fold)

    @property
    def held_out_words(self) -> str:
        """What the cases of `held_out` are called."""
        return CALIBRATION if self.deploy == FOLD_AVERAGE else "out-of-fold"

    def deployed_folds(self, trained: Collection[int]) -> tuple[int, ...]:
        """Return the folds whose networks make a member's score, ascending.

        Args:
            trained: Of `split.train_folds`.

        Raises:
            ValueError: The fold that is to be deployed is not trained.
        """
        if self.deploy == FOLD_AVERAGE:
            return tuple(sorted(trained))
        if self.fold not in trained:
            raise ValueError(
                f"ensemble.fold must be one of split.train_folds {sorted(trained)}. "
                f"Got: {self.fold}."
            )
        return (self.fold,)


def check_deploy(deploy: str) -> None:
    """Refuse an unknown way to deploy."""
    if deploy not in (FOLD, FOLD_AVERAGE):
        raise ValueError(f"deploy must be {FOLD} or {FOLD_AVERAGE}. Got: {deploy!r}.")


def check_calibration(deploy: str, calibration_share: float) -> None:
    """Refuse an average over folds for which nothing is set aside, before anything is trained.

    Every case of the folds was trained on by one of the networks: neither reference nor
    probability map can come from them.

    Raises:
        ValueError: So it is, or `deploy` is unknown.
    """
    check_deploy(deploy)
    if deploy == FOLD_AVERAGE and not calibration_share:
        raise ValueError(
            f"ensemble.deploy {FOLD_AVERAGE} must have a split.calibration_share above 0. "
            f"Got: {calibration_share}."
        )
