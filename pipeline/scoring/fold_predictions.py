"""Predictions of every member's networks, one network for each fold left out, read together.

A case of a trained fold is out-of-fold for one network of a member and was trained on by all its
others; the test set and the calibration part are predicted by all of them. Each table is checked
against the manifest: every case that its network did not train on is there once, and no other.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.manifest import TEST
from pipeline.scoring.ensemble_params import EnsembleParams
from pipeline.scoring.predictions import (
    PROBABILITIES,
    Predicted,
    PredictionsError,
    read_members,
    split_of,
)

ByFold = dict[int, Predicted]  # by the fold left out


def read_folds(
    folder: Path, members: tuple[str, ...], folds: tuple[int, ...], manifest: pd.DataFrame
) -> ByFold:
    """Read the predictions of all members' networks.

    Args:
        folder: Holds `<member>-<fold>/predictions.csv`.
        members: Their names.
        folds: Those that networks were trained without.
        manifest: With the column `fold`.

    Raises:
        PredictionsError: A table is not as it must be; the message names it.
    """
    return {fold: read_members(folder, members, fold, manifest) for fold in folds}


def choose_deployed(by_fold: ByFold, ensemble: EnsembleParams) -> Predicted:
    """Return the deployed scores of the cases that no deployed network trained on.

    Returns:
        The test set and the part that the reference comes from; where several networks of a member
        are deployed, the mean of their probabilities.

    Raises:
        ValueError: The fold that is to be deployed was not trained.
    """
    folds = ensemble.deployed_folds(by_fold)
    networks = [by_fold[fold].only(TEST, ensemble.held_out) for fold in folds]
    scores = {
        # In float64, then rounded once; the mean of one network is the network's own.
        name: np.mean([n.scores[name] for n in networks], axis=0, dtype=np.float64)
        for name in networks[0].scores
    }
    return Predicted(networks[0].cases, {k: v.astype(np.float32) for k, v in scores.items()})


def pool_out_of_fold(by_fold: ByFold) -> Predicted:
    """Put the out-of-fold cases of all trained folds under one another, in the manifest's order.

    Each case has the scores of the one network of a member that did not train on it.

    Raises:
        PredictionsError: The folds have no case.
    """
    own = [found.only(str(fold)) for fold, found in by_fold.items()]
    cases = pd.concat([found.cases for found in own])
    if cases.empty:
        raise PredictionsError(f"folds {sorted(by_fold)} must have cases. Got: none.")
    order = np.argsort(cases.index, kind="stable")  # of the manifest's rows
    members = own[0].scores
    pooled = {name: np.concatenate([found.scores[name] for found in own]) for name in members}
    return Predicted(cases.iloc[order], {name: scores[order] for name, scores in pooled.items()})


def list_predictions(by_fold: ByFold) -> pd.DataFrame:
    """List every prediction of a case by a network that did not train on it.

    Returns:
        `image_id, member, fold, split` and the probabilities, by member, fold and manifest.
    """
    tables = []
    for member in next(iter(by_fold.values())).scores:
        for fold, found in by_fold.items():
            columns = {"image_id": found.cases.image_id.to_numpy(), "member": member, "fold": fold}
            table = pd.DataFrame(columns).assign(split=split_of(found.cases))
            tables.append(table.join(pd.DataFrame(found.scores[member], columns=PROBABILITIES)))
    return pd.concat(tables, ignore_index=True)
