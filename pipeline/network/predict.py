"""Probabilities of a member for many cases."""

import numpy as np
from tqdm import tqdm

from pipeline.network.compiled import Predictor
from pipeline.network.inputs import Cases


def predict_cases(
    predictor: Predictor, cases: Cases, *, batch_size: int, progress: str = ""
) -> np.ndarray:
    """Score cases in their own order.

    Args:
        predictor: From `compiled.make_predictor`.
        cases: What to score.
        batch_size: Images at a time.
        progress: Name of a progress bar; no bar where empty.

    Returns:
        Probabilities in the order of `CLASSES`, `(len(cases), 9)` float32.
    """
    rows = np.arange(len(cases))
    starts = range(0, len(cases), batch_size)
    parts = [
        predictor(cases.pixels(chunk), cases.demographics[chunk])
        for chunk in tqdm(
            [rows[start : start + batch_size] for start in starts],
            desc=progress,
            disable=not progress,
        )
    ]
    return np.concatenate(parts)
