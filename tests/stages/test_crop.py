"""Tests of `stages.crop`."""

import csv
import hashlib
import re
import struct
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, PngImagePlugin

from pipeline import manifest
from pipeline.images.decode import ImageError
from pipeline.images.png import decode_png
from pipeline.shards.archives import EncodedShards
from pipeline.storage import StorageError, sha256_of
from stages.crop import main
from tests.images.pictures import encode, textured
from tests.stages.crops import PICTURES, contents, write_project

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


def test_every_image_is_cut_at_every_size_in_the_order_of_their_names(project, capsys):
    run()

    for size_px in (64, 96):
        shards = EncodedShards(project / "crop" / str(size_px))
        assert shards.image_ids == ("ISIC_1", "ISIC_2", "ISIC_3", "ISIC_4", "ISIC_5")
        shapes = {decode_png(shards.read(image_id)).shape for image_id in shards.image_ids}
        assert shapes == {(size_px, size_px, 3)}
    assert capsys.readouterr().out == (
        "crop: 5 images, 1 with a border, 0 that only Pillow could decode, 5 cut now, in crop\n"
    )


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
        "decoder": "simplejpeg",
    }
    assert boxes["ISIC_4"]["reason"] == "dark_surround"
    assert abs(float(boxes["ISIC_4"]["left_px"]) - 70) <= 5


def test_image_that_only_pillow_could_decode_is_counted(project, capsys):
    """Bytes between two segments, where none may be."""
    path = project / "raw/ISIC_3.jpg"
    data = path.read_bytes()
    start = data.index(b"\xff\xda")
    path.write_bytes(data[:start] + b"junk" + data[start:])
    table = project / "manifest.csv"
    old = hashlib.sha256(data).hexdigest()
    table.write_text(table.read_text().replace(old, sha256_of(path)))

    run()

    assert ", 1 that only Pillow could decode, 5 cut now, in crop" in capsys.readouterr().out
    with open(project / "crop/boxes.csv", newline="") as file:
        decoders = {row["image_id"]: row["decoder"] for row in csv.DictReader(file)}
    assert decoders["ISIC_3"] == "pillow_fallback"
    assert decoders["ISIC_1"] == "pillow"  # a PNG
    assert decoders["ISIC_2"] == "simplejpeg"


@pytest.mark.slow
def test_number_of_workers_changes_no_byte(project):
    run("one", workers=1)
    run("three", workers=3)

    assert contents(project / "one") == contents(project / "three")


def change_project(project, rng):
    """Add, remove and replace some images, in any order of rows."""
    table = manifest.read(project / "manifest.csv")
    keep = table[rng.random(len(table)) > 0.15].index
    table = table.loc[[*keep]].reset_index(drop=True)
    for image_id in rng.choice(1000, rng.integers(1, 4), replace=False):
        name = f"raw/new{image_id:03d}.jpg"
        pixels = textured(40 + int(rng.integers(30)), 60)
        (project / name).write_bytes(encode(pixels, "JPEG", quality=90))
        row = table.iloc[0].copy()
        row[["image_id", "path"]] = [f"new{image_id:03d}", name]
        row["source"] = rng.choice(["", "another"])
        table = pd.concat([table[table.image_id != row.image_id], row.to_frame().T])
    table["sha256"] = [sha256_of(project / path) for path in table.path]
    table = table.astype({"age_years": float, "width_px": int, "height_px": int})
    manifest.write(
        table.sample(frac=1, random_state=int(rng.integers(99))), project / "manifest.csv"
    )


@pytest.mark.slow
def test_crops_of_a_history_are_those_of_a_first_run(project, capsys):
    """Whatever was there before, the same images give the same bytes."""
    rng = np.random.default_rng(0)
    run("grown")
    cut = []
    for round_number in range(6):
        change_project(project, rng)
        capsys.readouterr()

        run("grown")
        cut.append(int(re.search(r"(\d+) cut now", capsys.readouterr().out).group(1)))
        run(f"first{round_number}")

        assert contents(project / "grown") == contents(project / f"first{round_number}")
    assert max(cut) <= 4


def test_whole_archives_are_taken_as_the_same_files(project):
    run()
    before = {path: path.stat().st_ino for path in (project / "crop").rglob("*.tar")}

    run()

    assert {path: path.stat().st_ino for path in (project / "crop").rglob("*.tar")} == before


def test_another_setting_cuts_every_image_again(project, capsys):
    run()
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("dark_share: 0.27", "dark_share: 0.26"))

    run()

    assert "5 cut now" in capsys.readouterr().out.splitlines()[-1]


def test_another_number_of_images_in_a_file_cuts_none_again(project, capsys):
    run()
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("shard_images: 2\n", "shard_images: 100\n"))

    run()

    assert "0 cut now" in capsys.readouterr().out.splitlines()[-1]
    assert len(list((project / "crop/64").glob("*.tar"))) == 1


def test_damaged_archive_is_cut_again(project):
    run()
    before = contents(project / "crop")
    victim = EncodedShards(project / "crop/96").place("ISIC_4")
    data = bytearray(victim.path.read_bytes())
    data[victim.offset + 50] ^= 1
    victim.path.write_bytes(data)

    run()

    assert contents(project / "crop") == before


def test_all_bad_images_are_named_and_nothing_is_left(project):
    (project / "raw/ISIC_3.jpg").unlink()
    (project / "raw/ISIC_1.png").write_bytes(b"%PDF-1.7")
    whole = (project / "raw/ISIC_5.jpg").read_bytes()
    (project / "raw/ISIC_5.jpg").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(ImageError) as raised:
        run()

    first, *listed = str(raised.value).split("\n")
    assert first == "every image of the manifest must be usable. Got 3 that are not:"
    assert listed[0].startswith("  raw/ISIC_1.png must be a JPEG or PNG image. Got: ")
    assert listed[1] == "  raw/ISIC_3.jpg must be a readable file. Got: No such file or directory."
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


@pytest.mark.slow
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


SECRET = "canary-3f9c"


def write_with_secrets(path, form):
    """Write an image whose every place for words says where and by whom it was taken."""
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = f"{SECRET} artist"
    exif[0x8825] = {1: "N", 2: (48.0, 12.0, 30.0), 3: "E", 4: (16.0, 22.0, 1.0), 29: SECRET}
    options = {"exif": exif, "icc_profile": f"{SECRET} profile".encode()}
    if form == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("Author", SECRET)
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", f"<x>{SECRET}</x>")
    else:
        options |= {"comment": SECRET, "xmp": f"<x>{SECRET}</x>".encode()}
    path.write_bytes(encode(textured(120, 160), form, **options))


def chunks(png):
    """Name the chunks of a PNG file."""
    found, place = [], 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        found.append(png[place + 4 : place + 8])
        place += 12 + length
    return found


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_crops_carry_no_word_of_where_or_by_whom_an_image_was_taken(project, form):
    path = project / "raw/ISIC_3.jpg"
    write_with_secrets(path, form)
    with Image.open(path) as image:
        assert image.getexif().get_ifd(0x8825)[1] == "N"  # the fault is planted
    assert path.read_bytes().count(SECRET.encode()) >= 4
    table = (project / "manifest.csv").read_text()
    old, new = sha256(PICTURES["ISIC_3.jpg"]), sha256(path.read_bytes())
    (project / "manifest.csv").write_text(table.replace(old, new))

    run()

    for size_px in (64, 96):
        png = EncodedShards(project / "crop" / str(size_px)).read("ISIC_3")
        assert set(chunks(png)) == {b"IHDR", b"IDAT", b"IEND"}
        with Image.open(BytesIO(png)) as image:
            assert not image.getexif()
            assert image.info == {}
    written = b"".join(contents(project / "crop").values())
    assert [word for word in (SECRET.encode(), b"Exif") if word in written] == []


def sha256(data):
    return hashlib.sha256(data).hexdigest()
