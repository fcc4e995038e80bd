"""Tests of `pipeline.cases.sample_tables`: forms as published, and readable by `ingest`."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.cases.sample import SampleParams, plan_images
from pipeline.cases.sample_lesions import SOURCES
from pipeline.cases.sample_tables import DIAGNOSES_2020, FORMS, identifier, make_tables
from pipeline.cases.sources import read_rows
from pipeline.demographics import SKIN_TYPES

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
PUBLISHED = {
    "ISIC_2019_Training_GroundTruth.csv": "csv/ISIC_2019_Training_GroundTruth.csv",
    "ISIC_2019_Training_Metadata.csv": "csv/ISIC_2019_Training_Metadata.csv",
    "ISIC_2020_Training_GroundTruth_v2.csv": "csv/ISIC_2020_Training_GroundTruth_v2.csv",
    "ISIC_2020_Training_Duplicates.csv": "csv/ISIC_2020_Training_Duplicates.csv",
    "metadata.csv": "ham10000/metadata.csv",
}


def plan(source, images=200):
    return plan_images(source, SampleParams(seed=2019, images=images))


@pytest.fixture(scope="module")
def plans():
    return {source: plan(source) for source in SOURCES}


def read_back(folder, source, images):
    """Write the tables and read them as stage `ingest` does."""
    for name, table in make_tables(source, images).items():
        table.to_csv(folder / name, index=False)
    return {row.image_id: row for row in read_rows(folder, source)}


def published_type(source, image):
    """Only today's archive has a column for skin type; 0 is unknown."""
    return image.skin_type or 0 if source == "isic_cli" else 0


def test_every_source_has_a_form():
    assert tuple(FORMS) == SOURCES


@pytest.mark.parametrize("source", SOURCES)
def test_ingest_reads_back_what_was_planned(tmp_path, plans, source):
    rows = read_back(tmp_path, source, plans[source])

    assert list(rows) == [image.image_id for image in plans[source]]
    for image in plans[source]:
        row = rows[image.image_id]
        assert row.diagnosis == image.taken.lesion.label
        assert row.sex == (image.sex or "")
        assert row.site == (image.site or "")
        assert row.age_years == image.age_years or image.age_years is None
        assert row.fitzpatrick_skin_type == ("", *SKIN_TYPES)[published_type(source, image)]
        assert bool(row.lesion_id) == (image.lesion is not None)
        assert not row.unknown_words


@pytest.mark.parametrize("source", SOURCES)
def test_the_only_rows_with_a_problem_are_the_official_duplicates(tmp_path, plans, source):
    rows = read_back(tmp_path, source, plans[source])

    problems = {name: row.problem.kind for name, row in rows.items() if row.problem}
    listed = {i.image_id for i in plans[source] if i.official and source == "isic_2020"}
    assert problems == dict.fromkeys(listed, "official duplicate")


def test_a_wrong_word_would_be_noticed(tmp_path, plans, monkeypatch):
    """The check above can fail: a word that `ingest` does not know becomes a problem."""
    monkeypatch.setitem(DIAGNOSES_2020, "NV", ("mole",))

    rows = read_back(tmp_path, "isic_2020", plans["isic_2020"])

    assert "unknown diagnosis" in {row.problem.kind for row in rows.values() if row.problem}


def test_patients_of_two_archives_have_the_same_id(tmp_path, plans):
    for source in ("isic_2020", "isic_cli"):
        (tmp_path / source).mkdir()
    rows_2020 = read_back(tmp_path / "isic_2020", "isic_2020", plans["isic_2020"])
    rows_cli = read_back(tmp_path / "isic_cli", "isic_cli", plans["isic_cli"])

    shared = {row.patient_id for row in rows_2020.values()} & {
        row.patient_id for row in rows_cli.values()
    }
    assert len(shared - {""}) >= 5


def test_one_row_of_2020_has_the_rare_word(plans):
    table = make_tables("isic_2020", plans["isic_2020"])["ISIC_2020_Training_GroundTruth_v2.csv"]

    assert (table.diagnosis == "cafe-au-lait macule").sum() == 1
    assert {"unknown", "nevus", "melanoma", "seborrheic keratosis"} < set(table.diagnosis)


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_of_one_image_has_whole_tables(source):
    tables = make_tables(source, plan(source, images=1))

    assert all(len(table.columns) >= 2 for table in tables.values())


def test_identifiers_of_many_numbers_differ():
    numbers = [place * 1_000_000 + k for place in (0, 1, 2, 9) for k in range(2000)]

    assert len({identifier("IP", number) for number in numbers}) == len(numbers)
    assert identifier("IP", None) == ""


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
@pytest.mark.parametrize("source", SOURCES)
def test_columns_are_those_of_the_published_tables(plans, source):
    for name, table in make_tables(source, plans[source]).items():
        published = list(pd.read_csv(DATA / PUBLISHED[name], nrows=1).columns)
        if source == "isic_cli":  # HAM10000 has no patients and no skin types
            published.insert(published.index("sex"), "patient_id")
            published.insert(published.index("image_type"), "fitzpatrick_skin_type")
        assert list(table.columns) == published
