"""Tests of `tools.check_isic`: its archives; `make check-isic` is the check itself."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.classes import CLASSES
from tools.check_isic import read_cases, write_archives, write_recipe
from tools.recipe import read_recipe, round_trip

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"

needs_data = pytest.mark.skipif(
    not (DATA / "isic_acral").exists(), reason="../shared/data/isic_acral is absent"
)


@pytest.mark.data
@needs_data
def test_24_cases_of_three_classes_are_chosen_without_a_patient_in_both_archives():
    cases = read_cases(DATA)

    assert cases.groupby(["archive", "diagnosis"]).size().to_dict() == {
        (2019, "melanoma"): 6,
        (2019, "nevus"): 6,
        (2020, "melanoma"): 4,
        (2020, "nevus"): 4,
        (2020, "unknown"): 4,
    }
    assert not cases.patient_id[cases.patient_id.ne("")].duplicated().any()


@pytest.mark.data
@needs_data
@pytest.mark.parametrize(
    ("table", "published"),
    [
        ("isic-2020/ISIC_2020_Training_GroundTruth_v2.csv", "ISIC_2020_Training_GroundTruth_v2"),
        ("isic-2019/ISIC_2019_Training_GroundTruth.csv", "ISIC_2019_Training_GroundTruth"),
        ("isic-2019/ISIC_2019_Training_Metadata.csv", "ISIC_2019_Training_Metadata"),
    ],
)
def test_tables_have_the_columns_of_the_published_ones(table, published, tmp_path):
    write_archives(read_cases(DATA), tmp_path)

    expected = pd.read_csv(DATA / "csv" / f"{published}.csv", nrows=1).columns
    assert list(pd.read_csv(tmp_path / table).columns) == list(expected)


@pytest.mark.data
@needs_data
def test_every_row_has_its_image_and_one_label(tmp_path):
    write_archives(read_cases(DATA), tmp_path)

    older = pd.read_csv(tmp_path / "isic-2019" / "ISIC_2019_Training_GroundTruth.csv")
    images = sorted(path.stem for path in tmp_path.glob("isic-2019/*/*.jpg"))
    assert images == sorted(older.image)
    assert (older[list(CLASSES)].sum(axis=1) == 1).all()
    assert len(list(tmp_path.glob("isic-2020/train/*.jpg"))) == 12


def test_absent_data_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"isic_acral must hold metadata\.csv and images"):
        read_cases(tmp_path)


def test_recipe_keeps_the_sizes_of_isic_and_trains_one_epoch(tmp_path):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/isic.yaml").write_bytes((ROOT / "recipes/isic.yaml").read_bytes())

    write_recipe(tmp_path)

    written = round_trip().load((tmp_path / "recipes/check-isic.yaml").read_text())
    original = read_recipe(ROOT, "isic")
    for name, member in written["member"].items():
        assert (member["epochs"], member["weights"]) == (1, "none")
        for key in ("crop_px", "input_px", "batch_size"):
            assert member[key] == original["member"][name][key]
