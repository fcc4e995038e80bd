"""Tests of `tools.measure_duplicates`."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images.pictures import encode, textured
from tools.measure_duplicates import main
from tools.planted_copies import BEYOND, COPIES

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Four pictures; C is A turned, under another lesion, and D is B again, of one lesion."""
    monkeypatch.chdir(ROOT)
    folder = tmp_path / "ham10000"
    (folder / "images").mkdir(parents=True)
    first, second = textured(120, 160, 1), textured(120, 160, 2)
    pictures = {"A": first, "B": second, "C": first.swapaxes(0, 1), "D": second[:, ::-1]}
    for name, pixels in pictures.items():
        data = encode(pixels, "JPEG", quality=90)
        (folder / "images" / f"{name}.jpg").write_bytes(data)
    lines = ["isic_id,lesion_id", "A,L1", "B,L2", "C,L3", "D,L2"]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.slow
def test_copies_strangers_and_repeats_are_counted_and_drawn(data, capsys, tmp_path):
    sheet = tmp_path / "sheet.png"

    main([str(data), "--planted", "2", "--sheet", str(sheet), "--search", "50"])

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "planted: copies of 2 of 4 images, found within 24 bits"
    assert lines[1].startswith("  exact: 2 of 2, 100.00%; differing bits: median 0, most 0")
    for kind in COPIES:
        assert any(line.startswith(f"  {kind}: 2 of 2, 100.00%") for line in lines), kind
    assert sum(line.endswith("(for information)") for line in lines) == len(BEYOND)
    assert any(line.startswith("  turned by 5 degrees: 0 of 2") for line in lines)
    assert "strangers: 2 of 3 images, one of each lesion, gain a partner, 66.667%" in lines
    assert "  A = C" in lines
    start = lines.index("repeats: 2 pairs of 4 images are found")
    assert {line.split(",")[0] for line in lines[start + 1 : start + 3]} == {"  A = C", "  B = D"}
    assert {line.split(", ")[2] for line in lines[start + 1 : start + 3]} == {
        "two lesions",
        "one lesion",
    }
    assert lines[-1].startswith("search: 50 images in ")
    with Image.open(sheet) as drawn:
        assert np.asarray(drawn).std() > 10


def test_folder_without_archives_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)

    with pytest.raises(ValueError, match=r"must hold at least one of \['ham10000', 'uda1', "):
        main([str(tmp_path)])


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is absent")
def test_goals_hold_on_the_real_images(capsys, monkeypatch):
    """Exact copies 100 %, near ones 99 %, and 0.1 % of strangers paired at most."""
    monkeypatch.chdir(ROOT)

    main([str(DATA), "--planted", "150", "--search", "50"])

    lines = capsys.readouterr().out.splitlines()
    recall = {
        found[1]: int(found[2]) / int(found[3])
        for line in lines
        if (found := re.match(r"  (.+): (\d+) of (\d+), ", line))
    }
    assert recall["exact"] == 1.0
    assert min(recall[kind] for kind in COPIES) >= 0.99
    strangers = next(line for line in lines if line.startswith("strangers: "))
    paired, images = re.findall(r"\d+", strangers)[:2]
    assert int(images) > 1500
    assert int(paired) <= 0.001 * int(images)
