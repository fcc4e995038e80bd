"""Tests of `tools.tables`."""

import csv
import json
from pathlib import Path

import pytest

from pipeline.command import run_stage
from tests.cases.tables import write_csv
from tools import tables

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")

PARAMS = """\
split:
  {seed: 1, test_share: 0.2, calibration_share: 0.0, folds: 2, train_folds: [0],
   near_duplicate_bits: 24, keep: "", keep_sha256: "", too_good_auroc: 0.995, too_good_cases: 20}
"""
CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """Two small archives: twelve images of 2019, and of 2020 ten images of five patients."""
    (tmp_path / "params.yaml").write_text(PARAMS)
    truth, metadata, rows = [], [], []
    for n in range(12):
        label = CLASSES[n % 8]
        truth.append(f"A{n}," + ",".join(str(int(name == label)) for name in CLASSES))
        metadata.append(f"A{n},45,,L{n // 2},male")
    for n in range(10):
        word, age = ("melanoma" if n < 3 else "unknown"), (500 if n == 9 else 50)
        rows.append(f"B{n},P{n // 2},M{n},male,{age},torso,{word},,")
    write_csv(
        tmp_path / "ISIC_2019_Training_GroundTruth.csv", ",".join(["image", *CLASSES]), *truth
    )
    write_csv(
        tmp_path / "ISIC_2019_Training_Metadata.csv",
        "image,age_approx,anatom_site_general,lesion_id,sex",
        *metadata,
    )
    write_csv(
        tmp_path / "mine.csv",
        "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
        "benign_malignant,target",
        *rows,
    )
    write_csv(tmp_path / "ISIC_2020_Training_Duplicates.csv", "image_name_1,image_name_2", "B6,B7")
    # By row, not by patient: P1 (B2, B3) crosses; B0 is left out.
    folds = [f"B{n},{-1 if n == 0 else n // 3}" for n in range(10)]
    write_csv(tmp_path / "theirs.csv", "image_name,tfrecord", *folds)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*options):
    tables.main([".", "--table-2020", "mine.csv", *options])
    return json.loads(Path("reports/tables/tables.json").read_text())


def read_csv(name):
    with open(Path("reports/tables") / name, newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_is_kept_or_in_quarantine_and_every_kept_one_in_a_fold():
    report = run()

    accounts = report["sources"]["isic_2020"]
    assert (accounts["rows_in"], accounts["kept"], accounts["quarantined"]) == (10, 8, 2)
    assert accounts["reasons"] == {"official duplicate": 1, "wrong age": 1}
    nine = report["classes"]["nine"]["both"]
    assert (nine["MEL"], nine["UNK"]) == (5, 5)
    assert sum(part["cases"] for part in report["split"]["folds"].values()) == 20
    assert set(report["split"]["crossings"].values()) == {0}


def test_classes_are_counted_in_each_list():
    both = {name: counts["both"] for name, counts in run()["classes"].items()}

    assert sum(both["nine"].values()) == 20
    assert both["seven"]["AKIEC"] == both["nine"]["AK"] == 2
    assert both["seven"]["undefined"] == both["nine"]["UNK"] + both["nine"]["SCC"] == 6
    assert both["two"] == {"benign": 10, "malignant": 10}


def test_split_that_parts_a_patient_is_told_from_one_that_does_not():
    """The planted fault: the other's folds go by row."""
    found = run("--compare", "theirs.csv")["comparison"]

    assert (found["cases"], found["cases_left_out"]) == (7, 1)
    assert (found["tfrecord"]["parts"], found["tfrecord"]["patients_crossing"]) == (3, 1)
    assert found["ours"]["patients_crossing"] == 0


def test_comparison_is_left_out_where_there_is_no_other_table(capsys):
    assert run()["comparison"] is None
    assert "tfrecord" not in capsys.readouterr().out


def test_csv_files_hold_what_is_printed(capsys):
    run()
    shown = capsys.readouterr().out

    assert read_csv("quarantine.csv")[-1] == {
        "source": "isic_2020",
        "rows": "quarantined: wrong age",
        "count": "1",
    }
    assert [row["fold"] for row in read_csv("folds.csv")] == ["0", "1", "test"]
    assert {
        "list": "two",
        "class": "malignant",
        "isic_2019": "7",
        "isic_2020": "3",
        "both": "10",
    } in (read_csv("classes.csv"))
    assert "In two folds: 0 patients, 0 lesions" in shown
    assert shown.endswith("tables: 20 cases of 2 sources, in reports/tables\n")


def test_absent_table_is_named_with_its_option(capsys):
    assert run_stage(lambda: tables.main(["."])) == 1
    assert capsys.readouterr().err == (
        "error: ISIC_2020_Training_GroundTruth_v2.csv must exist, or --table-2020 be given.\n"
    )
    assert not Path("reports").exists()


@needs_data
@pytest.mark.data
@pytest.mark.slow
def test_real_tables_have_the_published_counts_and_nothing_crosses(project):
    root = Path(__file__).resolve().parents[2]
    (project / "params.yaml").write_bytes((root / "params.yaml").read_bytes())

    tables.main([str(DATA / "csv")])
    report = json.loads(Path("reports/tables/tables.json").read_text())

    assert report["classes"]["nine"]["both"] == {
        "MEL": 5103,
        "NV": 18066,
        "BCC": 3323,
        "AK": 867,
        "BKL": 2845,
        "DF": 239,
        "VASC": 253,
        "SCC": 628,
        "UNK": 26708,
    }
    assert report["classes"]["two"]["isic_2020"] == {
        "benign": 32119,
        "malignant": 581,
        "undefined": 1,
    }
    assert report["sources"]["isic_2019"]["quarantined"] == 0
    assert report["sources"]["isic_2020"]["reasons"] == {"official duplicate": 425}
    split = report["split"]
    assert sum(part["cases"] for part in split["folds"].values()) == split["cases"] == 58032
    assert set(split["crossings"].values()) == {0}
    assert set(map(tuple, split["classes_absent"].values())) == {()}
    comparison = report["comparison"]
    assert (comparison["cases"], comparison["cases_left_out"]) == (32692, 9)
    assert comparison["tfrecord"]["parts"] == 15
    assert comparison["tfrecord"]["patients_crossing"] == 0
    assert comparison["ours"]["patients_crossing"] == 0
