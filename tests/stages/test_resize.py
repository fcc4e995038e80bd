"""Tests of `stages.resize`, and of both halves of preprocessing against the whole."""

import shutil

import numpy as np
import pytest

from pipeline import manifest, params
from pipeline.images.crop import CropParams
from pipeline.images.decode import DecodeParams
from pipeline.images.preprocess import preprocess
from pipeline.shards.arrays import ArrayShards
from pipeline.storage import StorageError
from stages import crop, resize
from tests.stages.crops import PICTURES, contents, write_project


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A project whose crops are cut."""
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    crop.main(["manifest.csv", "crop", "--workers", "1"])
    return tmp_path


def run(member, target, workers=1):
    resize.main(["--member", member, "crop", target, "--workers", str(workers)])


def check_equal(shards, pair):
    """Every image preprocessed alone, from its file, equals what the stages stored."""
    for name in PICTURES:
        alone = preprocess(
            (params.PARAMS_FILE.parent / "raw" / name),
            decode_params=params.load("ingest", DecodeParams),
            crop_params=params.load("crop", CropParams),
            resample=params.read_section("resize.resample"),
            inputs=[pair],
        )
        stored = shards.read([name.partition(".")[0]])[0]
        np.testing.assert_array_equal(alone.arrays[pair], stored)


@pytest.mark.parametrize(("member", "pair"), [("b4", (96, 32)), ("b5", (64, 40))])
def test_new_image_gets_the_pixels_of_training_bit_for_bit(project, member, pair):
    run(member, "arrays")

    check_equal(ArrayShards(project / "arrays"), pair)


def test_another_resampler_on_either_side_would_be_caught(project):
    run("b4", "arrays")
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("bicubic", "bilinear"))

    with pytest.raises(AssertionError):
        check_equal(ArrayShards(project / "arrays"), (96, 32))


def test_arrays_have_the_order_of_the_crops(project, capsys):
    run("b4", "arrays")

    shards = ArrayShards(project / "arrays")
    assert shards.image_ids == ("ISIC_1", "ISIC_2", "ISIC_3", "ISIC_4", "ISIC_5")
    assert shards.shape == (32, 32, 3)
    assert (
        "resize: 5 images at 32 px from 96 px, 5 of them new, in arrays\n"
        in capsys.readouterr().out
    )


def test_number_of_workers_changes_no_byte(project):
    run("b4", "one", workers=1)
    run("b4", "two", workers=2)

    assert contents(project / "one") == contents(project / "two")


def test_size_that_was_not_cut_is_refused(project):
    message = (
        r"^params\.yaml: section 'member\.lost': crop_px must be a size that stage crop wrote, "
        r"\[64, 96\] in crop\. Got: 128\.$"
    )

    with pytest.raises(params.ParamsError, match=message):
        run("lost", "arrays")

    assert not (project / "arrays").exists()


def test_enlarging_a_crop_is_refused():
    message = r"section 'member\.large': input_px and crop_px must be .* Got: 65 and 64\.$"

    with pytest.raises(params.ParamsError, match=message):
        run("large", "arrays")


def test_unknown_member_is_refused():
    with pytest.raises(params.ParamsError, match=r"Got: no key 'b9'\.$"):
        run("b9", "arrays")


def test_unfinished_crops_are_refused(project):
    (project / "crop/96/index.csv").unlink()

    with pytest.raises(StorageError, match=r"index\.csv must exist: the folder is not whole\.$"):
        run("b4", "arrays")

    assert not (project / "arrays").exists()


def test_arrays_of_a_history_are_those_of_a_first_run(project, capsys):
    run("b4", "grown")
    table = manifest.read(project / "manifest.csv")
    table.loc[0, ["path", "sha256"]] = table.loc[1, ["path", "sha256"]].to_numpy()
    manifest.write(table.drop(index=3), project / "manifest.csv")
    crop.main(["manifest.csv", "crop"])
    capsys.readouterr()

    run("b4", "grown")
    said = capsys.readouterr().out
    run("b4", "first")

    assert "resize: 4 images at 32 px from 96 px, 1 of them new, in grown" in said
    assert contents(project / "grown") == contents(project / "first")


def test_another_resampler_resizes_every_crop_again(project, capsys):
    run("b4", "arrays")
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("bicubic", "bilinear"))

    run("b4", "arrays")
    run("b4", "first")

    assert "5 of them new, in arrays" in capsys.readouterr().out
    assert contents(project / "arrays") == contents(project / "first")


def test_arrays_that_cannot_fit_are_refused(monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    with pytest.raises(StorageError, match=r"must have 0\.0 GB of free disk"):
        run("b4", "arrays")
