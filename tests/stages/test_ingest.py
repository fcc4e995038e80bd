"""Tests of `stages.ingest`, on images written here."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import manifest
from pipeline.cases.tables import TableError
from pipeline.command import run_stage
from pipeline.images.decode import DecodeParams
from pipeline.storage import sha256_of
from stages import ingest
from tests.cases.tables import write_csv
from tests.images.pictures import deep_png, encode, oriented, textured

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")

PARAMS = """\
ingest: {limit_pixels: 50000000, limit_side_px: 12000, minimum_side_px: 32}
parallel: {engine: local, workers: 0, ray_address: ""}
"""
HEADER = "isic_id,diagnosis_1,diagnosis_2,diagnosis_3,sex,age_approx,anatom_site_1,image_type"
NEVUS = "Benign,Benign melanocytic proliferations,Nevus"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """Run in a folder with the params, so that relative paths are tested too."""
    (tmp_path / "params.yaml").write_text(PARAMS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def draw(path, seed, height_px=48, width_px=64):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((width_px, height_px)).save(path)


def run(raw="raw", form="isic_cli"):
    ingest.main(["--source", "here", "--form", form, str(raw), "data/ingest/here"])
    folder = Path("data/ingest/here")
    return (
        manifest.read(folder / "manifest.csv"),
        pd.read_csv(folder / "quarantine.csv", dtype=str, keep_default_na=False),
        json.loads((folder / "summary.json").read_text()),
    )


def write_images(raw):
    """Write images of every unusual kind; return the sizes of those that can be used."""
    picture = Image.fromarray(textured(40, 60))
    whole = encode(textured(40, 60), "JPEG")
    modes = [("PNG", mode) for mode in ("1", "L", "LA", "P", "RGBA")]
    modes += [("JPEG", mode) for mode in ("L", "CMYK", "YCbCr")]
    files = {
        **{f"{form} {mode}.{form}": encode(picture.convert(mode), form) for form, mode in modes},
        "grey of 16 bits.png": encode(textured(40, 60)[..., 0].astype(np.uint16) * 257),
        "colour of 16 bits.png": deep_png(textured(40, 60).astype(np.uint16) * 257),
        "png named.jpg": encode(picture),
        "jpeg named.png": whole,
        "naïve 病变.jpeg": whole,
        "n" * 240 + ".jpg": whole,
        "UPPER.JPG": whole,
        **{f"turned {n}.jpg": oriented(textured(40, 60), n, "JPEG") for n in range(1, 9)},
    }
    useless = {
        "empty.jpg": b"",
        "page.jpg": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "half.jpg": whole[: len(whole) // 2],
        "half.png": encode(picture)[:900],
        "gif.jpg": encode(picture, "GIF"),
    }
    raw.mkdir()
    for name, data in (files | useless).items():
        (raw / name).write_bytes(data)
    (raw / "linked.jpg").symlink_to("png named.jpg")
    (raw / "dangling.jpg").symlink_to("nowhere.jpg")
    (raw / "a folder.jpg").mkdir()
    return {Path(name).stem: (60, 40) for name in [*files, "linked.jpg"]}


def test_unusual_images_are_taken_and_useless_ones_refused_each_with_its_reason():
    sizes = write_images(Path("raw"))
    refused = {"empty", "page", "half", "gif", "dangling", "a folder", "../raw/linked"}
    names = sorted(sizes.keys() | refused)
    write_csv(Path("raw/metadata.csv"), "isic_id,diagnosis_1", *(f"{n},Benign" for n in names))

    cases, quarantine, summary = run()

    found = zip(cases.width_px, cases.height_px, strict=True)
    assert dict(zip(cases.image_id, found, strict=True)) == sizes
    reasons = dict(zip(quarantine.image_id, quarantine.reason, strict=True))
    assert reasons.keys() == refused
    for image_id, part in {
        "empty": "must be a JPEG or PNG image. Got: 0 bytes.",
        "page": "must be a JPEG or PNG image. Got: a file that starts with b'<!DOCTYP'.",
        "gif": "must be a JPEG or PNG image. Got: a file that starts with b'GIF87a",
        "half": "image must be one file. Got: ['raw/half.jpg', 'raw/half.png'].",
        "dangling": "raw/dangling.jpg must be a readable file. Got: No such file or directory.",
        "a folder": "image file a folder.jpg, .jpeg or .png must exist.",
        "../raw/linked": "image id must be a file's name, without slashes",
    }.items():
        assert part in reasons[image_id]
    assert summary["rows_in"] == len(names) == summary["kept"] + summary["quarantined"]
    assert summary["files_without_row"] == 0


def test_cases_go_on_past_every_kind_of_bad_one(capsys):
    raw = Path("raw")
    rows = [f"{name},{NEVUS},male,45,Trunk,dermoscopic" for name in "abcdefg"]
    rows[6] = rows[6].replace("Nevus", "Mole")
    rows += ["h,Benign,,,male,450,Trunk,dermoscopic", "i,Benign,,,male,45,Trunk,clinical: overview"]
    rows += ["a,Benign,,,male,45,Trunk,dermoscopic", "k,Benign,,,woman,,Tail,dermoscopic"]
    raw.mkdir()
    write_csv(raw / "metadata.csv", HEADER, *rows)
    for seed, name in enumerate("abghikz"):
        draw(raw / "images" / f"{name}.jpg", seed)
    draw(raw / "images" / "c.png", 10, height_px=10, width_px=10)
    (raw / "images" / "d.jpg").write_bytes(b"%PDF-1.7 not an image")
    whole = (raw / "images" / "b.jpg").read_bytes()
    (raw / "images" / "e.jpg").write_bytes(whole[: len(whole) // 2])

    cases, quarantine, summary = run()

    assert cases.image_id.tolist() == ["b", "k"]
    assert (summary["rows_in"], summary["kept"], summary["quarantined"]) == (11, 2, 9)
    assert summary["rows_in"] == summary["kept"] + (quarantine.row != "").sum()
    assert summary["files_without_row"] == (quarantine.row == "").sum() == 1
    assert summary["reasons"] == {
        "conflicting rows": 2,
        "unreadable image": 3,
        "no image": 1,
        "unknown diagnosis": 1,
        "wrong age": 1,
        "not dermoscopic": 1,
    }
    assert summary["unknown_words"] == {
        "sex": {"woman": 1},
        "site": {"Tail": 1},
        "fitzpatrick_skin_type": {},
    }
    reasons = dict(zip(quarantine.image_id, quarantine.reason, strict=True))
    assert reasons["f"] == "image file f.jpg, .jpeg or .png must exist."
    assert reasons["z"] == "file must have a row in the table."
    for name in ("c.png", "d.jpg", "e.jpg"):
        assert f"raw/images/{name}" in reasons[name[0]]
    assert capsys.readouterr().out == (
        "ingest: here, 5 images decoded, 0 known from before\n"
        "ingest: here, 11 rows = 2 kept + 9 quarantined (3 unreadable image, 2 conflicting rows, "
        "1 no image, 1 not dermoscopic, 1 unknown diagnosis, 1 wrong age); "
        "1 files without a row, in data/ingest/here\n"
    )


def test_manifest_holds_what_the_image_is_and_where():
    draw(Path("raw/deep/a.png"), 1)
    write_csv(Path("raw/metadata.csv"), HEADER, f"a,{NEVUS},female,45,Trunk,dermoscopic")

    cases, _, _ = run()

    (case,) = cases.to_dict("records")
    assert case["path"] == "raw/deep/a.png"
    assert (case["width_px"], case["height_px"]) == (64, 48)
    assert case["sha256"] == sha256_of(Path("raw/deep/a.png"))
    assert [len(part) for part in case["perceptual_hash"].split("-")] == [64] * 8


def test_size_is_that_after_the_exif_orientation():
    Path("raw").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (64, 48)).save("raw/a.jpg", exif=exif)
    write_csv(Path("raw/metadata.csv"), HEADER, f"a,{NEVUS},female,45,Trunk,dermoscopic")

    cases, _, _ = run()

    assert (cases.width_px[0], cases.height_px[0]) == (48, 64)


@pytest.mark.parametrize(
    ("form", "tables"),
    [
        (
            "isic_2019",
            {
                "ISIC_2019_Training_GroundTruth.csv": (
                    "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\r\na,1,0,0,0,0,0,0,0,0\r\n"
                ),
                "ISIC_2019_Training_Metadata.csv": (
                    "\ufeffimage,age_approx,anatom_site_general,lesion_id,sex\na,45,,L,male\n"
                ),
            },
        ),
        (
            "isic_2020",
            {
                "train.csv": (
                    "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis\n"
                    "a,P,male,45.0,,melanoma\n"
                )
            },
        ),
    ],
)
def test_challenges_are_read_from_their_own_form(form, tables):
    draw(Path("raw/train/a.jpg"), 1)
    for name, text in tables.items():
        Path("raw", name).write_bytes(text.encode())

    cases, quarantine, _ = run(form=form)

    assert cases.diagnosis.tolist() == ["MEL"]
    assert cases.licence.tolist() == ["CC-BY-NC"]
    assert quarantine.empty


def test_second_run_writes_the_same_bytes():
    for seed, name in enumerate("abc"):
        draw(Path(f"raw/{name}.jpg"), seed)
    rows = [f"{name},{NEVUS},male,45,Trunk,dermoscopic" for name in "abcd"]
    write_csv(Path("raw/metadata.csv"), HEADER, *rows)

    run()
    first = {path.name: path.read_bytes() for path in Path("data/ingest/here").iterdir()}
    shutil.rmtree("data")
    run()

    assert set(first) == {"manifest.csv", "quarantine.csv", "summary.json"}
    assert first == {path.name: path.read_bytes() for path in Path("data/ingest/here").iterdir()}


def test_known_images_are_hashed_not_decoded_again(capsys):
    """Only bytes count: a file of another name is new, one of another time or folder is not."""
    for seed, name in enumerate("abcd"):
        draw(Path(f"raw/{name}.jpg"), seed)
    rows = [f"{name},{NEVUS},male,45,Trunk,dermoscopic" for name in "abcde"]
    write_csv(Path("raw/metadata.csv"), HEADER, *rows)
    run()
    shutil.copy("raw/a.jpg", "raw/e.jpg")
    draw(Path("raw/b.jpg"), 9)
    Path("raw/c.jpg").touch()
    Path("raw/below").mkdir()
    Path("raw/d.jpg").rename("raw/below/d.jpg")
    capsys.readouterr()

    run()

    said = capsys.readouterr().out
    assert said.startswith("ingest: here, 2 images decoded, 3 known from before\n")
    grown = {path.name: path.read_bytes() for path in Path("data/ingest/here").iterdir()}
    shutil.rmtree("data")
    run()
    assert grown == {path.name: path.read_bytes() for path in Path("data/ingest/here").iterdir()}


def test_other_limits_decode_every_image_again(capsys):
    draw(Path("raw/a.jpg"), 1)
    write_csv(Path("raw/metadata.csv"), HEADER, f"a,{NEVUS},male,45,Trunk,dermoscopic")
    run()
    Path("params.yaml").write_text(PARAMS.replace("minimum_side_px: 32", "minimum_side_px: 33"))
    capsys.readouterr()

    run()

    assert "ingest: here, 1 images decoded, 0 known" in capsys.readouterr().out


@pytest.mark.slow
def test_several_processes_find_what_one_finds():
    """More than 64 images are spread over the processors."""
    for seed in range(70):
        draw(Path(f"raw/{seed:02d}.jpg"), seed)
    (Path("raw") / "07.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    paths = sorted(Path("raw").iterdir())
    settings = DecodeParams(limit_pixels=10**6, limit_side_px=1000, minimum_side_px=32)

    jobs = [ingest.Job(path, settings, None) for path in paths]

    facts = ingest.read_images(jobs, "here")

    assert facts == {job.path: ingest.read_image(job) for job in jobs}
    assert [path.name for path in paths if facts[path].problem] == ["07.jpg"]


def test_source_without_any_usable_case_ends_in_one_message_and_writes_nothing(capsys):
    Path("raw").mkdir()
    write_csv(Path("raw/metadata.csv"), HEADER, f"a,{NEVUS},male,45,Trunk,dermoscopic")

    status = run_stage(run)

    assert status == 1
    assert capsys.readouterr().err == (
        "error: raw must hold at least one usable case. Got: 1 rows, all refused, first "
        "['image file a.jpg, .jpeg or .png must exist.'].\n"
    )
    assert not Path("data").exists()


def test_table_of_a_header_alone_ends_in_one_message():
    draw(Path("raw/a.jpg"), 1)
    write_csv(Path("raw/metadata.csv"), HEADER)

    with pytest.raises(ValueError, match=r"at least one usable case\. Got: 0 rows, all refused"):
        run()
    assert not Path("data").exists()


def test_folders_per_class_need_no_table():
    for seed, name in enumerate(("nevus/1.jpg", "melanoma/1.jpg", "other/1.jpg")):
        draw(Path("raw", name), seed)

    cases, quarantine, _ = run(form="class_folders")

    assert dict(zip(cases.path, cases.diagnosis, strict=True)) == {
        "raw/melanoma/1.jpg": "MEL",
        "raw/nevus/1.jpg": "NV",
    }
    assert quarantine.reason.tolist() == ["folders must name one class. Got: [] from 'other'."]


def test_table_without_a_column_ends_the_stage_and_writes_nothing():
    draw(Path("raw/a.jpg"), 1)
    write_csv(Path("raw/metadata.csv"), "isic_id,sex", "a,male")

    with pytest.raises(TableError, match=r"raw/metadata\.csv: one of the columns \['diagnosis_1'"):
        run()
    assert not Path("data").exists()


def test_form_that_is_not_known_is_refused_by_the_command(capsys):
    with pytest.raises(SystemExit):
        run(form="ham")
    assert "invalid choice: 'ham'" in capsys.readouterr().err


@pytest.mark.slow
@needs_data
@pytest.mark.data
def test_real_originals_are_taken_whole_with_the_sizes_of_their_table():
    """uda1 and its table have the older flat form."""
    cases, quarantine, summary = run(raw=DATA / "uda1")

    assert len(cases) == summary["rows_in"] == 80
    assert quarantine.empty
    table = pd.read_csv(DATA / "uda1" / "metadata.csv").set_index("image_name")
    assert cases.width_px.tolist() == table.pixelsX[cases.image_id].tolist()
    assert cases.height_px.tolist() == table.pixelsY[cases.image_id].tolist()
    assert cases.path[0] == str(DATA / "uda1" / "images" / f"{cases.image_id[0]}.jpg")
