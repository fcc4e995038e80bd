"""Fit the maps of `probability_map`, and choose one by the log loss on cases left out.

All fitting is on cases that no deployed network trained on, and never on the test set. A map is
compared with others by cross-validation over patients: the probability of a case is always that of
a map fitted without its patient.
"""

import numpy as np
import pandas as pd

from pipeline.classes import CLASSES
from pipeline.scoring.ensemble import Combined, EnsembleError
from pipeline.scoring.ensemble_params import BEST, CalibrationParams
from pipeline.scoring.probability_map import (
    DIRICHLET,
    METHODS,
    NEVER,
    RANK_LOGISTIC,
    TEMPERATURE,
    IsotonicMap,
    LinearMap,
    ProbabilityMap,
    rank_logits,
    softmax,
)

# Beyond it a temperature says only that the scores are nearly always right, or never.
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.02, 50.0
# Probabilities of two fits to the same cases, on whatever machine.
SAME_FIT = 1e-4


def fit_map(
    method: str, combined: Combined, labels: np.ndarray, regularisation_c: float
) -> ProbabilityMap:
    """Fit one map.

    A class without a case gets probability exactly 0: nothing is known of when it should be said.

    Args:
        method: One of `probability_map.METHODS`.
        combined: Of n cases that no deployed network trained on.
        labels: Index into `CLASSES`, `(n,)` int.
        regularisation_c: As in `CalibrationParams`.

    Raises:
        EnsembleError: There is no case.
    """
    if len(labels) == 0:
        raise EnsembleError("the probability map needs at least one out-of-fold case. Got: none.")
    if method == RANK_LOGISTIC:
        clip = 0.5 / len(labels)
        logits = rank_logits(combined.rank_average, clip)
        return LinearMap(method, *_fit_multinomial(logits, labels, regularisation_c), clip)
    if method == TEMPERATURE:
        scale = np.eye(len(CLASSES)) / _fit_temperature(combined.mean_logits, labels)
        return LinearMap(method, scale, _never_unless(np.unique(labels)), None)
    if method == DIRICHLET:
        fitted = _fit_multinomial(combined.mean_logits, labels, regularisation_c)
        return LinearMap(method, *fitted, None)
    return _fit_isotonic(softmax(combined.mean_logits), labels)


def compare_maps(
    combined: Combined, labels: np.ndarray, units: np.ndarray, settings: CalibrationParams
) -> pd.DataFrame:
    """Measure every map on cases of patients that it was not fitted on.

    Args:
        combined: Of n cases that no deployed network trained on.
        labels: Index into `CLASSES`, `(n,)` int.
        units: Number of each case's patient, `(n,)` int, from `bootstrap.resampling_units`.
        settings: Parts and strength.

    Returns:
        A row per method: `method, n, units, folds`, and over all cases, each left out once,
        `log_loss`, `brier_score` (sum over the classes of the squared difference, mean over the
        cases) and `accuracy`. Where one patient has all cases, nothing can be left out: NaN.
        In the log loss a probability counts as 0.5/n at least: a case of a class that the other
        parts lack would make it infinite.
    """
    folds = min(settings.folds, len(np.unique(units)))
    rows = []
    for method in METHODS:
        row = {"method": method, "n": len(labels), "units": len(np.unique(units)), "folds": folds}
        if folds < 2:
            figures = dict.fromkeys(("log_loss", "brier_score", "accuracy"), np.nan)
        else:
            left_out = _cross_fit(method, combined, labels, units, settings)
            figures = _figures(left_out, labels)
        rows.append(row | figures)
    return pd.DataFrame(rows)


def choose_method(compared: pd.DataFrame, method: str) -> str:
    """Name the map to fit: the one that is asked for, or the one with the least log loss.

    Where nothing could be compared, that of the recipe, `rank_logistic`.
    """
    if method != BEST:
        return method
    losses = compared.set_index("method").log_loss
    return RANK_LOGISTIC if losses.isna().any() else str(losses.idxmin())


def refuse_other_fit(
    written: ProbabilityMap, combined: Combined, labels: np.ndarray, regularisation_c: float
) -> None:
    """Stop where a map is not the one that these cases give, such as one fitted on the test set.

    Args:
        written: The map that is to be deployed.
        combined: Of the cases that it must have been fitted on.
        labels: Theirs, index into `CLASSES`, `(n,)` int.
        regularisation_c: As in `CalibrationParams`.

    Raises:
        EnsembleError: Fitted again, it says something else of these cases.
    """
    method = written.to_json()["method"]
    own = fit_map(method, combined, labels, regularisation_c).apply(combined)
    apart = float(np.abs(written.apply(combined) - own).max())
    if not apart <= SAME_FIT:
        raise EnsembleError(
            f"the probability map ({method}) must be the one that is fitted on the {len(labels)} "
            f"cases that no deployed network trained on, and on no test case. Fitted again, "
            f"probabilities differ by {apart:.3g}."
        )


def _cross_fit(
    method: str,
    combined: Combined,
    labels: np.ndarray,
    units: np.ndarray,
    settings: CalibrationParams,
) -> np.ndarray:
    """Return each case's probabilities by the map fitted without its part, `(n, 9)`."""
    from sklearn.model_selection import GroupKFold

    folds = min(settings.folds, len(np.unique(units)))
    parts = GroupKFold(folds, shuffle=True, random_state=settings.seed)
    found = np.empty((len(labels), len(CLASSES)))
    for fitted_on, left_out in parts.split(labels, groups=units):
        own = combined.only(fitted_on)
        fitted = fit_map(method, own, labels[fitted_on], settings.regularisation_c)
        found[left_out] = fitted.apply(combined.only(left_out))
    return found


def _figures(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    truth = np.eye(len(CLASSES))[labels]
    of_truth = np.maximum((probabilities * truth).sum(axis=1), 0.5 / len(labels))
    return {
        "log_loss": float(-np.log(of_truth).mean()),
        "brier_score": float(((probabilities - truth) ** 2).sum(axis=1).mean()),
        "accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
    }


def _fit_multinomial(
    logits: np.ndarray, labels: np.ndarray, regularisation_c: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients `(9, 9)` and intercepts `(9,)`; the intercepts are not penalised."""
    from sklearn.linear_model import LogisticRegression

    present = np.unique(labels)
    coefficients = np.zeros((len(CLASSES), len(CLASSES)))
    intercepts = _never_unless(present)
    if len(present) > 1:
        # Second order: 10 steps to 1e-6 where L-BFGS takes 100 and more, and the same every time.
        model = LogisticRegression(C=regularisation_c, solver="newton-cholesky", tol=1e-6)
        model.fit(logits, labels)
        # With two classes scikit-learn keeps one row, of the second against the first.
        rows = present if len(present) > 2 else present[1:]
        coefficients[rows], intercepts[rows] = model.coef_, model.intercept_
    return coefficients, intercepts


def _never_unless(present: np.ndarray) -> np.ndarray:
    """Return intercepts `(9,)` that leave only these classes possible."""
    intercepts = np.full(len(CLASSES), NEVER)
    intercepts[present] = 0.0
    return intercepts


def _fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature with the least log loss; the loss has one valley in 1/T.

    The loss is over the classes that have a case, as the map is.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    present, columns = np.unique(labels, return_inverse=True)
    cases = np.arange(len(labels))

    def loss(inverse: float) -> float:
        return -log_softmax(logits[:, present] * inverse, axis=1)[cases, columns].mean()

    bounds = (1 / MOST_TEMPERATURE, 1 / LEAST_TEMPERATURE)
    return 1 / minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x


def _fit_isotonic(scores: np.ndarray, labels: np.ndarray) -> IsotonicMap:
    """Fit scikit-learn's isotonic regression of each class against the rest.

    Levels of a class that was seen are 0.5/n at least, so that no sum is 0 and no case impossible.
    """
    from sklearn.isotonic import IsotonicRegression

    least = 0.5 / len(labels)
    knots, levels = [], []
    for column in range(len(CLASSES)):
        positive = labels == column
        if positive.any():
            model = IsotonicRegression(y_min=least, y_max=1.0, out_of_bounds="clip")
            model.fit(scores[:, column], positive)
            knots.append(model.X_thresholds_.astype(np.float64))
            levels.append(model.y_thresholds_.astype(np.float64))
        else:
            knots.append(np.array([0.5]))
            levels.append(np.array([0.0]))
    return IsotonicMap(tuple(knots), tuple(levels))
