"""Write a bundle: contents first, golden cases next, hashes last.

The golden cases' expected outputs come from the CAD's own path, which this package must not know;
the caller scores the drawn cases between `draw_golden` and `write_golden`. Nothing in a bundle
depends on the time or the machine, so that two runs on the same inputs give the same bytes.
"""

import dataclasses
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline import storage
from pipeline.classes import CLASS_NAMES, CLASSES
from pipeline.demographics import DEMOGRAPHICS_LAYOUT
from pipeline.deploy import bundle
from pipeline.images.synthetic import SKIN_TONES, render

MEMBER_TOLERANCE = 1e-4
# Unknown first, then each element known or not; both ends of the age.
GOLDEN_DEMOGRAPHICS = (
    (None, None, None),
    (20.0, "female", "torso"),
    (80.0, "male", "head_neck"),
    (45.0, None, "palms_soles"),
    (None, "male", None),
)
GOLDEN_SIZES_PX = ((480, 640), (600, 600), (512, 768))  # (height, width)


@dataclass(frozen=True)
class BundleParams:
    """Section `bundle` of `params.yaml`."""

    name: str
    version: str
    golden_cases: int
    golden_seed: int

    def __post_init__(self) -> None:
        for key in ("name", "version"):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", getattr(self, key)):
                raise ValueError(
                    f"{key} must be letters, digits, '.', '_' and '-'. Got: {getattr(self, key)!r}."
                )
        if self.golden_cases < 1:
            raise ValueError(f"golden_cases must be at least 1. Got: {self.golden_cases}.")


def make_manifest(
    settings: BundleParams,
    preprocessing: bundle.Preprocessing,
    members: dict[str, bundle.Member],
    *,
    deployed: bundle.Deployed,
    reference_rows: int,
    thresholds: dict[str, bundle.Target],
) -> bundle.Manifest:
    """Describe a bundle; its files are filled in by `seal`.

    Args:
        settings: Section `bundle`.
        preprocessing: As in training.
        members: The members inside the graph, by name.
        deployed: Which networks the members are.
        reference_rows: Cases behind the rank scores, which no deployed network trained on.
        thresholds: Chosen on the same cases.

    Raises:
        BundleError: The parts do not fit each other.
    """
    manifest = bundle.Manifest(
        schema_version=bundle.SCHEMA_VERSION,
        name=settings.name,
        version=settings.version,
        classes=CLASSES,
        preprocessing=preprocessing,
        demographics=bundle.Demographics(
            DEMOGRAPHICS_LAYOUT, any(member.demographics for member in members.values())
        ),
        members=members,
        deployed=deployed,
        inputs=bundle.graph_inputs(members),
        outputs=bundle.graph_outputs(members),
        reference_rows=reference_rows,
        thresholds=thresholds,
        files={},
    )
    bundle.check_contract(manifest, Path(bundle.MANIFEST_FILE))
    return manifest


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's bytes, whole or not at all."""
    with open(source, "rb") as read, storage.atomic_write(target) as write:
        shutil.copyfileobj(read, write, 1 << 20)


def write_labels(path: Path, malignant: Collection[str]) -> None:
    """Write the nine classes in the order of the graph's outputs, and which count as malignant.

    The codes stay null until someone has checked them against the terminologies: a wrong code in
    a patient's record is worse than none.
    """
    labels = [
        {
            "index": index,
            "class": name,
            "name": CLASS_NAMES[name],
            "malignant": name in malignant,
            "snomed_ct": None,
            "icd_10": None,
            "codes_verified": False,
        }
        for index, name in enumerate(CLASSES)
    ]
    storage.write_json(path, {"classes": labels})


def draw_golden(folder: Path, settings: BundleParams) -> list[dict[str, Any]]:
    """Write the golden images; return each one's path in the bundle, age, sex and site."""
    cases = []
    for index in range(settings.golden_cases):
        height_px, width_px = GOLDEN_SIZES_PX[index % len(GOLDEN_SIZES_PX)]
        pixels = render(
            CLASSES[index % len(CLASSES)],
            settings.golden_seed + index,
            height_px,
            width_px,
            view=0,
            skin_type=1 + index % len(SKIN_TONES),
        )
        name = f"golden/case_{index:02d}.png"
        with storage.atomic_write(folder / name) as file:
            Image.fromarray(pixels).save(file, format="PNG")
        known = GOLDEN_DEMOGRAPHICS[index % len(GOLDEN_DEMOGRAPHICS)]
        cases.append({"image": name, **dict(zip(("age_years", "sex", "site"), known, strict=True))})
    return cases


def write_golden(folder: Path, cases: list[dict[str, Any]], *, reference_rows: int) -> None:
    """Write the scored golden cases with the tolerances that they are compared at."""
    golden = {
        "member_tolerance": MEMBER_TOLERANCE,
        "rank_tolerance": 2 / reference_rows,
        "cases": cases,
    }
    storage.write_json(folder / bundle.GOLDEN_FILE, golden)


def seal(folder: Path, manifest: bundle.Manifest) -> None:
    """Hash every file into `manifest.json`, then all of them into `SHA256SUMS`."""
    names = sorted(bundle.list_files(folder) - {bundle.MANIFEST_FILE, bundle.SUMS_FILE})
    files = {name: storage.sha256_of(folder / name) for name in names}
    sealed = dataclasses.asdict(dataclasses.replace(manifest, files=files))
    storage.write_json(folder / bundle.MANIFEST_FILE, sealed)
    files[bundle.MANIFEST_FILE] = storage.sha256_of(folder / bundle.MANIFEST_FILE)
    with storage.atomic_write(folder / bundle.SUMS_FILE, "w") as file:
        file.writelines(f"{files[name]}  {name}\n" for name in sorted(files))
