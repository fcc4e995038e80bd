"""What was trained on what, and how the split is proved."""

from typing import Any

import pandas as pd

from pipeline import manifest
from pipeline.classes import CLASS_NAMES, CLASSES
from pipeline.deploy.report.inputs import Inputs
from pipeline.deploy.report.words import count, number, percent
from pipeline.page import Section, TableView, Text, view_table, word_table

CROSSINGS = {
    "image": "images",
    "patient": "patients",
    "lesion": "lesions",
    "duplicate": "pairs of duplicates",
    "component": "connected groups of these",
}


def describe_cases(inputs: Inputs) -> Section:
    """Count the cases by source, class and part, and what was set aside."""
    cases = inputs.cases
    trained = cases[_is_trained(inputs)]
    known = (cases.patient_id != "").sum()
    text = (
        f"{count(len(cases))} images ({', '.join(sorted(cases.source.unique()))}): the deployed "
        f"networks trained on {count(len(trained))} of them, and "
        f"{count((cases.fold == manifest.TEST).sum())} are the test set, which nothing was chosen "
        f"by. {count(cases.loc[cases.patient_id != '', 'patient_id'].nunique())} patients are "
        f"named for {count(known)} images."
    )
    return Section(
        "What was trained on what",
        blocks=[
            Text(text, "takeaway"),
            _count_parts(inputs),
            _count_classes(cases),
            _count_rows(inputs),
            _count_unknown(cases),
        ],
    )


def _is_trained(inputs: Inputs) -> pd.Series:
    """Say which cases at least one deployed network trained on."""
    ensemble, folds = inputs.settings["ensemble"], inputs.settings["split"]["train_folds"]
    aside = {manifest.TEST, manifest.CALIBRATION}
    if ensemble["deploy"] == "fold" or len(folds) == 1:
        aside.add(str(ensemble["fold"]))
    return ~inputs.cases.fold.isin(aside)


def _count_parts(inputs: Inputs) -> TableView:
    """Count each part of the split, with what it was used for."""
    parts = inputs.split.json("proof")["folds"]
    trained = inputs.cases.fold[_is_trained(inputs)].unique()
    rows = []
    for name, part in parts.items():
        if name == manifest.TEST:
            use = "test: every figure of this report, unless said otherwise"
        elif name == manifest.CALIBRATION:
            use = "set aside: rank references, probability map, thresholds"
        elif name in trained:
            use = "training"
        else:
            use = "left out of training: rank references, probability map, thresholds"
        rows.append((name, use, count(part["cases"]), count(part["components"])))
    header = ["Part", "Use by the deployed networks", "Images", "Groups"]
    caption = "Parts of the split; a group shares a patient, a lesion or a picture"
    return word_table(caption, header, rows, words=header[1:2])


def _count_classes(cases: pd.DataFrame) -> TableView:
    counts = pd.crosstab(cases.diagnosis, cases.source).reindex(list(CLASSES), fill_value=0)
    test = cases[cases.fold == manifest.TEST].diagnosis.value_counts()
    sources = list(counts.columns)
    rows = [
        (
            f"{name} {CLASS_NAMES[name]}",
            *(count(counts.loc[name, source]) for source in sources),
            count(counts.loc[name].sum()),
            count(test.get(name, 0)),
        )
        for name in CLASSES
    ]
    totals = [count(counts[source].sum()) for source in sources]
    rows.append(("All", *totals, count(len(cases)), count(test.sum())))
    return word_table(
        "Images by class and source", ["Class", *sources, "All", "Of these test"], rows
    )


def _count_rows(inputs: Inputs) -> TableView:
    """Account for every row of every source."""
    rows = []
    for source in sorted(inputs.cases.source.unique()):
        account: dict[str, Any] = inputs.ingested.json(f"{source}/summary")
        reasons = ", ".join(f"{reason}: {n}" for reason, n in sorted(account["reasons"].items()))
        numbers = (count(account[key]) for key in ("rows_in", "kept", "quarantined"))
        rows.append((source, *numbers, reasons or "none set aside"))
    header = ["Source", "Rows", "Kept", "Set aside", "Reasons"]
    return word_table("Rows of the sources' tables", header, rows, words=["Reasons"])


def _count_unknown(cases: pd.DataFrame) -> TableView:
    columns = {"patient_id": "patient", "lesion_id": "lesion", "sex": "sex"}
    columns |= {"age_years": "age", "site": "site"}
    rows = []
    for column, name in columns.items():
        missing = cases[column].isna() | (cases[column].astype(str) == "")
        rows.append((name, count(missing.sum()), percent(missing.mean()), count(len(cases))))
    header = ["What", "Images where it is unknown", "Share", "n"]
    return word_table("What is not known of the images", header, rows)


def describe_split(inputs: Inputs) -> Section:
    """Show that no patient, lesion or picture is in two parts."""
    proof = inputs.split.json("proof")
    crossings, pairs = proof["crossings"], proof["duplicate_pairs"]
    blocks: list[Any] = []
    if any(crossings.values()):
        found = ", ".join(f"{CROSSINGS[name]}: {n}" for name, n in crossings.items() if n)
        text = f"The split leaks: in more than one part are {found}. No figure can be believed."
        blocks.append(Text(text, "alarm"))
    else:
        text = (
            "No patient, lesion, picture or pair of duplicates is in two parts: looked up in the "
            "finished table, not taken from how it was made."
        )
        blocks.append(Text(text, "takeaway"))
    rows = [(name, count(crossings[key])) for key, name in CROSSINGS.items()]
    blocks += [
        word_table("What is in more than one part", ["What", "How many"], rows),
        Text(
            f"Images are parted as {count(proof['components'])} groups that share a patient, a "
            f"lesion or a picture, directly or through others; the largest has "
            f"{count(proof['largest_component'])} images. {count(pairs['equal_bytes'])} pairs are "
            f"equal files and {count(pairs['near'])} are near copies by perceptual hash in eight "
            f"orientations; {count(pairs['with_different_diagnosis'])} of these pairs differ in "
            f"diagnosis. Wanted for the test set: {percent(proof['test_share']['wanted'])} of the "
            f"images; reached with whole groups: {percent(proof['test_share']['reached'])}."
        ),
        _word_metadata(proof["metadata_alone"]),
    ]
    blocks.append(_fold_classes(proof["folds"]))
    return Section("How the split is proved", blocks=blocks)


def _word_metadata(found: dict[str, Any]) -> Text:
    """Say what columns alone tell of the class."""
    reached = {
        source: figures["macro_auroc"].get("all folds")
        for source, figures in found["sources"].items()
    }
    said = "; ".join(
        f"{source}: {number(value) if value is not None else 'undefined, too few cases'}"
        for source, value in reached.items()
    )
    return Text(
        "A forest that sees the table's columns and no picture reaches these macro AUROCs on the "
        f"folds: {said}. From {found['ceiling']} in any class the stage would have stopped: the "
        "class would have stood in the table."
    )


def _fold_classes(parts: dict[str, Any]) -> TableView:
    counts = pd.DataFrame({name: part["classes"] for name, part in parts.items()}).T
    counts = counts[list(CLASSES)].rename_axis("part")
    return view_table(counts, "Images by part and class", is_folded=True)
