"""Tests of `pipeline.cases.ingest`."""

import csv
import dataclasses
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import manifest
from pipeline.cases.ingest import QUARANTINE_COLUMNS, ImageFacts, Matched, finish, match
from pipeline.cases.rows import Problem, Row
from pipeline.cases.sources import read_rows
from pipeline.classes import CLASSES

RAW = Path("data/raw/x")
READABLE = ImageFacts(600, 450, "ab" * 32, "", problem="")
DAMAGED = ImageFacts(0, 0, "", "", problem="a.jpg must be whole.\nGot: half.")


def make_row(image_id, line, **changes):
    usual = Row(
        line=line,
        image_id=image_id,
        path=None,
        patient_id="P",
        lesion_id="",
        sex="male",
        age_years=45.0,
        site="",
        diagnosis_raw="nevus",
        diagnosis="NV",
        licence="CC-0",
        problem=None,
        unknown_words=(),
    )
    return dataclasses.replace(usual, **changes)


def run(rows, files, facts=None):
    matched = match(rows, files, RAW)
    facts = facts or {path: READABLE for _, path in matched.cases}
    return finish("here", matched, facts, len(rows))


def test_usable_row_with_its_image_is_kept(tmp_path):
    done = run([make_row("a", 2)], {"a": [Path("train/a.jpg")]})

    manifest.write(done.manifest, tmp_path / "manifest.csv")
    (row,) = manifest.read(tmp_path / "manifest.csv").to_dict("records")

    assert (row["source"], row["path"]) == ("here", "data/raw/x/train/a.jpg")
    assert (row["width_px"], row["height_px"], row["sha256"]) == (600, 450, "ab" * 32)
    assert (row["patient_id"], row["age_years"], row["diagnosis"]) == ("P", 45.0, "NV")
    assert done.quarantine.empty


@pytest.mark.parametrize(
    ("rows", "files", "expected"),
    [
        (
            [make_row("a", 2)],
            {},
            ("here", "a", "", "2", "image file a.jpg, .jpeg or .png must exist."),
        ),
        (
            [make_row("a", 2)],
            {"a": [Path("a.jpg"), Path("a.png")]},
            (
                "here",
                "a",
                "data/raw/x/a.jpg",
                "2",
                "image must be one file. Got: ['data/raw/x/a.jpg', 'data/raw/x/a.png'].",
            ),
        ),
        (
            [make_row("a", 9, problem=Problem("wrong age", "age must be."))],
            {"a": [Path("a.jpg")]},
            ("here", "a", "data/raw/x/a.jpg", "9", "age must be."),
        ),
        (
            [],
            {"b": [Path("b.jpg")]},
            ("here", "b", "data/raw/x/b.jpg", "", "file must have a row in the table."),
        ),
    ],
)
def test_what_is_refused_is_told_with_place_and_reason(rows, files, expected):
    done = run(rows, files)

    assert done.manifest.empty
    assert list(done.quarantine.columns) == list(QUARANTINE_COLUMNS)
    assert list(done.quarantine.itertuples(index=False, name=None)) == [expected]


def test_unreadable_image_is_refused_in_one_line_and_the_others_go_on():
    rows = [make_row("a", 2), make_row("b", 3)]
    files = {"a": [Path("a.jpg")], "b": [Path("b.jpg")]}

    done = run(rows, files, {RAW / "a.jpg": DAMAGED, RAW / "b.jpg": READABLE})

    assert done.manifest.image_id.tolist() == ["b"]
    assert done.quarantine.reason.tolist() == ["a.jpg must be whole. Got: half."]


def test_file_of_a_refused_row_does_not_count_as_without_a_row():
    done = run([make_row("a", 2, problem=Problem("wrong age", "x"))], {"a": [Path("a.jpg")]})

    assert (done.summary["quarantined"], done.summary["files_without_row"]) == (1, 0)


def test_summary_counts_reasons_classes_gaps_and_unknown_words():
    rows = [
        make_row(
            "a", 2, unknown_words=(("sex", "x"), ("site", "tail")), fitzpatrick_skin_type="IV"
        ),
        make_row("b", 3, unknown_words=(("site", "tail"),), age_years=float("nan")),
        make_row("c", 4, problem=Problem("wrong age", "1")),
        make_row("d", 5, problem=Problem("wrong age", "2")),
        make_row("e", 6),
    ]
    files = {"a": [Path("a.jpg")], "b": [Path("b.jpg")], "z": [Path("z.jpg")]}

    summary = run(rows, files).summary

    assert summary["reasons"] == {"wrong age": 2, "no image": 1}
    assert (summary["rows_in"], summary["kept"], summary["quarantined"]) == (5, 2, 3)
    assert summary["files_without_row"] == 1
    assert summary["classes"]["NV"] == 2
    assert summary["missing"] == {
        "sex": 0,
        "age_years": 1,
        "site": 2,
        "patient_id": 0,
        "lesion_id": 2,
        "fitzpatrick_skin_type": 1,
    }
    assert summary["unknown_words"] == {
        "sex": {"x": 1},
        "site": {"tail": 2},
        "fitzpatrick_skin_type": {},
    }


def test_lost_row_is_noticed():
    """The planted fault: a case vanishes between matching and finishing."""
    matched = match([make_row("a", 2), make_row("b", 3)], {"a": [Path("a.jpg")]}, RAW)

    with pytest.raises(RuntimeError, match=r"^here: rows in must be kept \+ quarantined\. Got: 2,"):
        finish("here", Matched([], matched.refused), {}, rows_in=2)


def test_order_of_rows_changes_neither_table_but_for_the_line():
    rows = [make_row("b", 2), make_row("a", 2)]
    files = {"a": [Path("a.jpg")], "b": [Path("b.jpg")]}

    assert run(rows, files).manifest.equals(run(rows[::-1], files).manifest)


@settings(max_examples=100)
@given(
    rows=st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans())),
    files=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 2)),
    damaged=st.sets(st.sampled_from("abcdefgh")),
)
def test_every_row_and_file_is_accounted_for(rows, files, damaged):
    table = [
        make_row(image_id, line, problem=Problem("x", "x") if broken else None)
        for line, (image_id, broken) in enumerate(rows, start=2)
    ]
    found = {stem: [Path(f"{n}/{stem}.jpg") for n in range(count)] for stem, count in files.items()}
    matched = match(table, found, RAW)
    facts = {path: DAMAGED if row.image_id in damaged else READABLE for row, path in matched.cases}

    done = finish("here", matched, facts, len(table))

    of_rows = done.quarantine[done.quarantine.row != ""]
    named = {image_id for image_id, _ in rows}
    assert len(table) == len(done.manifest) + len(of_rows)
    assert sum(done.summary["reasons"].values()) == len(of_rows)
    assert done.summary["files_without_row"] == sum(
        count for stem, count in files.items() if stem not in named
    )
    assert done.summary["files_without_row"] == len(done.quarantine) - len(of_rows)


# What the cells of generated tables hold: usual, unusual and wrong, by the kind of column.
IDS = ("a", "b", "c", "A", "", " a ", "é", "e\u0301", "../a", "a\nb", "x" * 300, "nan")
AGES = ("45", "45.0", "", "unknown", "85+", "-5", "500", "121", "forty", "1e1")
SEXES = ("male", "Male ", "f", "", "unknown")
SITES = ("torso", "Trunk", "back", "", "tail")
ANY = ("", "x", "dermoscopic", "clinical: overview", "3D: XP", 'say "so", here\n')
DIAGNOSES = ("nevus", "melanoma", "Benign", "", "mole", "NV", "mel", "akiec", "malignant")
NUMBERS = ("0", "1", "0.0", "1.0", "", "2", "yes")
COLUMNS_OF_FORM = {
    ("isic_cli", "metadata.csv"): {
        "isic_id": IDS,
        "diagnosis_1": DIAGNOSES,
        "diagnosis_2": DIAGNOSES,
        "age_approx": AGES,
        "sex": SEXES,
        "anatom_site_1": SITES,
        "image_type": ANY,
        "tbp_tile_type": ANY,
    },
    ("isic_2020", "train.csv"): {
        "image_name": IDS,
        "patient_id": ANY,
        "sex": SEXES,
        "age_approx": AGES,
        "anatom_site_general_challenge": SITES,
        "diagnosis": DIAGNOSES,
        "benign_malignant": DIAGNOSES,
    },
    ("ham10000", "HAM10000_metadata"): {
        "lesion_id": ANY,
        "image_id": IDS,
        "dx": DIAGNOSES,
        "age": AGES,
        "sex": SEXES,
        "localization": SITES,
    },
    ("isic_2019", "ISIC_2019_Training_GroundTruth.csv"): {"image": IDS}
    | dict.fromkeys(CLASSES, NUMBERS),
}
METADATA_2019 = {
    "image": IDS,
    "age_approx": AGES,
    "anatom_site_general": SITES,
    "lesion_id": ANY,
    "sex": SEXES,
}


@st.composite
def tables(draw, columns):
    """Bytes of a table with these columns, some rows too short or too long, and its rows."""
    row = st.tuples(*(st.sampled_from(words) for words in columns.values()))
    rows = [
        [*cells, "more"][: len(cells) + draw(st.sampled_from((0, 0, 0, -1, 1)))]
        for cells in draw(st.lists(row, max_size=8))
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=draw(st.sampled_from(("\n", "\r\n"))))
    writer.writerows([list(columns), *rows])
    return text.getvalue().encode(draw(st.sampled_from(("utf-8", "utf-8-sig")))), rows


@pytest.mark.slow
@pytest.mark.parametrize(("form", "name"), COLUMNS_OF_FORM)
@settings(max_examples=50)
@given(data=st.data())
def test_every_row_of_a_generated_table_is_kept_or_in_quarantine(form, name, data):
    content, rows = data.draw(tables(COLUMNS_OF_FORM[form, name]))
    expected = len(rows)
    there = data.draw(st.sets(st.sampled_from(("a", "b", "c", "A", "é", "z"))))
    damaged = data.draw(st.sets(st.sampled_from(("a", "b"))))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_bytes(content)
        if form == "isic_2019":
            content, others = data.draw(tables(METADATA_2019))
            Path(folder, "ISIC_2019_Training_Metadata.csv").write_bytes(content)
            known = {row[0].strip() for row in rows}
            expected += sum(row[0].strip() not in known for row in others)
        table = read_rows(Path(folder), form)
        matched = match(table, {stem: [Path(f"{stem}.jpg")] for stem in there}, RAW)
        facts = {
            path: DAMAGED if row.image_id in damaged else READABLE for row, path in matched.cases
        }
        done = finish("here", matched, facts, len(table))
        manifest.write(done.manifest, Path(folder, "manifest.csv"))  # keeps to its rules

    of_rows = done.quarantine[done.quarantine.row != ""]
    assert expected == len(table) == len(done.manifest) + len(of_rows)
    assert (of_rows.reason != "").all()
    assert sum(done.summary["reasons"].values()) == len(of_rows)
    used = {path.name for path in map(Path, done.manifest.path)}
    assert used <= {f"{stem}.jpg" for stem in there - damaged}
