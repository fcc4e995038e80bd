"""The folder that a CAD system takes: what its manifest says, and the check before it is used.

A bundle is whole or refused. `SHA256SUMS` lists every other file (check it by hand with `sha256sum
-c SHA256SUMS`), `manifest.json` every file but these two. All hashes, then schema version, class
order and preprocessing version are compared before any model byte is parsed.

The whole contract is in this one module because `cad` may reach no other of this package.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import params, storage
from pipeline.classes import CLASSES, TARGETS
from pipeline.demographics import DEMOGRAPHICS_LAYOUT, DEMOGRAPHICS_WIDTH
from pipeline.images.crop import CropParams
from pipeline.images.decode import DecodeParams
from pipeline.images.preprocess import PREPROCESSING_VERSION

SCHEMA_VERSION = 3
SUMS_FILE = "SHA256SUMS"
MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model/ensemble.onnx"
GATE_FILE = "gate.json"
GOLDEN_FILE = "golden/golden.json"
SUMS_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*)")


class BundleError(ValueError):
    """A folder is not a bundle that may score a patient's image."""


@dataclass(frozen=True)
class Member:
    """One of the ensemble's models, and the pixels that it takes."""

    backbone: str
    crop_px: int
    input_px: int
    demographics: bool


@dataclass(frozen=True)
class Input:
    """An input of the graph; `row_shape` leaves out the batch, the first dimension."""

    name: str
    type: str
    row_shape: tuple[int, ...]
    crop_px: int | None
    input_px: int | None


@dataclass(frozen=True)
class Output:
    """An output of the graph; `row_shape` leaves out the batch, the first dimension."""

    name: str
    type: str
    row_shape: tuple[int, ...]


@dataclass(frozen=True)
class Preprocessing:
    """All that turns the bytes of an image file into the graph's image inputs."""

    version: int
    decode: DecodeParams
    crop: CropParams
    resample: str


@dataclass(frozen=True)
class Demographics:
    """Meaning of each element of the input `demographics`, and whether the graph has it."""

    layout: tuple[str, ...]
    used: bool


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; `None` where undefined."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold, how it was chosen, and what was measured at it; `None` where undefined.

    Attributes:
        rule: In words.
        quantity: What was wanted: `sensitivity` or `specificity`.
        wanted: At least this much of it, in (0, 1].
        threshold: A score at or above it is positive.
        n: Cases that it was chosen on, and measured.
        positives: Of them.
        interval: Share of the resamples inside the intervals.
        sensitivity: On these cases.
        specificity: On these cases.
    """

    rule: str
    quantity: str
    wanted: float
    threshold: float | None
    n: int
    positives: int
    interval: float
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True)
class Target:
    """A binary outcome: the sum of some classes' probabilities, and its thresholds.

    Attributes:
        classes: The positive ones.
        decision: The threshold that decides.
        others: Further ones to choose from, for other sensitivities and specificities.
    """

    classes: tuple[str, ...]
    decision: OperatingPoint
    others: tuple[OperatingPoint, ...]


@dataclass(frozen=True)
class Deployed:
    """What is inside the graph.

    Attributes:
        deploy: `ensemble.deploy` of the training, `fold` or `fold_average`.
        folds: Each member has one network for each, trained without it; their mean is its score.
        views: How many views of an image each network averages.
        reference: Cases that reference, probability map and thresholds come from: `out-of-fold` or
            `calibration`.
    """

    deploy: str
    folds: tuple[int, ...]
    views: int
    reference: str


@dataclass(frozen=True)
class Manifest:
    """Contents of `manifest.json`; `reference_rows` is the n of the rank scores."""

    schema_version: int
    name: str
    version: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    demographics: Demographics
    members: dict[str, Member]
    deployed: Deployed
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    reference_rows: int
    thresholds: dict[str, Target]
    files: dict[str, str]


@dataclass(frozen=True)
class Bundle:
    """A folder whose contents are those of its manifest; `sha256` is that of `SHA256SUMS`."""

    folder: Path
    manifest: Manifest
    sha256: str


def graph_inputs(members: dict[str, Member]) -> tuple[Input, ...]:
    """List the graph's inputs: one per distinct pair of crop and input, then demographics."""
    pairs = sorted({(member.crop_px, member.input_px) for member in members.values()})
    images = [Input(f"image_{crop}_{px}", "uint8", (px, px, 3), crop, px) for crop, px in pairs]
    if any(member.demographics for member in members.values()):
        images.append(Input("demographics", "float32", (DEMOGRAPHICS_WIDTH,), None, None))
    return tuple(images)


def graph_outputs(members: dict[str, Member]) -> tuple[Output, ...]:
    """List the graph's outputs: the ensemble's two, then each member's probabilities."""
    names = ["probabilities", "rank_scores", *(f"probabilities_{name}" for name in sorted(members))]
    return tuple(Output(name, "float32", (len(CLASSES),)) for name in names)


def load(folder: Path) -> Bundle:
    """Verify a bundle's files and contract, and read its manifest.

    Args:
        folder: The bundle.

    Raises:
        BundleError: A file is missing, extra, a link, altered or outside the folder, or the bundle
            was made for another schema, class order or preprocessing.
    """
    if not (folder / SUMS_FILE).is_file():
        raise BundleError(f"bundle must be a folder that holds {SUMS_FILE}. Got: {folder}.")
    listed = read_sums(folder)
    _check_names(folder, set(listed), list_files(folder) - {SUMS_FILE})
    for name, expected in listed.items():
        if (found := storage.sha256_of(folder / name)) != expected:
            raise BundleError(
                f"{folder / name}: the file must have the SHA-256 {expected}, as listed in "
                f"{SUMS_FILE}. Got: {found}."
            )
    manifest = read_manifest(folder)
    if manifest.files != {name: value for name, value in listed.items() if name != MANIFEST_FILE}:
        raise BundleError(f"{folder}: {MANIFEST_FILE} and {SUMS_FILE} must list the same files.")
    return Bundle(folder, manifest, storage.sha256_of(folder / SUMS_FILE))


def read_sums(folder: Path) -> dict[str, str]:
    """Read `SHA256SUMS` strictly: relative paths to hashes, every path inside the folder."""
    place = folder / SUMS_FILE
    try:
        lines = place.read_bytes().decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise BundleError(f"{place} must be ASCII text.") from None
    if lines.pop() != "" or not lines:
        raise BundleError(f"{place} must hold lines, each with its newline.")
    listed: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = SUMS_LINE.fullmatch(line)
        # `..` also matches the pattern of a name: a listed path must not leave the folder.
        if not match or {".", ".."} & set(match[2].split("/")) or match[2] in listed:
            raise BundleError(
                f"{place}, line {number} must be a SHA-256, two spaces and a path inside the "
                f"bundle, listed once. Got: {line!r}."
            )
        listed[match[2]] = match[1]
    return listed


def list_files(folder: Path) -> set[str]:
    """List the files below a folder, as relative paths; refuse links and special files."""
    files = set()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BundleError(f"{path} must be a plain file or folder. Got: a link or a device.")
        if path.is_file():
            files.add(path.relative_to(folder).as_posix())
    return files


def _check_names(folder: Path, listed: set[str], present: set[str]) -> None:
    for what, names in (("missing", listed - present), ("not listed", present - listed)):
        if names:
            raise BundleError(
                f"{folder} must hold exactly the files of {SUMS_FILE}. "
                f"{len(names)} {what}: {sorted(names)[:5]}."
            )
    absent = {MANIFEST_FILE, MODEL_FILE, GATE_FILE, GOLDEN_FILE} - present
    if absent:
        raise BundleError(f"{folder} must hold {sorted(absent)}.")


def read_manifest(folder: Path) -> Manifest:
    """Read `manifest.json` and compare it with what this version of the code implements."""
    place = folder / MANIFEST_FILE
    try:
        data = storage.read_json(place)
    except ValueError as error:
        raise BundleError(f"{place} must be JSON. Got: {error}.") from None
    # First of all: another schema may have other keys.
    version = data.get("schema_version") if isinstance(data, dict) else None
    _must_equal(place, "schema_version", version, SCHEMA_VERSION)
    try:
        manifest = params.build(data, Manifest, str(place))
    except params.ParamsError as error:
        raise BundleError(str(error)) from None
    check_contract(manifest, place)
    return manifest


def check_contract(manifest: Manifest, place: Path) -> None:
    """Refuse a manifest whose classes, preprocessing or tensors are not those of this code.

    Raises:
        BundleError: Naming the key, what it must be and what it is.
    """
    members, preprocessing = manifest.members, manifest.preprocessing
    used = any(member.demographics for member in members.values())
    for key, found, wanted in (
        ("classes", manifest.classes, CLASSES),
        ("preprocessing.version", preprocessing.version, PREPROCESSING_VERSION),
        ("demographics.layout", manifest.demographics.layout, DEMOGRAPHICS_LAYOUT),
        ("demographics.used", manifest.demographics.used, used),
        ("inputs", manifest.inputs, graph_inputs(members)),
        ("outputs", manifest.outputs, graph_outputs(members)),
        ("thresholds", sorted(manifest.thresholds), sorted(TARGETS)),
    ):
        _must_equal(place, key, found, wanted)
    for name, target in manifest.thresholds.items():
        if target.classes not in TARGETS[name]:
            raise BundleError(
                f"{place}: thresholds.{name}.classes must be one of {TARGETS[name]}. "
                f"Got: {target.classes}."
            )
    if not members or manifest.reference_rows < 1:
        raise BundleError(f"{place}: members and reference_rows must not be empty or 0.")


def _must_equal(place: Path, key: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise BundleError(f"{place}: {key} must be {wanted}. Got: {found}.")
