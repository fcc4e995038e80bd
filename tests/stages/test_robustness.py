"""Tests of stage `robustness`, on a tiny bundle and three of the corruptions."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import manifest
from pipeline.cad import corrupted
from pipeline.cad.inference import Patient, Scorer
from pipeline.classes import CLASSES
from pipeline.deploy import bundle
from pipeline.images.corruptions import catalogue
from pipeline.images.corruptions.catalogue import SEVERITIES, corrupt
from pipeline.images.decode import ImageError
from pipeline.images.png import encode_png
from pipeline.scoring.predictions import PROBABILITIES, RANK_SCORES
from pipeline.storage import read_json, sha256_of
from stages import robustness
from tests.deploy.tiny_bundle import write_bundle
from tests.images.pictures import encode, textured

pytestmark = pytest.mark.slow

VALUES = {
    "robustness": {"seed": 5, "images": 9, "batch_size": 4, "examples": 1},
    "parallel": {"engine": "local", "workers": 1, "ray_address": ""},
    "evaluate": {"bootstrap_repeats": 20, "interval": 0.9, "seed": 3},
}
FEW = ("darker", "hairs", "brighter")
CASES = 14
SCORES = [*RANK_SCORES, *PROBABILITIES]


def write_cases(folder):
    """Fourteen test cases of nine classes, two of a patient; one that was trained on."""
    rng = np.random.default_rng(0)
    (folder / "raw").mkdir()
    rows = []
    for i in range(CASES + 1):
        path = Path(f"raw/case_{i:02d}.{'jpg' if i % 2 else 'png'}")
        tint = (textured(48, 60) * rng.uniform(0.4, 1, 3)).astype(np.uint8)
        quality = {"quality": 90} if i % 2 else {}
        (folder / path).write_bytes(encode(tint, "JPEG" if i % 2 else "PNG", **quality))
        columns = (*manifest.COLUMNS, *manifest.SPLIT_COLUMNS)
        rows.append(
            dict.fromkeys(columns, "")
            | {
                "image_id": f"case_{i:02d}",
                "path": str(path),
                "patient_id": f"patient_{i // 2}",
                "sex": ("female", "")[i % 2],
                "age_years": float(30 + i) if i % 3 else float("nan"),
                "diagnosis": CLASSES[i % 9],
                "width_px": 60,
                "height_px": 48,
                "sha256": sha256_of(folder / path),
                "group_id": f"patient_{i // 2}",
                "fold": "test" if i < CASES else "0",
            }
        )
    manifest.write(pd.DataFrame(rows), folder / "split.csv")


def run(target, *options):
    robustness.main(["split.csv", "bundle", target, *options])
    return Path(target)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("robustness")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(corrupted, "CORRUPTIONS", {n: catalogue.CORRUPTIONS[n] for n in FEW})
        Path("params.yaml").write_text(json.dumps(VALUES))
        write_cases(folder)
        write_bundle(folder / "bundle")
        run("report")
    return folder


@pytest.fixture
def report(project, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.setattr(corrupted, "CORRUPTIONS", {n: catalogue.CORRUPTIONS[n] for n in FEW})
    return project / "report"


def test_every_class_is_drawn_and_every_severity_scored(report):
    table = pd.read_csv(report / "scores.csv")

    cases = manifest.read(Path("split.csv")).set_index("image_id")
    assert set(cases.diagnosis[table.image_id.unique()]) == set(CLASSES)
    assert table.image_id.nunique() == 9
    found = table.groupby(["corruption", "severity"]).image_id.nunique()
    assert (found == 9).all()
    assert set(found.index) == {("clean", 0)} | {(n, s) for n in FEW for s in SEVERITIES}


def test_a_row_is_what_the_cad_says_of_the_corrupted_file_and_this_patient(report):
    table = pd.read_csv(report / "scores.csv")
    row = table[(table.corruption == "darker") & (table.severity == 4)].iloc[2]
    case = manifest.read(Path("split.csv")).set_index("image_id").loc[row.image_id]
    scorer = Scorer(bundle.load(Path("bundle")), threads=1)
    with Image.open(case.path) as image:
        pixels = np.asarray(image.convert("RGB"))
    darker = corrupt(pixels, "darker", severity=4, image_id=row.image_id, seed=5)
    age = None if np.isnan(case.age_years) else case.age_years

    said = scorer.run(
        [scorer.prepare(encode_png(darker))], [Patient(age, case.sex or None, case.site or None)]
    )

    expected = [*said["rank_scores"][0], *said["probabilities"][0]]
    assert row[SCORES].tolist() == pytest.approx(expected, abs=1e-6)


def test_clean_images_are_what_the_files_themselves_are(report):
    found = read_json(report / "robustness.json")["clean_path"]

    assert found["cases"] == found["same_inputs"] == 9
    assert found["largest_score_difference"] <= 1e-6


def test_figures_stand_beside_their_counts_and_pictures(report):
    table = pd.read_csv(report / "robustness.csv")
    found = read_json(report / "robustness.json")

    cases = manifest.read(Path("split.csv")).set_index("image_id")
    drawn = cases.loc[pd.read_csv(report / "scores.csv").image_id.unique()]
    darker = table[table.corruption == "darker"]
    assert list(darker.severity) == list(SEVERITIES)
    assert (darker.n == 9).all() and (darker.units == drawn.patient_id.nunique()).all()
    assert darker.units.max() < 9  # patients, not images
    assert (darker.malignant_positives == 4).all()
    assert found["strongest"]["of"] == 3 and len(found["worst"]) == 3
    assert found["severities_out_of_order"] == []
    assert found["clean"]["n"] == 9
    pictures = {path.stem for path in report.glob("*.png")}
    assert pictures == {"examples", "flips_malignant", "flips_melanoma"} | {
        f"{kind}{end}" for kind in ("curves", "drops") for end in ("", "_malignant")
    }


def test_another_order_of_the_cases_gives_the_same_bytes(report):
    cases = manifest.read(Path("split.csv"))
    manifest.write(cases.sample(frac=1, random_state=0), Path("turned.csv"))

    robustness.main(["turned.csv", "bundle", "again"])

    files = sorted(path.name for path in report.iterdir())
    assert sorted(path.name for path in Path("again").iterdir()) == files
    for name in files:
        assert (report / name).read_bytes() == Path("again", name).read_bytes(), name


@pytest.fixture(scope="module")
def planted(project):
    """A run with a fault in each corruption."""

    def spoil(pixels, strength, rng):
        """Change the first column alone, which the centred square leaves out."""
        return np.concatenate([255 - pixels[:, :1], pixels[:, 1:]], axis=1)

    known = catalogue.CORRUPTIONS
    faults = {
        "darker": replace(known["darker"], change=lambda pixels, strength, rng: pixels),
        "brighter": replace(known["brighter"], change=spoil),
        "hairs": replace(known["hairs"], strengths=known["hairs"].strengths[::-1]),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setattr(corrupted, "CORRUPTIONS", {name: faults[name] for name in FEW})
        for name, fault in faults.items():
            patch.setitem(catalogue.CORRUPTIONS, name, fault)
        run("planted")
    return project / "planted"


def test_an_identity_is_left_out_and_its_figures_are_empty(planted):
    own = pd.read_csv(planted / "robustness.csv").set_index("corruption").loc["darker"]

    assert (own.left_out_unchanged == 9).all() and (own.n == 0).all()
    assert own.macro_auroc_drop.isna().all() and own.malignant_newly_missed.isna().all()
    assert read_json(planted / "robustness.json")["strongest"]["of"] == 2


def test_what_the_crop_cuts_off_is_scored_and_counted_as_unseen(planted):
    own = pd.read_csv(planted / "robustness.csv").set_index("corruption").loc["brighter"]

    assert (own.unseen == 9).all() and (own.n == 9).all() and (own.input_change == 0).all()
    assert (own.macro_auroc_drop == 0).all() and (own.malignant_to_positive == 0).all()


def test_severities_in_another_order_are_named(planted):
    """The most hairs are called severity 1."""
    assert read_json(planted / "robustness.json")["severities_out_of_order"] == ["hairs"]


def test_an_original_that_is_another_file_is_named(report):
    cases = manifest.read(Path("split.csv"))
    manifest.write(cases.assign(sha256="0" * 64), Path("other.csv"))

    with pytest.raises(ImageError, match=r"^every original must be usable\. Got 9 not so:\n  raw/"):
        robustness.main(["other.csv", "bundle", "other"])


def test_no_test_case_is_refused(report):
    cases = manifest.read(Path("split.csv"))
    manifest.write(cases.assign(fold="0"), Path("none.csv"))

    with pytest.raises(manifest.ManifestError, match=r"must have test cases\. Got: none\.$"):
        robustness.main(["none.csv", "bundle", "none"])


def test_a_clean_path_that_shows_another_image_is_refused():
    """Planted: the file is shown turned."""
    row = dict.fromkeys(SCORES, 0.5)
    found = [robustness.Result([row], row | {"input_change": 20.0})]

    with pytest.raises(robustness.RobustnessError, match=r"within 3\.0 levels .* Got: 20\.0\.$"):
        robustness.compare_files(found)


def test_the_number_of_processes_changes_no_byte(project, monkeypatch):
    """Other processes know no patch: all corruptions."""
    monkeypatch.chdir(project)

    alone, together = run("alone", "--workers", "1"), run("together", "--workers", "2")

    for path in alone.iterdir():
        assert path.read_bytes() == (together / path.name).read_bytes(), path.name
