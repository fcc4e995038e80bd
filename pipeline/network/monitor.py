"""Log-loss and accuracy of cases that are not trained on, after each epoch."""

import numpy as np

from pipeline.network.compiled import Predictor
from pipeline.network.distribution import Distribution
from pipeline.network.exchange import gather_rows
from pipeline.network.inputs import Cases
from pipeline.network.predict import predict_cases
from pipeline.network.run import TrainingError

SCORED_AT_ONCE = 64  # images


def score(
    cases: Cases, predictor: Predictor, name: str, distribution: Distribution
) -> dict[str, float]:
    """Return the log-loss and accuracy of a part, as columns of the history.

    Several processes score some of the cases each; all return the same.

    Raises:
        TrainingError: A probability is not finite.
    """
    probabilities = _probabilities(cases, predictor, distribution)
    bad = int((~np.isfinite(probabilities)).any(axis=1).sum())
    if bad:
        raise TrainingError(
            f"probabilities must be finite. Got: {bad} of {len(cases)} {name} cases where they are "
            "not; lower peak_learning_rate, lengthen warmup_epochs or set optimizer.clip_norm."
        )
    of_truth = probabilities[np.arange(len(cases)), cases.labels]
    return {
        f"{name}_loss": float(-np.log(np.maximum(of_truth, 1e-12)).mean()),
        f"{name}_accuracy": float((probabilities.argmax(axis=1) == cases.labels).mean()),
    }


def _probabilities(cases: Cases, predictor: Predictor, distribution: Distribution) -> np.ndarray:
    """Score this process's share of the cases, and join what all have scored."""
    # One case each at least, with fewer cases than processes: what is too many is cut off.
    parts = np.array_split(np.arange(len(cases)), distribution.processes)
    counts = [max(1, len(part)) for part in parts]
    first = sum(counts[: distribution.index]) % len(cases)
    rows = np.arange(first, first + counts[distribution.index])
    own = Cases(
        [cases.image_ids[row] for row in rows],
        cases.labels[rows],
        cases.demographics[rows],
        cases.shards,
    )
    scored = predict_cases(predictor, own, batch_size=SCORED_AT_ONCE)
    return gather_rows(distribution, scored, counts)[: len(cases)]
