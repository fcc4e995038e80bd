"""Measure the mask-free estimate of skin tone against skin outside of real lesion masks.

Usage: python -m tools.measure_skin_tone ../shared/data

The reference is the median of what lies outside a mask of `ham10000/lesion_masks`, a margin away
from it, in the whole image, without surround and glints. Where less than 2 % of the image is left,
there is none. Prints the differences in degrees, how often the group is the same, and the images
of `isic_acral` whose Fitzpatrick type is known beside their group: ITA is unvalidated on
dermoscopy, and these few cannot validate it.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage
from tqdm import tqdm

from pipeline import params
from pipeline.command import run_stage
from pipeline.images.colour_space import srgb_to_lab
from pipeline.images.crop import CropParams
from pipeline.images.decode import DecodeParams
from pipeline.images.preprocess import cut_crops
from pipeline.images.skin_tone import ItaEstimate, estimate_ita, ita_group, typology_angle
from tools.summary import table

SIZE = (300, 225)  # width and height at which the reference is taken
MARGIN_PX = 10  # there, around mask and surround
DARK_SHARE = 0.27  # of the bright level
GLINT_LEVEL = 250
LEAST_SKIN = 0.02
LIGHTEST = "very light"


def main() -> None:
    data = parse_args(None).data
    masks = sorted((data / "ham10000/lesion_masks").glob("*_segmentation.png"))
    if not masks:
        raise ValueError(f"{data} must hold ham10000/lesion_masks. Got: no mask.")
    print_agreement(*compare(masks))
    print_known_types(data / "isic_acral")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.measure_skin_tone",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, help="folder with ham10000/ and isic_acral/")
    return parser.parse_args(argv)


def compare(masks: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Return reference and estimate in degrees, `(n,)` each, NaN where there is none."""
    pairs = []
    for mask in tqdm(masks, desc="masks", unit="image"):
        name = mask.name.removesuffix("_segmentation.png")
        image = mask.parent.parent / "images" / f"{name}.jpg"
        found = estimate(image)
        pairs.append((measure_reference(image, mask), np.nan if found is None else found.degrees))
    reference, estimated = np.array(pairs).T
    return reference, estimated


def estimate(path: Path) -> ItaEstimate | None:
    """Estimate from the smallest crop, as the pipeline does."""
    settings = params.load("ingest", DecodeParams), params.load("crop", CropParams)
    crops = cut_crops(path, decode_params=settings[0], crop_params=settings[1]).crops
    return estimate_ita(crops[min(crops)])


def measure_reference(image_path: Path, mask_path: Path) -> float:
    """Return the ITA outside of a mask in degrees; NaN where too little skin is left."""
    with Image.open(image_path) as image, Image.open(mask_path) as mask:
        pixels = np.asarray(image.convert("RGB").resize(SIZE, Image.Resampling.BOX))
        lesion = np.asarray(mask.convert("L").resize(SIZE)) > 127
    if not lesion.any():
        return np.nan
    brightest = pixels.max(axis=2)
    lit = brightest > DARK_SHARE * np.quantile(brightest, 0.9)
    lit = ndimage.binary_erosion(lit, iterations=MARGIN_PX, border_value=1)
    skin = lit & (pixels.min(axis=2) < GLINT_LEVEL)
    skin &= ndimage.distance_transform_edt(~lesion) > MARGIN_PX
    if skin.mean() < LEAST_SKIN:
        return np.nan
    degrees = typology_angle(np.median(srgb_to_lab(pixels[skin]), axis=0))
    return np.nan if degrees is None else degrees


def print_agreement(reference: np.ndarray, estimated: np.ndarray) -> None:
    """Print differences and agreement, for all and for those that are not very light."""
    known, found = np.isfinite(reference), np.isfinite(estimated)
    both = known & found
    print(
        f"skin tone: {len(known)} masks, {known.sum()} with a reference, {found.sum()} estimated, "
        f"{both.sum()} with both"
    )
    groups = np.array([ita_group(degrees) for degrees in reference])
    same = groups == [ita_group(degrees) for degrees in estimated]
    for name, part in (("all", both), (f"not {LIGHTEST}", both & (groups != LIGHTEST))):
        if not part.any():
            print(f"  {name}: none")
            continue
        away = estimated[part] - reference[part]
        print(
            f"  {name}: n {part.sum()}, absolute difference median {np.median(np.abs(away)):.2f}, "
            f"90 % below {np.quantile(np.abs(away), 0.9):.2f}, median difference "
            f"{np.median(away):+.2f} degrees; same group {same[part].mean():.1%}"
        )


def print_known_types(folder: Path) -> None:
    """Print the estimate of each image with a known Fitzpatrick type."""
    cases = pd.read_csv(folder / "metadata.csv", dtype=str, keep_default_na=False)
    known = cases[cases.fitzpatrick_skin_type != ""].sort_values("fitzpatrick_skin_type")
    rows = []
    for image_id, skin_type in zip(known.isic_id, known.fitzpatrick_skin_type, strict=True):
        found = estimate(folder / "images" / f"{image_id}.jpg")
        words = ("–", "none") if found is None else (f"{found.degrees:.1f}", found.group)
        rows.append((image_id, skin_type, *words))
    print(table(("unvalidated", "Fitzpatrick", "ITA, degrees", "group"), rows))


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
