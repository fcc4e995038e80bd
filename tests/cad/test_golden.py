"""Tests of `pipeline.cad.golden`."""

import shutil

import pytest

from pipeline import storage
from pipeline.cad.golden import check_golden
from pipeline.cad.inference import Scorer
from pipeline.deploy.bundle import GOLDEN_FILE, MANIFEST_FILE, BundleError, load
from pipeline.deploy.bundle_writer import seal
from tests.deploy.tiny_bundle import MEMBERS, tiny_manifest, write_bundle


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


def resealed(folder, target, change):
    """A bundle whose expected scores are others, with all its hashes right."""
    shutil.copytree(folder, target)
    golden = storage.read_json(target / GOLDEN_FILE)
    change(golden)
    storage.write_json(target / GOLDEN_FILE, golden)
    (target / MANIFEST_FILE).unlink()
    seal(target, tiny_manifest(MEMBERS))
    return Scorer(load(target), threads=1)


def move(scores, name, distance):
    scores[name] += distance


def test_golden_cases_score_on_the_machine_that_wrote_them_exactly_what_is_written(folder):
    found = check_golden(Scorer(load(folder), threads=1))

    assert (found.cases, found.member_difference, found.rank_difference) == (1, 0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda golden: move(golden["cases"][0]["members"]["b5"], "DF", 2e-4),
            r"case_00\.png: members must be within 0\.0001 of golden/golden\.json\. Got: 0\.0002",
        ),
        (
            lambda golden: move(golden["cases"][0]["rank_scores"], "UNK", -0.05),
            r"case_00\.png: rank scores must be within 0\.04 of",
        ),
    ],
)
def test_a_case_outside_its_tolerance_is_named(folder, tmp_path, change, message):
    scorer = resealed(folder, tmp_path / "bundle", change)

    with pytest.raises(BundleError, match=message):
        check_golden(scorer)


def test_differences_within_the_tolerance_pass_and_are_reported(folder, tmp_path):
    def change(golden):
        move(golden["cases"][0]["members"]["b4"], "MEL", 5e-5)
        move(golden["cases"][0]["rank_scores"], "MEL", 0.03)

    found = check_golden(resealed(folder, tmp_path / "bundle", change))

    assert found.member_difference == pytest.approx(5e-5)
    assert found.rank_difference == pytest.approx(0.03)


def test_golden_cases_with_other_keys_are_refused(folder, tmp_path):
    scorer = resealed(folder, tmp_path / "bundle", lambda golden: golden.update(extra=1))

    with pytest.raises(BundleError, match=r"golden\.json must have exactly the keys .*'extra'"):
        check_golden(scorer)
