"""Send 24 real originals through the paper's own sizes, one epoch, to a verified bundle.

Usage: python -m tools.check_isic ../shared/data   (`make check-isic`)

The images of `isic_acral` and `uda1` are written as an ISIC 2020 and an ISIC 2019 archive, in a
scratch copy of the project with its own DVC cache, and recipe `isic` runs there without pretrained
weights. Most of the nine classes are absent: that has to work too. Prints seconds and peak memory.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from ruamel.yaml.comments import CommentedMap

from pipeline import storage
from pipeline.classes import CLASSES
from pipeline.command import run_stage
from tools.recipe import read_recipe, round_trip
from tools.scratch import copy_sources

RECIPE = "check-isic"
OVERRIDES = {
    "export": {"parity_images": 4},
    "benchmark": {"rounds": 1, "repeats": 2, "warmup": 1},
    "bundle": {"golden_cases": 2},
}
# Without pretrained weights, batch normalisation has to find statistics: those of the last batch.
MEMBER_OVERRIDES = {
    "weights": "none",
    "epochs": 1,
    "warmup_epochs": 0,
    "freeze_batch_norm": False,
    "batch_norm_momentum": 0.0,
}

# Cases of one diagnosis from one folder: how many go into the archive of 2020, and of 2019.
# Known demographics and the largest originals come first. Those of 2020 need a patient, which uda1
# does not name.
SHARES = {
    ("isic_acral", "unknown"): (4, 0),
    ("isic_acral", "nevus"): (4, 2),
    ("isic_acral", "melanoma"): (4, 2),
    ("uda1", "nevus"): (0, 4),
    ("uda1", "melanoma"): (0, 4),
}


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="check-isic-") as folder:
        scratch = Path(folder) / "project"
        copy_sources(Path(), scratch)
        write_archives(read_cases(args.data), scratch / "data" / "raw")
        write_recipe(scratch)
        run(scratch, "tools.repro", "--recipe", RECIPE)
        run(scratch, "pipeline.cad", "verify", "--bundle", "models/bundle", "--golden")
    seconds = time.monotonic() - start
    print(f"check_isic: verified bundle in {seconds:.0f} s, peak memory {peak_mib():.0f} MiB")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.check_isic", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that holds isic_acral and uda1")
    return parser.parse_args(argv)


def read_cases(data: Path) -> pd.DataFrame:
    """Choose the cases and give each its archive.

    Args:
        data: Folder with `isic_acral/` and `uda1/`, each with `metadata.csv` and `images/`.

    Returns:
        A row per case: image_id, path, patient_id, lesion_id, sex, age_approx, site, diagnosis,
        all text, empty where unknown, and archive (2020 or 2019).

    Raises:
        ValueError: A folder is absent, or has too few cases of a diagnosis.
    """
    cases = pd.concat([read_acral(data / "isic_acral"), read_uda1(data / "uda1")])
    cases["has_sex"] = cases.sex.ne("")
    order = {"has_sex": False, "pixels": False, "image_id": True}
    cases = cases.sort_values(list(order), ascending=list(order.values()))
    chosen = []
    for (folder, diagnosis), shares in SHARES.items():
        rows = cases[(cases.folder == folder) & (cases.diagnosis == diagnosis)]
        # One case of a patient, for the archive of 2019 does not say whose it is.
        rows = rows[rows.patient_id.eq("") | ~rows.patient_id.duplicated()].head(sum(shares))
        if len(rows) < sum(shares):
            raise ValueError(
                f"{data / folder} must have {sum(shares)} cases of {diagnosis}. Got: {len(rows)}."
            )
        chosen.append(rows.assign(archive=[2020] * shares[0] + [2019] * shares[1]))
    return pd.concat(chosen)


def read_acral(folder: Path) -> pd.DataFrame:
    """Read today's isic-cli form; a benign case without any further word is `unknown`."""
    table = read_table(folder)
    words = table.diagnosis_3.str.lower().str.partition(",")[0].str.partition(" ")[0]
    return pd.DataFrame(
        {
            "folder": folder.name,
            "image_id": table.isic_id,
            "path": [folder / "images" / f"{image_id}.jpg" for image_id in table.isic_id],
            "patient_id": table.patient_id,
            "lesion_id": table.lesion_id,
            "sex": table.sex,
            "age_approx": table.age_approx,
            "site": table.anatom_site_general,
            "diagnosis": words.replace("", "unknown"),
            "pixels": table.pixels_x.astype(int) * table.pixels_y.astype(int),
        }
    )


def read_uda1(folder: Path) -> pd.DataFrame:
    """Read the older flat form, which names neither patient nor lesion nor site."""
    table = read_table(folder)
    return pd.DataFrame(
        {
            "folder": folder.name,
            "image_id": table.image_name,
            "path": [folder / "images" / f"{image_id}.jpg" for image_id in table.image_name],
            "patient_id": "",
            "lesion_id": "",
            "sex": table.sex,
            "age_approx": table.age_approx,
            "site": "",
            "diagnosis": table.diagnosis,
            "pixels": table.pixelsX.astype(int) * table.pixelsY.astype(int),
        }
    )


def read_table(folder: Path) -> pd.DataFrame:
    """Read `metadata.csv` as text; empty means unknown."""
    if not (folder / "metadata.csv").is_file():
        raise ValueError(f"{folder} must hold metadata.csv and images. Got: no such file.")
    return pd.read_csv(folder / "metadata.csv", dtype=str, keep_default_na=False)


def write_archives(cases: pd.DataFrame, target: Path) -> None:
    """Copy the images and write their tables, in the two archives' own forms."""
    newer, older = (cases[cases.archive == year] for year in (2020, 2019))
    for rows, folder in (
        (newer, target / "isic-2020" / "train"),
        (older, target / "isic-2019" / "ISIC_2019_Training_Input"),
    ):
        folder.mkdir(parents=True)
        for path in rows.path:
            shutil.copyfile(path, folder / path.name)
    write_csv(target / "isic-2020" / "ISIC_2020_Training_GroundTruth_v2.csv", table_2020(newer))
    write_csv(target / "isic-2019" / "ISIC_2019_Training_GroundTruth.csv", truth_2019(older))
    write_csv(target / "isic-2019" / "ISIC_2019_Training_Metadata.csv", metadata_2019(older))


def table_2020(rows: pd.DataFrame) -> pd.DataFrame:
    """Lay cases out as the second ground truth of ISIC 2020 does."""
    malignant = rows.diagnosis == "melanoma"
    return pd.DataFrame(
        {
            "image_name": rows.image_id,
            "patient_id": rows.patient_id,
            "lesion_id": rows.lesion_id,
            "sex": rows.sex,
            "age_approx": rows.age_approx,
            "anatom_site_general_challenge": rows.site,
            "diagnosis": rows.diagnosis,
            "benign_malignant": malignant.map({True: "malignant", False: "benign"}),
            "target": malignant.astype(int),
        }
    )


def truth_2019(rows: pd.DataFrame) -> pd.DataFrame:
    """Lay labels out as the ground truth of ISIC 2019 does: one column for each class."""
    labels = rows.diagnosis.map({"melanoma": "MEL", "nevus": "NV"})
    return pd.DataFrame(
        {"image": rows.image_id} | {name: (labels == name).astype(float) for name in CLASSES}
    )


def metadata_2019(rows: pd.DataFrame) -> pd.DataFrame:
    """Lay demographics out as the metadata of ISIC 2019 do."""
    return pd.DataFrame(
        {
            "image": rows.image_id,
            "age_approx": rows.age_approx,
            "anatom_site_general": rows.site,
            "lesion_id": rows.lesion_id,
            "sex": rows.sex,
        }
    )


def write_csv(path: Path, table: pd.DataFrame) -> None:
    with storage.atomic_write(path, "w") as file:
        table.to_csv(file, index=False)


def write_recipe(scratch: Path) -> None:
    """Write recipe `isic` with one epoch, no pretrained weights and few timed calls."""
    recipe = read_recipe(scratch, "isic")
    for member in recipe["member"].values():
        member.update(MEMBER_OVERRIDES)
    for section, values in OVERRIDES.items():
        recipe.setdefault(section, CommentedMap()).update(values)
    with storage.atomic_write(scratch / "recipes" / f"{RECIPE}.yaml", "w") as file:
        round_trip().dump(recipe, file)


def run(scratch: Path, module: str, *arguments: str) -> None:
    """Run a module of the scratch copy with this Python."""
    result = subprocess.run([sys.executable, "-m", module, *arguments], cwd=scratch)
    if result.returncode:
        raise ValueError(f"python -m {module} must end well. Got: status {result.returncode}.")


def peak_mib() -> float:
    """Return the largest resident set of any process that ran, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
