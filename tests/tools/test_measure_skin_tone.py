"""Tests of `tools.measure_skin_tone`."""

from pathlib import Path

import numpy as np
import pytest

from tests.images.pictures import encode
from tests.images.test_skin_tone import disc, paint, skin
from tools.measure_skin_tone import compare, main, measure_reference, print_agreement

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A lesion with its mask on skin of 45 degrees; an image with a Fitzpatrick type."""
    monkeypatch.chdir(ROOT)
    for name in ("ham10000/images", "ham10000/lesion_masks", "isic_acral/images"):
        (tmp_path / name).mkdir(parents=True)
    jpeg = encode(paint(skin(), disc(50), (96, 52, 40)), "JPEG", quality=95)
    (tmp_path / "ham10000/images/A.jpg").write_bytes(jpeg)
    (tmp_path / "isic_acral/images/B.jpg").write_bytes(jpeg)
    mask = encode((255 * disc(50)).astype(np.uint8))
    (tmp_path / "ham10000/lesion_masks/A_segmentation.png").write_bytes(mask)
    table = "isic_id,fitzpatrick_skin_type\nB,III\nC,\n"
    (tmp_path / "isic_acral/metadata.csv").write_text(table)
    return tmp_path


def masks(data):
    return sorted((data / "ham10000/lesion_masks").iterdir())


def test_estimate_and_reference_are_the_skins_own(data):
    reference, estimated = compare(masks(data))

    np.testing.assert_allclose([reference, estimated], 45, atol=2)


def test_known_types_stand_beside_their_groups(data, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["measure_skin_tone", str(data)])

    main()

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "skin tone: 1 masks, 1 with a reference, 1 estimated, 1 with both"
    assert lines[-1].split()[:2] == ["B", "III"]
    assert lines[-1].split()[3] == "light"


def test_image_that_is_all_lesion_has_no_reference(data):
    mask = masks(data)[0]
    mask.write_bytes(encode(np.full((256, 256), 255, np.uint8)))

    assert np.isnan(measure_reference(data / "ham10000/images/A.jpg", mask))


def test_agreement_worked_by_hand(capsys):
    """Differences of 2, 4 and -20 degrees, the last into another group; one pair is not one."""
    reference = np.array([60.0, 60.0, 35.0, np.nan])
    estimated = np.array([62.0, 64.0, 15.0, 50.0])

    print_agreement(reference, estimated)

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "skin tone: 4 masks, 3 with a reference, 4 estimated, 3 with both"
    assert "n 3, absolute difference median 4.00" in lines[1]
    assert lines[1].endswith("median difference +2.00 degrees; same group 66.7%")
    assert "not very light: n 1, absolute difference median 20.00" in lines[2]


def test_folder_without_masks_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["measure_skin_tone", str(tmp_path)])

    with pytest.raises(ValueError, match="must hold ham10000/lesion_masks"):
        main()
