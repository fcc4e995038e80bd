"""Ingest and split the real tables of ISIC 2020 and 2019 alone, without an image, and count.

Usage: python -m tools.tables ../shared/data/csv   (`make tables DATA=folder`)

Prints what stages `ingest` and `split` would count if every image of the tables were there and no
two were alike: classes, also in lists of seven and two, rows in quarantine by reason, and folds,
with the proof that no patient or lesion is in two. Beside it stands the column `tfrecord` of Chris
Deotte's table of ISIC 2020, a split that many use, on the same rows. Writes tables.json,
classes.csv, folds.csv and quarantine.csv to reports/tables. Tables of other names are given by
options.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import params, storage
from pipeline.cases import isic_2019, isic_2020
from pipeline.cases.duplicates import find_duplicates
from pipeline.cases.ingest import ImageFacts, Ingested, finish, match
from pipeline.cases.proof import crossing_values, prove
from pipeline.cases.sources import read_rows
from pipeline.cases.split import SplitParams, join_sources, read_parts, split
from pipeline.cases.tables import read_table
from pipeline.class_lists import CLASS_LISTS, class_in_list
from pipeline.classes import CLASSES
from pipeline.command import run_stage
from tools.summary import table

TARGET = Path("reports/tables")
FORMS = ("isic_2019", "isic_2020")
# Options for the tables, by the name under which they are published.
OPTIONS = {
    isic_2019.TRUTH: "--truth-2019",
    isic_2019.METADATA: "--metadata-2019",
    isic_2020.TABLES[0]: "--table-2020",
    isic_2020.DUPLICATES: "--duplicates-2020",
}
DEOTTE = "isic2020_train_cdeotte_width_height_tfrecord.csv"
LEFT_OUT = "-1"  # his mark of images that he left out
NO_IMAGE = ImageFacts(width_px=0, height_px=0, sha256="", perceptual_hash="", problem="")
BOTH = "both"


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    settings = params.load("split", SplitParams)
    sources = ingest_tables(args.folder, {name: getattr(args, name) for name in OPTIONS})
    parted = split_cases([done.manifest for done in sources.values()], settings)
    report = {
        "sources": {name: done.summary for name, done in sources.items()},
        "classes": {name: count_classes(parted, name) for name in CLASS_LISTS},
        "split": prove(parted, settings, read_parts(settings)),
        "comparison": compare(parted, args.folder / args.compare),
    }
    write_report(report, args.target)
    print(describe(report))
    print(f"tables: {report['split']['cases']} cases of {len(sources)} sources, in {args.target}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.tables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="folder with the tables of 2019 and 2020")
    for name, option in OPTIONS.items():
        parser.add_argument(option, dest=name, metavar="NAME", default=name, help=f"else {name}")
    parser.add_argument("--compare", metavar="NAME", default=DEOTTE, help=f"else {DEOTTE}")
    parser.add_argument("--target", type=Path, default=TARGET, help=f"else {TARGET}")
    return parser.parse_args(argv)


def ingest_tables(folder: Path, names: dict[str, str]) -> dict[str, Ingested]:
    """Read both archives' tables as stage `ingest` does, as if each row had its whole image.

    Args:
        folder: Where the tables are.
        names: File in `folder` by the name under which it is published.
    """
    with tempfile.TemporaryDirectory(prefix="tables-") as place:
        for published, name in names.items():
            if not (folder / name).is_file():
                raise ValueError(f"{folder / name} must exist, or {OPTIONS[published]} be given.")
            Path(place, published).symlink_to((folder / name).resolve())
        return {form: ingest_without_images(Path(place), form) for form in FORMS}


def ingest_without_images(folder: Path, form: str) -> Ingested:
    """Ingest one archive, each row with a file of its name that nobody reads."""
    rows = read_rows(folder, form)
    matched = match(rows, {row.image_id: [Path(f"{row.image_id}.jpg")] for row in rows}, Path())
    facts = {path: NO_IMAGE for _, path in matched.cases}
    return finish(form, matched, facts, len(rows))


def split_cases(manifests: Sequence[pd.DataFrame], settings: SplitParams) -> pd.DataFrame:
    """Part the cases as stage `split` does."""
    cases = join_sources(manifests)
    duplicates = find_duplicates(cases, settings.near_duplicate_bits)
    return split(cases, duplicates, settings, read_parts(settings))


def count_classes(cases: pd.DataFrame, name: str) -> dict[str, dict[str, int]]:
    """Count the cases of each source, and of both, in the classes of a list; `undefined` last."""
    counted = cases[~cases.is_repeated]
    words = zip(counted.source, counted.diagnosis, counted.diagnosis_raw, strict=True)
    counts: dict[str, Counter[str]] = {source: Counter() for source in (*FORMS, BOTH)}
    for (source, diagnosis, raw), number in Counter(words).items():
        label = class_in_list(name, diagnosis, raw) or "undefined"
        counts[source][label] += number
        counts[BOTH][label] += number
    labels = [*CLASS_LISTS[name], *(["undefined"] if counts[BOTH]["undefined"] else [])]
    return {source: {label: found[label] for label in labels} for source, found in counts.items()}


def compare(cases: pd.DataFrame, path: Path) -> dict[str, Any] | None:
    """Look at another's folds of ISIC 2020, and at ours, on the rows that both have.

    Args:
        cases: With `fold`, as from `split`.
        path: Table with image_name and tfrecord, the other's fold.

    Returns:
        For each split its parts, and how many patients and lesions cross them, or `None` where
        the table is absent.
    """
    if not path.is_file():
        return None
    records = read_table(path, ("image_name", "tfrecord")).records
    theirs = {record.values["image_name"]: record.values["tfrecord"] for record in records}
    cases = cases[~cases.is_repeated & (cases.source == "isic_2020")]
    tfrecord = cases.image_id.map(theirs).fillna(LEFT_OUT)
    shared = tfrecord != LEFT_OUT
    folds = {"tfrecord": cases.assign(fold=tfrecord)[shared], "ours": cases[shared]}
    return {
        "cases": int(shared.sum()),
        "cases_left_out": int((~shared).sum()),
        **{name: count_crossings(frame) for name, frame in folds.items()},
    }


def count_crossings(cases: pd.DataFrame) -> dict[str, int]:
    """Count the parts of a split and what is in them, and what is in several of them."""
    sizes = cases.fold.value_counts()
    melanomas = cases.fold[cases.diagnosis == "MEL"].value_counts().reindex(sizes.index).fillna(0)
    return {
        "parts": len(sizes),
        "smallest": int(sizes.min()),
        "largest": int(sizes.max()),
        "fewest_melanomas": int(melanomas.min()),
        "most_melanomas": int(melanomas.max()),
        "patients": int(cases.patient_id.nunique()),
        "patients_crossing": len(crossing_values(cases, "patient_id")),
        "lesions": int(cases.lesion_id.nunique()),
        "lesions_crossing": len(crossing_values(cases, "lesion_id")),
    }


def class_rows(report: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Lay the classes out: list, class, and its count in each source and both."""
    return [
        (name, label, *(counts[source][label] for source in (*FORMS, BOTH)))
        for name, counts in report["classes"].items()
        for label in counts[BOTH]
    ]


def fold_rows(report: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Lay the folds out: name, cases, components, and the count of each class."""
    return [
        (name, part["cases"], part["components"], *(part["classes"][label] for label in CLASSES))
        for name, part in report["split"]["folds"].items()
    ]


def quarantine_rows(report: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Lay the accounts out: source, where its rows went, and how many."""
    return [
        (source, where, count)
        for source, summary in report["sources"].items()
        for where, count in (
            ("rows in", summary["rows_in"]),
            ("kept", summary["kept"]),
            *((f"quarantined: {kind}", n) for kind, n in sorted(summary["reasons"].items())),
        )
    ]


HEADS = {
    "classes": ("list", "class", *FORMS, BOTH),
    "folds": ("fold", "cases", "components", *CLASSES),
    "quarantine": ("source", "rows", "count"),
}
LAYOUTS = {"classes": class_rows, "folds": fold_rows, "quarantine": quarantine_rows}


def write_report(report: dict[str, Any], target: Path) -> None:
    """Write the tables as CSV and the whole as JSON, that last."""
    for name, lay_out in LAYOUTS.items():
        with storage.atomic_write(target / f"{name}.csv", "w") as file:
            frame = pd.DataFrame(lay_out(report), columns=list(HEADS[name]))
            frame.to_csv(file, index=False, lineterminator="\n")
    storage.write_json(target / "tables.json", report)


def describe(report: dict[str, Any]) -> str:
    """Lay the report out for the terminal."""
    parts = [
        table(HEADS[name], [tuple(map(str, row)) for row in LAYOUTS[name](report)])
        for name in ("quarantine", "classes", "folds")
    ]
    crossings = report["split"]["crossings"]
    parts.append("In two folds: " + ", ".join(f"{n} {name}s" for name, n in crossings.items()))
    if report["comparison"]:
        parts.append(describe_comparison(report["comparison"]))
    return "\n\n".join(parts)


def describe_comparison(found: dict[str, Any]) -> str:
    """Say how two splits of the same rows of ISIC 2020 fare."""
    rows = [(key, str(found["tfrecord"][key]), str(found["ours"][key])) for key in found["ours"]]
    head = (f"{found['cases']} cases of ISIC 2020", "tfrecord", "ours, with test")
    return f"{table(head, rows)}\n{found['cases_left_out']} kept cases have no tfrecord."


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
