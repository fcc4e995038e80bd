"""What the report is about, the headline, limits, licences, and how to reproduce it."""

import platform
import subprocess
from importlib import metadata
from typing import Any

import pandas as pd

from pipeline import params
from pipeline.deploy.model_card import LIMITS
from pipeline.deploy.report.inputs import Inputs
from pipeline.deploy.report.words import (
    count,
    is_defined,
    judge_accuracy,
    judge_auroc,
    make_card,
    number,
    percent,
)
from pipeline.page import Bullets, Cards, Code, Section, Text, view_table, word_table

LIBRARIES = ("tensorflow", "keras", "onnxruntime", "numpy", "pandas", "scikit-learn", "pillow")
OUTCOMES = {"malignant": "Malignant or not", "melanoma": "Melanoma or not"}
MORE_LIMITS = (
    "No reader study: nothing here says whether a dermatologist with the system does better than "
    "one without.",
    "No prospective and no external validation: test images come from the archives that the "
    "training images come from.",
    "The skin tone of most patients is not known. Groups by estimated tone are by the colour of "
    "the skin around the lesion, which the lamp and the camera change too: unvalidated.",
    "Diagnoses are the archives'. Some were confirmed by histology, others by follow-up or by "
    "experts, and the tables used here do not say which.",
    "Intervals say how much the test set's patients could differ, not how much another hospital, "
    "camera or training run would.",
)


def describe_purpose(inputs: Inputs) -> Section:
    """Say what this is and for whom, with the notices."""
    blocks: list[Any] = [
        Text(
            "An ensemble of image networks for dermoscopy. It takes one dermoscopic image, and "
            "age, sex and site where they are known, and answers nine probabilities and two "
            "decisions with frozen thresholds: malignant or not, melanoma or not.",
            "takeaway",
        ),
    ]
    if inputs.generated:
        blocks.insert(0, Text(_word_generated(inputs), "alarm"))
    bundle = inputs.bundle.json("manifest")
    counts = inputs.cases.fold.eq("test").sum()
    blocks += [
        Bullets(
            [
                "For engineers and reviewers who must judge whether the figures can be believed, "
                "and for integrators who must know what the bundle does.",
                "It is meant to assist people who judge lesions, in studies. It must not decide on "
                "treatment, replace an examination, or be used on images that are not dermoscopy.",
                f"Described here: bundle {bundle['name']} {bundle['version']} "
                f"(schema {bundle['schema_version']}), members {', '.join(inputs.members)}, "
                f"measured on {count(counts)} test images that no network trained on.",
                f"Every figure stands with its n and its {inputs.percent} interval. Intervals "
                "resample patients (lesions, or images, where none is known). What cannot be "
                "computed is called undefined; an en dash in a table of all figures means the "
                "same.",
            ]
        ),
    ]
    return Section("What this is, and for whom", blocks=blocks)


def _word_generated(inputs: Inputs) -> str:
    every = len(inputs.generated) == inputs.cases.source.nunique()
    which = "All images are" if every else f"Images of {', '.join(inputs.generated)} are"
    return (
        f"{which} synthetic: a program drew them. The figures prove that the software works "
        "from end to end. They say nothing about skin, patients or diagnoses."
    )


def describe_headline(inputs: Inputs) -> Section:
    """Give the few figures that matter most."""
    row = inputs.evaluated.json("metrics")["ensemble"]
    n, units = count(row["n"]), count(row["resampling_units"])
    classes = row.get("macro_auroc_classes")
    majority = row["majority_accuracy"]
    test = f"n = {n} test images, {units} patients or lesions"
    cards = [
        make_card(
            "Macro AUROC, ensemble",
            row,
            "macro_auroc",
            interval=inputs.percent,
            notes=[f"{test}; mean over {classes} of 9 classes", "red mark: chance, 0.5"],
            reference=0.5,
        ),
        make_card(
            "Accuracy, ensemble",
            row,
            "accuracy",
            interval=inputs.percent,
            notes=[test, f"red mark: always naming the commonest class, {percent(majority)}"],
            reference=majority,
        ),
    ]
    decided = _read_decisions(inputs)
    for _, decision in decided.iterrows():
        name = OUTCOMES.get(decision.target, decision.target)
        negatives = decision.n - decision.positives
        for figure, cases in (("sensitivity", decision.positives), ("specificity", negatives)):
            of_whom = "positive" if figure == "sensitivity" else "negative"
            cards.append(
                make_card(
                    f"{name}: {figure}",
                    decision,
                    figure,
                    interval=inputs.percent,
                    notes=[_word_decision(decision), f"n = {count(cases)} {of_whom} images"],
                )
            )
    text = (
        f"The ensemble's macro AUROC {judge_auroc(row, 'macro_auroc')}. Always naming the "
        f"commonest class would be right in {percent(majority)} of the test images; the "
        f"ensemble's accuracy of {percent(row['accuracy'])} {judge_accuracy(row)}."
    )
    return Section("Headline", blocks=[Text(text, "takeaway"), Cards(cards)])


def _read_decisions(inputs: Inputs) -> pd.DataFrame:
    table = inputs.clinical.table("operating_points")
    return table[table.decides & ~table.is_stated]


def _word_decision(decision: pd.Series) -> str:
    if not is_defined(decision.threshold):
        return "no threshold could be chosen: the cases to choose it on lack a side"
    return (
        f"threshold {number(decision.threshold)}, chosen elsewhere for a "
        f"{decision.chosen_quantity} of {percent(decision.chosen_wanted, 0)}"
    )


def describe_limits(inputs: Inputs) -> Section:
    """List what the figures do not say."""
    limits = [*LIMITS, *MORE_LIMITS]
    if inputs.generated:
        limits.insert(0, _word_generated(inputs))
    return Section("Limits", blocks=[Bullets(limits)])


def describe_licences(inputs: Inputs) -> Section:
    """Count the images by licence."""
    named = inputs.cases.assign(
        licence=[
            "none: generated" if source in inputs.generated else licence or "unknown"
            for source, licence in zip(inputs.cases.source, inputs.cases.licence, strict=True)
        ]
    )
    counts = named.groupby(["source", "licence"]).size()
    rows = [(source, licence, count(images)) for (source, licence), images in counts.items()]
    shown = (
        "The images in this page are synthetic and show no patient."
        if len(inputs.generated) == inputs.cases.source.nunique()
        else "The galleries in this page show images of the sources below: the page may be passed "
        "on where their licences allow it."
    )
    return Section(
        "Licences",
        blocks=[
            Text(shown),
            word_table(
                "Images by source and licence",
                ["Source", "Licence", "Images"],
                rows,
                words=["Licence"],
            ),
            Text(
                "The code is under the Apache License 2.0. Networks trained on images under "
                "CC BY-NC may not be sold, and the archives ask for their citation. Pretrained "
                "weights have terms of their own."
            ),
        ],
    )


def describe_reproduction(inputs: Inputs) -> Section:
    """Say how to get the same figures: commands, versions, seeds, parameters."""
    machine = inputs.benchmark.json("benchmark")["machine"]["versions"]
    versions = [(name, machine.get(name) or _version_of(name)) for name in LIBRARIES]
    rows = [("Python", platform.python_version()), *versions, ("git commit", _commit())]
    seeds = pd.Series(dict(_find_seeds(inputs.settings)), name="seed").rename_axis("key")
    command = "git checkout COMMIT   # the commit below\nmake repro            # or RECIPE=… DATA=…"
    text = params.PARAMS_FILE.read_text(encoding="utf-8")
    return Section(
        "How to reproduce",
        blocks=[
            Code(f"{command}\ndvc metrics show      # the figures; dvc plots show for the curves"),
            Text(
                "On the same machine and versions the figures are the same. Across machines the "
                "last digits of training differ, and latencies differ altogether."
            ),
            word_table("Versions", ["What", "Version"], rows, words=["Version"]),
            view_table(seeds.to_frame(), "Seeds", is_folded=True),
            Code(text, "params.yaml, every value that the stages read"),
        ],
    )


def _version_of(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """Name the commit of the working tree, and whether it was edited since."""
    try:
        found = _git("rev-parse", "HEAD")
        edited = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return "not known"
    return f"{found}, with edits that are not committed" if edited else found


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def _find_seeds(part: Any, place: str = "") -> list[tuple[str, int]]:
    """List every `seed` of the parameters with its path."""
    if not isinstance(part, dict):
        return []
    found = []
    for key, value in part.items():
        where = f"{place}.{key}" if place else str(key)
        if str(key).endswith("seed"):
            found.append((where, value))
        found += _find_seeds(value, where)
    return found
