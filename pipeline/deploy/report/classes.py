"""Figures of each class: the table, the confusion matrix, ROC and precision-recall curves."""

from typing import Any

import pandas as pd

from pipeline.classes import CLASS_NAMES, CLASSES
from pipeline.deploy.report.inputs import Inputs
from pipeline.deploy.report.words import (
    UNDEFINED,
    count,
    judge_auroc,
    name_of,
    number,
    percent,
    with_interval,
)
from pipeline.page import Heading, Section, TableView, Text, word_table

FIGURES = ("recall", "precision", "f1", "auroc", "average_precision")
SPECIFICITIES = (0.5, 0.7, 0.8, 0.9, 0.95)
SENSITIVITIES = (0.5, 0.7, 0.8, 0.9, 0.95)


def describe_classes(inputs: Inputs) -> Section:
    """List every class with its figures."""
    table = inputs.evaluated.table("per_class")
    own = table[table.model == "ensemble"].set_index("class")
    rows = [
        (
            f"{name} {CLASS_NAMES[name]}",
            f"{count(own.loc[name, 'positives'])} of {count(own.loc[name, 'n'])}",
            *(with_interval(own.loc[name], key) for key in FIGURES),
        )
        for name in CLASSES
    ]
    header = ["Class", "Positives of n", *(name_of(key) for key in FIGURES)]
    return Section(
        "Class by class",
        blocks=[
            Text(_word_classes(own), "takeaway"),
            word_table(
                f"The ensemble on the test set, each class against the rest, {inputs.percent} "
                "intervals",
                header,
                rows,
            ),
            Text(
                "Recall, precision and F1 are of the label with the highest probability; AUROC "
                "and average precision are of the rank scores. A class without a case has no "
                "recall and no AUROC, one that is never named no precision: undefined, not 0."
            ),
            inputs.evaluated.chart(
                "per_class",
                "AUROC of each class, members beside the ensemble, with intervals.",
                "Bar chart of the AUROC of each class for each member and the ensemble.",
            ),
            _list_models(table),
        ],
    )


def _word_classes(own: pd.DataFrame) -> str:
    """Say which classes are worst and best told apart."""
    known = own.auroc.dropna()
    if known.empty:
        return "No class has an AUROC: the test set does not hold cases of two classes."
    absent = len(CLASSES) - len(known)
    text = f"AUROC runs from {number(known.min())} ({known.idxmin()}) to {number(known.max())} "
    text += f"({known.idxmax()})"
    if known.min() == known.max():
        text = f"AUROC is {number(known.min())} in {len(known)} classes alike"
    text += f"; of {absent} classes it is undefined." if absent else "."
    return f"{text} For melanoma it {judge_auroc(own.loc['MEL'], 'auroc')}."


def _list_models(table: pd.DataFrame) -> TableView:
    rows = [
        (
            row.model,
            row["class"],
            f"{count(row.positives)} of {count(row.n)}",
            *(with_interval(row, key) for key in FIGURES if key in table),
        )
        for _, row in table.iterrows()
    ]
    header = ["Model", "Class", "Positives of n", *(name_of(key) for key in FIGURES)]
    caption = "Every model, every class; rank_argmax has no scores of its own"
    return word_table(caption, header, rows, words=["Class"], is_folded=True)


def describe_confusion(inputs: Inputs) -> Section:
    """Show what is taken for what."""
    cases = inputs.evaluated.table("confusion")
    counts = pd.crosstab(cases["true"], cases.predicted)
    counts = counts.reindex(index=list(CLASSES), columns=list(CLASSES), fill_value=0)
    rows = [
        (name, *map(count, counts.loc[name]), count(counts.loc[name].sum())) for name in CLASSES
    ]
    return Section(
        "What is taken for what",
        blocks=[
            Text(_word_confusion(counts), "takeaway"),
            inputs.evaluated.chart(
                "confusion_matrix",
                f"Confusion matrix of the ensemble on the test set, n = {count(len(cases))}: "
                "counts, and shares of the true class.",
                "Matrix of true and predicted classes; the numbers stand in the table below.",
            ),
            word_table(
                "Images by true class (row) and predicted class (column)",
                ["True class", *CLASSES, "n"],
                rows,
                is_folded=True,
            ),
        ],
    )


def _word_confusion(counts: pd.DataFrame) -> str:
    missed = counts.loc["MEL"].sum() - counts.loc["MEL", "MEL"]
    said = f"Of {count(counts.loc['MEL'].sum())} melanomas {count(missed)} are given another label"
    if not counts.loc["MEL"].sum():
        said = "The test set holds no melanoma"
    called = counts.sum()[counts.sum() > 0]
    if len(called) == 1:
        return f"{said}, for every image at all is called {called.index[0]}."
    wrong = counts.stack()
    wrong = wrong[[true != other for true, other in wrong.index]]
    if not wrong.max():
        return f"{said}. No image at all is given a wrong label."
    true, other = wrong.idxmax()
    of_class = counts.loc[true].sum()
    return (
        f"{said}. The commonest mistake: {true} taken for {other}, "
        f"{count(wrong.max())} of {count(of_class)} ({percent(wrong.max() / of_class)})."
    )


def describe_curves(inputs: Inputs) -> Section:
    """Show ROC and precision-recall curves, with numbers at stated places."""
    roc, recalls = inputs.evaluated.table("roc"), inputs.evaluated.table("pr")
    return Section(
        "ROC and precision-recall curves",
        blocks=[
            Heading("ROC"),
            inputs.evaluated.chart(
                "roc",
                "Sensitivity against 1 - specificity, each class against the rest: the ensemble "
                "black, members behind it, chance dotted.",
                "Nine ROC curves, a panel for each class; numbers stand in the table below.",
            ),
            _list_sensitivities(roc),
            Heading("Precision and recall"),
            inputs.evaluated.chart(
                "pr",
                "Precision against sensitivity, each class against the rest: the ensemble black, "
                "members behind it; dotted, the share of the class, which is chance.",
                "Nine precision-recall curves, a panel for each class; numbers stand below.",
            ),
            _list_precisions(recalls),
            Text(
                f"All points of these curves: reports/evaluate/roc.csv ({count(len(roc))} rows) "
                f"and pr.csv ({count(len(recalls))} rows). Precision falls with the share of a "
                "class: it holds for this test set alone."
            ),
        ],
    )


def _list_sensitivities(roc: pd.DataFrame) -> TableView:
    """Read the curves: the best sensitivity at no less than each specificity."""
    rows = []
    for (model, name), points in _by_curve(roc):
        reached = [
            number(points[points.false_positive_rate <= 1 - least + 1e-12].sensitivity.max())
            for least in SPECIFICITIES
        ]
        rows.append((model, name, *reached))
    header = ["Model", "Class", *(f"at specificity {least:g}" for least in SPECIFICITIES)]
    caption = f"Sensitivity at a specificity no less than stated; other classes {UNDEFINED}"
    return word_table(caption, header, rows, words=["Class"], is_folded=True)


def _list_precisions(recalls: pd.DataFrame) -> TableView:
    """Read the curves: the best precision at no less than each sensitivity."""
    rows = [
        (
            model,
            name,
            *(
                number(points[points.sensitivity >= least].precision.max())
                for least in SENSITIVITIES
            ),
        )
        for (model, name), points in _by_curve(recalls)
    ]
    header = ["Model", "Class", *(f"at sensitivity {least:g}" for least in SENSITIVITIES)]
    caption = f"Precision at a sensitivity no less than stated; other classes {UNDEFINED}"
    return word_table(caption, header, rows, words=["Class"], is_folded=True)


def _by_curve(table: pd.DataFrame) -> Any:
    return table.groupby(["model", "class"], sort=False)
