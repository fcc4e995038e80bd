"""Tests of `stages.sample`: real images and tables in a folder, small ones."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pipeline.cases.sample import COPIES, SampleParams, plan_images
from pipeline.cases.sample_lesions import SOURCES
from pipeline.command import run_stage
from pipeline.images.copies import CHANGES
from pipeline.storage import sha256_of
from stages import sample

PARAMS = "sample: {{isic_2019: {{seed: 3, images: {0}}}, isic_2020: {{seed: 3, images: {0}}}}}\n"
IMAGES_2020 = Path("out/train")


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_text(PARAMS.format(14))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hashes(folder):
    return {path.name: sha256_of(path) for path in sorted(folder.glob("*.jpg"))}


def test_plans_ask_for_copies_that_can_be_made():
    assert set(COPIES) == {"exact", *CHANGES}


def test_every_source_has_a_folder_for_its_images():
    assert tuple(sample.IMAGE_FOLDERS) == SOURCES


@pytest.mark.slow
def test_a_source_is_written_in_its_archives_form(capsys):
    sample.main(["--source", "isic_2020", "out"])

    table = pd.read_csv("out/ISIC_2020_Training_GroundTruth_v2.csv")
    assert len(table) == 14
    assert set(hashes(IMAGES_2020)) == {f"{name}.jpg" for name in table.image_name}
    assert {path.name for path in Path("out").iterdir()} == {
        "train",
        "ISIC_2020_Training_Duplicates.csv",
        "ISIC_2020_Training_GroundTruth_v2.csv",
    }
    assert capsys.readouterr().out == "sample: 14 images, 1 of them planted duplicates, in out\n"


@pytest.mark.slow
def test_images_have_the_planned_size_and_an_exact_copy_the_same_bytes():
    sample.main(["--source", "isic_2020", "out"])

    images = plan_images("isic_2020", SampleParams(seed=3, images=14))
    written = hashes(IMAGES_2020)
    for image in images:
        with Image.open(IMAGES_2020 / f"{image.image_id}.jpg") as file:
            assert file.size == (image.taken.width_px, image.taken.height_px)
    (copy,) = [image for image in images if image.copy == "exact"]
    assert written[f"{copy.image_id}.jpg"] == written[f"{copy.original}.jpg"]
    assert len(set(written.values())) == 13


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    images = plan_images("isic_2019", SampleParams(seed=5, images=20))[:10]

    for workers in (1, 3):
        sample.write_images(images, tmp_path / str(workers), workers=workers)

    assert len(hashes(tmp_path / "1")) == 10
    assert hashes(tmp_path / "1") == hashes(tmp_path / "3")


def test_params_out_of_range_end_in_one_clear_line(capsys):
    Path("params.yaml").write_text(PARAMS.format(0))

    status = run_stage(lambda: sample.main(["--source", "isic_2020", "out"]))

    assert status == 1
    assert not Path("out").exists()
    assert capsys.readouterr().err == (
        "error: params.yaml: section 'sample.isic_2020': images must be from 1 to 99991. Got: 0.\n"
    )


def test_a_source_without_params_is_named(capsys):
    status = run_stage(lambda: sample.main(["--source", "isic_cli", "out"]))

    assert status == 1
    assert "section 'sample.isic_cli' must exist" in capsys.readouterr().err
