"""The cases of a search: never the test set, never the fold whose members are deployed.

What a search has looked at is no measure of anything any more. So the rows that later figures come
from are taken out before anything else: only the folds that stay are known here, whatever other
parts the split may have.
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import manifest
from pipeline.classes import CLASSES
from pipeline.network.inputs import split_fold
from pipeline.shards.arrays import COLUMNS
from pipeline.shards.tables import INDEX, read_table


def read_rows(table: Path, outer_fold: int, inner_folds: tuple[int, ...]) -> pd.DataFrame:
    """Read the rows that a search may use: those of the folds but the outer one.

    Args:
        table: Manifest written by stage `split`.
        outer_fold: Its out-of-fold scores make the reference of the deployed members.
        inner_folds: Folds that trials are scored on.

    Raises:
        ValueError: There is no split yet, or an inner fold is the outer one, has no rows, or leaves
            none to train on.
    """
    frame = manifest.read(table)
    if "fold" not in frame:
        raise ValueError(f"{table} must have folds. Got: a manifest of before stage split.")
    if outer_fold in inner_folds:
        raise ValueError(
            f"params.yaml: tune.inner_folds must differ from ensemble.fold, whose scores make the "
            f"deployed reference. Got: {outer_fold} in {list(inner_folds)}."
        )
    is_fold = frame.fold.str.fullmatch("[0-9]+")  # not test, nor any other part
    rows = frame[is_fold & (frame.fold != str(outer_fold))]
    for fold in inner_folds:
        try:
            split_fold(rows, fold)
        except ValueError as error:
            known = sorted(rows.fold.unique())
            raise ValueError(
                f"params.yaml: tune.inner_folds must be folds of {table} that leave others to "
                f"train on, of {known}. Got: {fold}; {error}"
            ) from None
    return rows


def cases_sha256(rows: pd.DataFrame, arrays: Path) -> str:
    """Hash what is known of the rows, and where their pixels come from, in hex."""
    wanted = set(rows.image_id)
    sources = [
        f"{image_id} {source}\n"
        for image_id, _, _, source in read_table(arrays / INDEX, COLUMNS)
        if image_id in wanted
    ]
    columns = ["image_id", "diagnosis", "age_years", "sex", "site", "group_id", "fold"]
    text = rows[columns].to_csv(index=False) + "".join(sources)
    return hashlib.sha256(text.encode()).hexdigest()


def prior_loss(rows: pd.DataFrame, inner_folds: tuple[int, ...]) -> float:
    """Return the mean log-loss of giving every case the class shares of the training cases.

    What is worse than that has learnt nothing from the images.
    """
    losses = []
    for fold in inner_folds:
        parts = split_fold(rows, fold)
        counts = parts["training"].diagnosis.value_counts().reindex(CLASSES, fill_value=0)
        shares = (counts / counts.sum()).clip(lower=1e-12)
        losses.append(-np.log(shares[parts["out_of_fold"].diagnosis]).mean())
    return float(np.mean(losses))
