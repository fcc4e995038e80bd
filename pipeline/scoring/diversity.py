"""How differently the members of an ensemble judge the same cases.

An ensemble gains where its members are wrong on different cases: correlated scores and shared
mistakes leave little to average out.

Source: Kuncheva and Whitaker 2003, https://doi.org/10.1023/A:1022859003006, for Q and double fault;
disagreement here is of labels, whether or not either is right.
"""

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from pipeline.classes import CLASSES
from pipeline.scoring.ensemble import EnsembleError
from pipeline.scoring.ensembles import check_members


def diversity(members: Mapping[str, np.ndarray], labels: np.ndarray) -> pd.DataFrame:
    """Measure every pair of members.

    Args:
        members: Name to probabilities, each `(n, 9)`, of the same cases; at least one case.
        labels: Index into `CLASSES`, `(n,)` int.

    Returns:
        One row per pair and measure: `first, second, measure, class, value, n`. `measure` is
        `spearman` (of the scores of one class), `disagreement` (share of cases with another label),
        `double_fault` (share that both get wrong) or `yules_q` (association of being right, from -1
        to 1). `class` is empty for the last three. `value` is empty, NaN, where undefined: a
        member that scores all cases of a class alike, or no spread of right and wrong.

    Raises:
        EnsembleError: An array is not as it must be.
    """
    shape = check_members(members)[0].shape
    if shape[1] != len(CLASSES):
        raise EnsembleError(f"members must be (n, {len(CLASSES)}). Got: {shape}.")
    rows = []
    for (one, first), (other, second) in itertools.combinations(members.items(), 2):
        said = first.argmax(axis=1), second.argmax(axis=1)
        right = said[0] == labels, said[1] == labels
        found = [
            *(
                ("spearman", name, spearman(first[:, k], second[:, k]))
                for k, name in enumerate(CLASSES)
            ),
            ("disagreement", "", float((said[0] != said[1]).mean())),
            ("double_fault", "", float((~right[0] & ~right[1]).mean())),
            ("yules_q", "", yules_q(*right)),
        ]
        rows += [(one, other, *figures, len(labels)) for figures in found]
    table = pd.DataFrame(rows, columns=["first", "second", "measure", "class", "value", "n"])
    return table.astype({"value": np.float64})


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """Correlate the ranks of two scores, `(n,)` each; `None` where one of them does not vary."""
    ranks = [rankdata(scores) for scores in (first, second)]
    ranks = [own - own.mean() for own in ranks]
    spread = np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum())
    return float((ranks[0] * ranks[1]).sum() / spread) if spread > 0 else None


def yules_q(first: np.ndarray, second: np.ndarray) -> float | None:
    """Associate being right of two members.

    Args:
        first: Which cases a member gets right, `(n,)` bool.
        second: Which another does.

    Returns:
        1 where they are right and wrong together, 0 where independent, -1 where never together;
        `None` where both products are 0, as of a member that is always right.
    """
    # Python's whole numbers do not overflow.
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    alone = int((first & ~second).sum()) * int((~first & second).sum())
    together = both * neither
    return (together - alone) / (together + alone) if together + alone else None
