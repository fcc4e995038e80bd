"""Tests of stage `report`: the page says the right thing, most of all where figures mislead."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from pipeline.deploy.report.inputs import ReportError
from pipeline.storage import read_json, write_json
from tests.stages.report_project import run, write_project

pytestmark = pytest.mark.slow

HEADLINE, CLASSES_SECTION = "section-2", "section-7"


class Reader(HTMLParser):
    """Collects the text of each section, and all tags with their attributes."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.sections, self.place = [], {}, ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "section":
            self.place = dict(attributes)["id"]

    def handle_data(self, data):
        if self.place:
            words = " ".join(data.split())
            self.sections[self.place] = f"{self.sections.get(self.place, '')} {words}".strip()

    @property
    def text(self):
        return " ".join(self.sections.values())


def make(folder, kind, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_project(kind, **options)
        return run()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """One run for all tests that only look at it."""
    folder = tmp_path_factory.mktemp("report")
    return folder, make(folder, "drawn")


@pytest.fixture
def again(project, monkeypatch):
    """The same project, to run the stage once more."""
    monkeypatch.chdir(project[0])
    return project[0]


def test_the_page_loads_nothing_and_runs_nothing(project):
    page = Reader(project[1])

    links = [a.get("src") or a.get("href", "") for _, a in page.tags]
    assert all(link.startswith(("data:image/", "#section-")) for link in links if link)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert not re.search(r"@import|url\(", project[1])


def test_every_picture_says_what_it_shows_and_every_table_what_it_is_of(project):
    page = Reader(project[1])

    assert all(a["alt"] for tag, a in page.tags if tag == "img")
    assert all(a["aria-label"] for _, a in page.tags if a.get("class") == "scroll")
    assert len([1 for tag, _ in page.tags if tag == "details"]) > 20


def test_figures_are_those_of_the_metrics_with_interval_and_n(project):
    found = read_json(project[0] / "evaluate" / "metrics.json")["ensemble"]

    text = Reader(project[1]).sections[HEADLINE]

    assert f"Macro AUROC, ensemble {found['macro_auroc']:.3f}" in text
    assert f"always naming the commonest class, {100 * found['majority_accuracy']:.1f} %" in text
    assert f"Accuracy, ensemble {100 * found['accuracy']:.1f} %" in text
    assert f"{100 * found['accuracy_low']:.1f} % to {100 * found['accuracy_high']:.1f} %" in text
    assert "n = 36 test images" in text


def test_no_cell_shows_a_missing_value_as_the_machine_has_it(project):
    words = re.findall(r"\b(?:nan|NaN|None|inf|NaT)\b|<NA>", Reader(project[1]).text)

    assert words == []


def test_published_figures_stand_beside_ours_with_the_remark(project):
    text = Reader(project[1]).text

    assert "85 % / 93 %" in text
    assert "arithmetic mean of the three rows above it" in text


def test_skin_types_that_somebody_saw_stand_beside_the_unvalidated_estimate(project):
    text = Reader(project[1]).text

    assert "A Fitzpatrick type is known of 6 cases" in text
    assert "by the type that somebody saw" in text


def test_real_images_raise_no_alarm_of_synthetic_ones(project):
    page = project[1]

    assert 'class="alarm"' not in page
    assert "patients of clinic" in Reader(page).text


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("evaluate/metrics.json", "evaluate"),
        ("clinical/subgroups.csv", "clinical"),
        ("robustness/curves.png", "robustness"),
        ("gate/flagged.csv", "gate"),
    ],
)
def test_what_is_absent_names_the_stage_to_run(again, name, stage):
    path = again / name
    kept = path.read_bytes()
    path.unlink()
    try:
        with pytest.raises(ReportError, match=rf"{name} must exist.*dvc repro {stage}`\."):
            run()
    finally:
        path.write_bytes(kept)


def test_a_leak_is_an_alarm_at_the_split(again):
    path = again / "split" / "proof.json"
    proof = read_json(path)
    leaking = proof | {"crossings": proof["crossings"] | {"patient": 3}}
    write_json(path, leaking)
    try:
        page = run()
    finally:
        write_json(path, proof)

    assert "The split leaks: in more than one part are patients: 3." in Reader(page).text
    assert "No patient, lesion, picture or pair of duplicates is in two parts" not in page


def test_text_of_the_data_stays_text(again):
    path = again / "explain" / "cases.csv"
    kept = path.read_text()
    table = pd.read_csv(path)
    table.assign(truth="<script>alert(1)</script>").to_csv(path, index=False)
    try:
        page = Reader(run())
    finally:
        path.write_text(kept)

    assert "script" not in {tag for tag, _ in page.tags}
    assert "<script>alert(1)</script>" in page.text


def test_a_constant_predictor_is_at_chance(tmp_path):
    page = Reader(make(tmp_path, "constant"))

    text = page.sections[HEADLINE]
    assert "is that of chance (0.5): the scores do not tell the cases apart" in text
    assert "Macro AUROC, ensemble 0.500" in text
    assert "Malignant or not: sensitivity 100.0 %" in text
    assert "Malignant or not: specificity 0.0 %" in text
    assert "AUROC is 0.500 in 9 classes alike" in page.sections[CLASSES_SECTION]
    assert "for every image at all is called MEL" in page.text


def test_an_inverted_predictor_is_worse_than_chance(tmp_path):
    page = Reader(make(tmp_path, "inverted"))

    text = page.sections[HEADLINE]
    assert "every pair of cases is ranked the wrong way round" in text
    assert "Macro AUROC, ensemble 0.000" in text
    assert "the ensemble's accuracy of 0.0 % is below that" in text
    assert "Melanoma or not: sensitivity 0.0 %" in text


def test_a_perfect_predictor_is_to_be_looked_at_for_a_leak(tmp_path):
    page = Reader(make(tmp_path, "perfect"))

    text = page.sections[HEADLINE]
    assert "is perfect on these cases, which is rarely true: look for a leak first" in text
    assert "Macro AUROC, ensemble 1.000" in text
    assert "Melanoma or not: specificity 100.0 %" in text
    assert "No image at all is given a wrong label." in page.text


def test_a_test_set_of_one_class_leaves_figures_undefined(tmp_path):
    page = Reader(make(tmp_path, "single"))

    text = page.sections[HEADLINE]
    assert "macro AUROC is undefined: it needs positive and negative cases" in text
    assert "Macro AUROC, ensemble undefined" in text
    assert "says nothing here: the test set holds a single class" in text
    assert "Melanoma or not: specificity undefined" in text
    assert "n = 0 negative images" in text
    assert "No class has an AUROC" in page.sections[CLASSES_SECTION]
    assert "Whether the ensemble ranks better than its members is undefined" in page.text
    assert "No gap can be computed" in page.text


def test_synthetic_images_are_an_alarm_at_the_top(tmp_path):
    page = Reader(make(tmp_path, "drawn", source="made", path="data/sample/made"))

    assert "All images are synthetic: a program drew them." in page.sections["section-1"]
    assert "They say nothing about skin, patients or diagnoses." in page.sections["section-1"]
    assert "none: generated" in page.text
    assert "show no patient" in page.text
