"""Tests of `tools.measure_crop`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.images import field
from tests.images.pictures import encode, framed, textured, with_lesion
from tools.measure_crop import main

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared/data"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """One lesion, half of it in the left 50 px that the centred square cuts off; one surround."""
    monkeypatch.chdir(ROOT)
    for name in ("ham10000/images", "ham10000/lesion_masks", "uda1/images"):
        (tmp_path / name).mkdir(parents=True)
    mask = np.zeros((300, 400), np.uint8)
    mask[100:200, 25:75] = 255
    (tmp_path / "ham10000/images/A.jpg").write_bytes(encode(textured(300, 400), "JPEG"))
    (tmp_path / "ham10000/lesion_masks/A_segmentation.png").write_bytes(encode(mask))
    surround = framed(300, 400, (150, 200), 120)
    (tmp_path / "uda1/images/B.jpg").write_bytes(encode(surround, "JPEG", quality=95))
    return tmp_path


def run(data, capsys, *options):
    main([str(data), *options])
    return capsys.readouterr().out.splitlines()


def test_shares_are_those_of_the_picture(data, capsys):
    lines = run(data, capsys)

    assert lines[0] == (
        "lesions: 1 images, least share kept before squaring 1.0000, 0 below 0.999 (goal met)"
    )
    assert "no border: 1 images, 0 cut (goal met)" in lines
    assert any(line.startswith("squaring centre: lesion kept mean 0.5000") for line in lines)
    assert any(line.startswith("squaring pad: lesion kept mean 1.0000") for line in lines)
    # A circle of radius 120: of 240 by 240 px it leaves 1 - pi / 4, of 300 by 300 px the rest.
    surround = next(line for line in lines if line.startswith("surrounds, uda1: 1 images"))
    left, centred = (float(word.strip(",")) for word in surround.split() if word.startswith("0."))
    assert left == pytest.approx(1 - np.pi / 4, abs=0.04)
    assert centred == pytest.approx(1 - np.pi * 120**2 / 300**2, abs=0.02)
    assert "surrounds, ham10000 and uda1: 1 images" in "".join(lines)
    assert any(line.endswith("(goal NOT met)") for line in lines)  # no lesion: nothing to cut by


def test_rule_that_cuts_a_lesion_is_caught(data, capsys, monkeypatch):
    monkeypatch.setattr(field, "find_protected", lambda *_: (60, 80, 61, 81))
    pixels = with_lesion(framed(300, 400, (150, 200), 210), (150, 50), 40)
    mask = np.zeros((300, 400), np.uint8)
    mask[130:170, 20:80] = 255
    (data / "ham10000/images/A.jpg").write_bytes(encode(pixels, "JPEG", quality=95))
    (data / "ham10000/lesion_masks/A_segmentation.png").write_bytes(encode(mask))

    lines = run(data, capsys)

    assert lines[0].endswith("1 below 0.999 (goal NOT met)")
    assert lines[1].startswith("  A: 0.")


def test_rule_that_cuts_an_image_without_border_is_caught(data, capsys, monkeypatch):
    found = field.Field((8.0, 0.0, 400.0, 300.0), field.DARK_SURROUND)
    monkeypatch.setattr("tools.crop_figures.find_field", lambda *_: found)

    assert "no border: 1 images, 1 cut (goal NOT met)" in run(data, capsys)


def test_painted_surround_leaves_the_lesion_that_is_lit(data, capsys):
    mask = np.zeros((300, 400), np.uint8)
    mask[100:200, 150:250] = 255
    (data / "ham10000/lesion_masks/A_segmentation.png").write_bytes(encode(mask))

    lines = run(data, capsys, "--painted")

    painted = [line for line in lines if line.startswith("painted, field ")]
    assert len(painted) == 3
    assert all("1 images, mean 1.0000" in line for line in painted)


def test_sheet_shows_every_surround_and_the_worst_lesions(data, capsys, tmp_path):
    sheet = tmp_path / "sheet.png"

    lines = run(data, capsys, "--sheet", str(sheet))

    assert lines[-1] == f"sheet: 2 images in {sheet}"
    with Image.open(sheet) as image:
        assert image.width > image.height
        assert len(image.convert("RGB").getcolors(1 << 20)) > 1000


def test_folder_without_masks_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="must hold ham10000/lesion_masks"):
        main([str(tmp_path)])


@pytest.mark.data
@pytest.mark.slow
def test_goals_are_met_on_real_images(monkeypatch, capsys):
    """300 lesion masks; 97 images with a dark surround."""
    if not (DATA / "ham10000/lesion_masks").is_dir() or not (DATA / "uda1/images").is_dir():
        pytest.skip(f"{DATA} is not here")
    monkeypatch.chdir(ROOT)

    lines = run(DATA, capsys)

    assert sum("(goal met)" in line for line in lines) == 3
    assert not any("NOT met" in line for line in lines)
    assert lines[0].startswith("lesions: 300 images")
    assert lines[1].startswith("surrounds, ham10000 and uda1: 97 images")
