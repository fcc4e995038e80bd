"""Golden cases: images inside the bundle whose scores are known, scored again on this machine."""

from dataclasses import dataclass
from typing import Any

from pipeline import params, storage
from pipeline.cad.inference import Patient, Scorer
from pipeline.classes import CLASSES
from pipeline.deploy.bundle import GOLDEN_FILE, BundleError

SCORES = ("probabilities", "rank_scores", "members")


@dataclass(frozen=True)
class GoldenCase:
    """An image of the bundle, its demographics, and what it must score."""

    image: str
    age_years: float | None
    sex: str | None
    site: str | None
    probabilities: dict[str, float]
    rank_scores: dict[str, float]
    members: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Golden:
    """Contents of `golden/golden.json`."""

    member_tolerance: float
    rank_tolerance: float
    cases: tuple[GoldenCase, ...]


@dataclass(frozen=True)
class GoldenResult:
    """How far the scores of this machine are from the expected ones, at most."""

    cases: int
    member_difference: float
    rank_difference: float


def score_golden(scorer: Scorer, drawn: dict[str, Any]) -> dict[str, Any]:
    """Score a case.

    Args:
        scorer: Of the bundle that holds the case.
        drawn: `image`, `age_years`, `sex` and `site`.

    Returns:
        The same keys and the scores, as `GoldenCase` has them.
    """
    patient = Patient(drawn["age_years"], drawn["sex"], drawn["site"])
    result = scorer.score(scorer.bundle.folder / drawn["image"], patient)
    return drawn | {key: result[key] for key in SCORES}


def check_golden(scorer: Scorer) -> GoldenResult:
    """Score the golden cases of a bundle, and compare with what it says that they score.

    Raises:
        BundleError: A case is further from its expected scores than the bundle's tolerances, or
            `golden/golden.json` has other keys than `Golden`.
    """
    place = scorer.bundle.folder / GOLDEN_FILE
    try:
        golden = params.build(storage.read_json(place), Golden, str(place))
    except ValueError as error:
        raise BundleError(str(error)) from None
    pairs = [_differences(scorer, case) for case in golden.cases]
    for case, pair in zip(golden.cases, pairs, strict=True):
        tolerances = (golden.member_tolerance, golden.rank_tolerance)
        for what, value, tolerance in zip(
            ("members", "rank scores"), pair, tolerances, strict=True
        ):
            if not value <= tolerance:
                raise BundleError(
                    f"{scorer.bundle.folder / case.image}: {what} must be within {tolerance:.3g} "
                    f"of {GOLDEN_FILE}. Got: {value:.3g} away."
                )
    return GoldenResult(len(pairs), *(max(column) for column in zip(*pairs, strict=True)))


def _differences(scorer: Scorer, case: GoldenCase) -> tuple[float, float]:
    """Return the largest difference of the members' probabilities, and of the rank scores."""
    known = {"age_years": case.age_years, "sex": case.sex, "site": case.site}
    found = score_golden(scorer, {"image": case.image, **known})
    members = max(_distance(found["members"][name], case.members[name]) for name in case.members)
    return members, _distance(found["rank_scores"], case.rank_scores)


def _distance(found: dict[str, float], expected: dict[str, float]) -> float:
    return max(abs(found[name] - expected[name]) for name in CLASSES)
