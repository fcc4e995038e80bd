"""The too-good alarm on scores: a network that is nearly never wrong has mostly seen the answer.

Published networks reach a macro AUROC of 0.95 or so on these archives. Where one of this project
reaches the ceiling of `params.yaml`, cases of its fold or of the test set were likelier trained on,
or their pictures show their class (a ruler, a border, a size that one class alone has).
"""

from collections.abc import Mapping

import numpy as np

from pipeline.scoring.metrics import auroc, auroc_classes, every_case_once


class TooGoodError(ValueError):
    """A model is better than such data allow; the message names model and part."""


def macro_auroc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the mean one-vs-rest AUROC over the classes that have cases and others beside them.

    Args:
        labels: True class as index into `CLASSES`, `(n,)` int.
        scores: `(n, 9)`, higher for likelier.

    Returns:
        From 0 to 1; `None` where no class can be told from another.
    """
    counts = every_case_once(len(labels))
    classes = np.flatnonzero(auroc_classes(labels))
    figures = [auroc(labels == index, scores[:, index], counts)[0] for index in classes]
    return float(np.mean(figures)) if figures else None


def refuse_too_good(
    model: str,
    labels: np.ndarray,
    scores: np.ndarray,
    parts: Mapping[str, np.ndarray],
    ceiling: float,
) -> None:
    """Check one model's scores on parts that it did not train on.

    Args:
        model: Its name in the message, `b4-0` for a member and its fold.
        labels: True class of each case, `(n,)` int.
        scores: `(n, 9)`, higher for likelier.
        parts: Which cases each part has, `(n,)` bool, by what the message calls it.
        ceiling: Macro AUROC from which on there is an alarm.

    Raises:
        TooGoodError: The macro AUROC of a part reaches the ceiling.
    """
    for part, chosen in parts.items():
        found = macro_auroc(labels[chosen], scores[chosen]) if chosen.any() else None
        if found is not None and found >= ceiling:
            raise TooGoodError(
                f"{model} must have a macro AUROC below evaluate.too_good_auroc {ceiling} on "
                f"{part}. Got: {found:.4f} over {chosen.sum()} cases. Look for copies that stage "
                f"split did not find (data/split/proof.json), for weights that were trained on "
                f"these images, and for what one class alone has in its pictures: a size, a "
                f"border, a ruler, a camera. If it is right, raise the ceiling."
            )
