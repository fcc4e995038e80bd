"""Tests of `stages.data_report`: a page of what the stages before it wrote."""

import json
import re

import pandas as pd
import pytest

from pipeline import manifest
from pipeline.storage import write_json
from stages import crop, data_report
from tests.stages.crops import PARAMS, write_project

pytestmark = pytest.mark.slow

SECTION = """\
data_report: {seed: 3, class_samples: 2, crop_samples: 2, duplicate_samples: 4}
sources: {clinic: {form: isic_cli, path: raw}}
"""
ACCOUNT = {
    "rows_in": 6,
    "quarantined": 1,
    "kept": 5,
    "files_without_row": 2,
    "reasons": {"wrong age": 1},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of a run over five images of one source, two of them one picture."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_project(folder)
        (folder / "params.yaml").write_text(PARAMS + SECTION)
        table = manifest.read(folder / "manifest.csv").assign(source="clinic", site="torso")
        table = table.assign(group_id=table.image_id, fold=["test", "0", "0", "1", "1"])
        manifest.write(table, folder / "data/split/manifest.csv")
        write_json(folder / "data/ingest/clinic/summary.json", ACCOUNT)
        proof = {"duplicate_pairs": {"near": 1}, "folds": {"test": {"cases": 1}}}
        write_json(folder / "data/split/proof.json", proof)
        (folder / "data/split/duplicates.csv").write_text(
            "image_id_1,image_id_2,kind,same_diagnosis\nISIC_1,ISIC_2,near,False\n"
        )
        crop.main(["data/split/manifest.csv", "data/crop", "--workers", "1"])
        run(folder, "report")
    return folder


def run(folder, target):
    names = ["data/ingest", "data/split", "data/crop", target]
    data_report.main([str(folder / name) for name in names])


def test_the_page_shows_every_section_with_its_pictures(written):
    html = (written / "report/index.html").read_text()

    titles = re.findall(r"<h2>(.*)</h2>", html)
    assert titles == [
        *("Every row accounted for", "Classes", "Patients", "Originals", "Duplicates", "Crops")
    ]
    assert html.count("data:image/png;base64,") == 7
    assert "5 cases of 1 sources, 1 of them in the test set" in html


def test_tables_stand_beside_the_page(written):
    steps = pd.read_csv(written / "report/steps.csv", index_col=0)
    reasons = pd.read_csv(written / "report/reasons.csv", index_col=0)

    assert steps.loc["clinic"].to_dict() == {
        "rows_in": 6,
        "quarantined": 1,
        "kept": 5,
        "repeated": 0,
        "cases": 5,
        "files_without_row": 2,
    }
    assert reasons.loc["wrong age", "clinic"] == 1


def test_the_same_data_give_the_same_bytes(written, monkeypatch):
    monkeypatch.chdir(written)

    run(written, "again")

    first = {p.name: p.read_bytes() for p in (written / "report").iterdir()}
    assert first == {p.name: p.read_bytes() for p in (written / "again").iterdir()}


def test_accounts_that_do_not_add_up_leave_no_page(written, monkeypatch, tmp_path):
    monkeypatch.chdir(written)
    account = written / "data/ingest/clinic/summary.json"
    text = account.read_text()
    write_json(account, json.loads(text) | {"rows_in": 7})

    with pytest.raises(ValueError, match="rows in must be"):
        run(written, "wrong")

    account.write_text(text)
    assert not (written / "wrong").exists()


def test_calibration_part_is_named_where_there_is_one():
    cases = pd.DataFrame({"fold": ["test", "0", "calibration"]})
    parts = {"test": {"cases": 1200}, "0": {"cases": 9}, "calibration": {"cases": 30}}

    assert data_report.name_parts(cases) == "By fold, calibration part and test set"
    assert data_report.name_parts(cases[:2]) == "By fold and test set"
    said = "1,200 of them in the test set, 30 in the calibration part"
    assert data_report.count_set_aside(parts) == said
    assert data_report.count_set_aside({"test": {"cases": 1200}}) == "1,200 of them in the test set"
