"""A small project that the tests of stages `crop` and `resize` share."""

import pandas as pd

from pipeline import manifest
from pipeline.storage import sha256_of
from tests.images.pictures import encode, framed, oriented, textured

PARAMS = """\
ingest: {limit_pixels: 50000000, limit_side_px: 12000, minimum_side_px: 32}
parallel: {engine: local, workers: 1, ray_address: ""}
crop:
  sizes_px: [64, 96]
  shard_images: 2
  squaring: centre
  border:
    analysis_px: 128
    dark_share: 0.27
    white_level: 240
    least_share: 0.01
    left_share: 0.0001
    margin_share: 0.047
resize: {resample: bicubic, shard_images: 2}
member:
  b4: {crop_px: 96, input_px: 32, epochs: 1}
  b5: {crop_px: 64, input_px: 40, epochs: 1}
  lost: {crop_px: 128, input_px: 40}
  large: {crop_px: 64, input_px: 65}
"""
PICTURES = {
    "ISIC_3.jpg": encode(textured(400, 601), "JPEG", quality=95),
    "ISIC_1.png": encode(textured(90, 70)),
    "ISIC_4.jpg": encode(framed(300, 400, (140, 170), 100), "JPEG", quality=95),
    "ISIC_2.jpg": oriented(textured(300, 400), 6, "JPEG", quality=95),
    "ISIC_5.jpg": encode(textured(33, 40), "JPEG", quality=95),
}


def write_project(folder):
    """Write params.yaml, images and manifest.csv into a folder."""
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "raw").mkdir()
    for name, data in PICTURES.items():
        (folder / "raw" / name).write_bytes(data)
    names = list(PICTURES)
    columns = {
        "image_id": [name.partition(".")[0] for name in names],
        "path": [f"raw/{name}" for name in names],
        "sha256": [sha256_of(folder / "raw" / name) for name in names],
        "age_years": float("nan"),
        "width_px": 1,
        "height_px": 1,
        "diagnosis": "NV",
    }
    table = pd.DataFrame({name: "" for name in manifest.COLUMNS}, index=range(len(names)))
    manifest.write(table.assign(**columns), folder / "manifest.csv")


def contents(folder):
    """Every file's bytes, by its path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
