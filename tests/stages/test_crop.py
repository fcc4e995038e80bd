"""Tests of `stages.crop`."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.archives import EncodedShards
from pipeline.images.decode import ImageError
from pipeline.images.png import decode_png
from pipeline.storage import StorageError
from stages.crop import main
from tests.stages.crops import contents, write_project

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(target="crop", workers=1):
    main(["manifest.csv", target, "--workers", str(workers)])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_image_is_cut_at_every_size_in_the_manifests_order(project, capsys):
    run()

    for size_px in (64, 96):
        shards = EncodedShards(project / "crop" / str(size_px))
        assert shards.image_ids == ("ISIC_3", "ISIC_1", "ISIC_4", "ISIC_2", "ISIC_5")
        shapes = {decode_png(shards.read(image_id)).shape for image_id in shards.image_ids}
        assert shapes == {(size_px, size_px, 3)}
    assert capsys.readouterr().out == "crop: 5 images, 1 with a border, in crop\n"


def test_boxes_are_in_pixels_of_the_upright_original(project):
    run()

    with open(project / "crop/boxes.csv", newline="") as file:
        boxes = {row["image_id"]: row for row in csv.DictReader(file)}
    assert boxes["ISIC_2"] == {
        "image_id": "ISIC_2",
        "left_px": "50.0",
        "top_px": "0.0",
        "right_px": "350.0",
        "bottom_px": "300.0",
        "reason": "no_border",
        "width_px": "400",
        "height_px": "300",
    }
    assert boxes["ISIC_4"]["reason"] == "dark_surround"
    assert abs(float(boxes["ISIC_4"]["left_px"]) - 70) <= 5


def test_number_of_workers_changes_no_byte(project):
    run("one", workers=1)
    run("three", workers=3)

    assert contents(project / "one") == contents(project / "three")


def test_all_bad_images_are_named_and_nothing_is_left(project):
    (project / "raw/ISIC_3.jpg").unlink()
    (project / "raw/ISIC_1.png").write_bytes(b"%PDF-1.7")
    whole = (project / "raw/ISIC_5.jpg").read_bytes()
    (project / "raw/ISIC_5.jpg").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(ImageError) as raised:
        run()

    first, *listed = str(raised.value).split("\n")
    assert first == "every image of the manifest must be usable. Got 3 that are not:"
    assert listed[0] == "  raw/ISIC_3.jpg must be a readable file. Got: No such file or directory."
    assert listed[1].startswith("  raw/ISIC_1.png must be a JPEG or PNG image. Got: ")
    assert listed[2].startswith("  raw/ISIC_5.jpg must be a whole, undamaged image. Got: ")
    assert names(project) == ["manifest.csv", "params.yaml", "raw"]


def test_at_most_five_bad_images_are_listed():
    from stages.crop import describe

    text = describe([f"image {n}" for n in range(8)])

    assert text.startswith("every image of the manifest must be usable. Got 8 that are not:")
    assert text.count("\n") == 5


def test_image_that_changed_since_it_was_ingested_is_refused(project):
    same_form = (project / "raw/ISIC_4.jpg").read_bytes()
    (project / "raw/ISIC_3.jpg").write_bytes(same_form)

    with pytest.raises(ImageError, match=r"raw/ISIC_3\.jpg must be the file that was ingested\."):
        run()


def test_folder_that_is_not_empty_is_not_touched(project):
    (project / "crop").mkdir()
    (project / "crop/mine").write_text("mine")

    with pytest.raises(StorageError, match=r"^crop must be absent or empty"):
        run()

    assert names(project / "crop") == ["mine"]


def test_command_ends_in_one_message_and_status_1(project):
    (project / "raw/ISIC_3.jpg").unlink()

    done = subprocess.run(
        [sys.executable, "-m", "stages.crop", "manifest.csv", "crop"],
        cwd=project,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error: every image of the manifest must be usable. Got 1 that are not:" in done.stderr
