"""What is searched and on what, read and checked before the first trial."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import params
from pipeline.network.inputs import open_arrays
from pipeline.network.member_params import MemberParams
from pipeline.network.train_params import TrainParams
from pipeline.network.tune.cases import cases_sha256, prior_loss, read_rows
from pipeline.network.tune.params import TuneParams
from pipeline.network.tune.space import Space, read_space


@dataclass(frozen=True)
class Search:
    """What was searched, and on what.

    Attributes:
        member: Its name in section `member`.
        settings: Section `tune`.
        space: Ranges by name.
        sections: The member as `member` and section `train`, as `params.yaml` has them.
        outer_fold: Never seen.
        cases: Scored on, in each inner fold.
        rows: All cases that the search has read.
        prior: Log-loss of giving every case the class shares of the training cases.
        recipe: All that shapes the search, by name, as JSON has it; how many trials does not.
    """

    member: str
    settings: TuneParams
    space: Space
    sections: dict[str, Any]
    outer_fold: int
    cases: dict[int, int]
    rows: int
    prior: float
    recipe: dict[str, Any]


def read_search(member: str, trials: int | None, table: Path, arrays: Path) -> Search:
    """Read `params.yaml` and the cases.

    Args:
        member: Name in section `member`.
        trials: In place of `tune.trials`, where given.
        table: Manifest written by stage `split`.
        arrays: Folder written by stage `resize`.

    Raises:
        ValueError: A section, a name or range of the space, a fold or an array is not as it must.
    """
    settings = params.load("tune", TuneParams)
    if trials is not None:
        settings = replace(settings, trials=trials)
    params.load(f"member.{member}", MemberParams)
    params.load("train", TrainParams)
    sections = {
        "member": params.read_section(f"member.{member}"),
        "train": params.read_section("train"),
    }
    space = read_space(settings.space, sections)
    outer_fold = _read_outer_fold()
    rows = read_rows(table, outer_fold, settings.inner_folds)
    open_arrays(rows, arrays)
    return Search(
        member=member,
        settings=settings,
        space=space,
        sections=sections,
        outer_fold=outer_fold,
        cases={fold: int((rows.fold == str(fold)).sum()) for fold in settings.inner_folds},
        rows=len(rows),
        prior=prior_loss(rows, settings.inner_folds),
        recipe=_recipe(settings, sections, outer_fold, cases_sha256(rows, arrays)),
    )


def _read_outer_fold() -> int:
    fold = params.read_section("ensemble.fold")
    if type(fold) is not int:
        raise params.ParamsError(f"params.yaml: ensemble.fold must be a fold. Got: {fold!r}.")
    return fold


def _recipe(
    settings: TuneParams, sections: dict[str, Any], outer_fold: int, cases: str
) -> dict[str, Any]:
    tune = asdict(settings)
    del tune["trials"]  # a search may go on with more
    parts = {**sections, "tune": tune}
    named = {
        f"{part}.{key}": value for part, values in parts.items() for key, value in values.items()
    }
    named |= {"ensemble.fold": outer_fold, "cases": cases}
    return json.loads(json.dumps(named))  # tuples to lists, as they are read back
