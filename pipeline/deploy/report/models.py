"""The recipe's table run again, and the ensemble against its members and other joins."""

import pandas as pd

from pipeline.deploy.report.inputs import Inputs
from pipeline.deploy.report.words import (
    NAMES,
    UNDEFINED,
    count,
    is_defined,
    name_of,
    p_value,
    percent,
    percent_interval,
    with_interval,
)
from pipeline.page import Heading, Section, TableView, Text, view_table, word_table
from pipeline.scoring.tables import HEADLINES, OUT_OF_FOLD

# The published recipe's own table: training and validation accuracy. Its row of the ensemble is
# the mean of the three above it; no ensemble was measured.
PUBLISHED = {
    "b4": (0.81, 0.91),
    "b5": (0.85, 0.93),
    "b7": (0.83, 0.92),
    "ensemble": (0.83, 0.92),
}
SHOWN = ("macro_auroc", "accuracy", "balanced_accuracy", "log_loss", "brier_score")


def describe_recipe(inputs: Inputs) -> Section:
    """Set training and held-out accuracy beside the published ones."""
    table = inputs.evaluated.table("recipe")
    rows = []
    for _, row in table.iterrows():
        is_same = row.member == "ensemble" or row.member == row.backbone
        published = PUBLISHED.get(row.member) if is_same else None
        training = f"{percent(row.training_accuracy)} (n = {count(row.training_images)})"
        rows.append(
            (
                row.member,
                f"{count(row.crop_px)} to {count(row.input_px)} px"
                if is_defined(row.crop_px)
                else "",
                training if is_defined(row.training_accuracy) else "not measured",
                f"{percent_interval(row, 'held_out_accuracy')} (n = {count(row.held_out_cases)})",
                " / ".join(percent(value, 0) for value in published or ()) or "none",
            )
        )
    header = ["Member", "Crop to input", "Training", "Held out (test set)"]
    header += ["Published: training / validation"]
    majority = inputs.evaluated.json("metrics")["ensemble"]["majority_accuracy"]
    joined = table[table.member == "ensemble"].iloc[0]
    own = percent(joined.held_out_accuracy)
    mean = table[table.member != "ensemble"].held_out_accuracy.mean()
    return Section(
        "The recipe's table, run again",
        blocks=[
            Text(
                f"On held-out images the ensemble is right in {own}; its members' mean is "
                f"{percent(mean)}, and always naming the commonest class gives "
                f"{percent(majority)}.",
                "takeaway",
            ),
            word_table(
                f"Accuracy with {inputs.percent} intervals, and the published figures",
                header,
                rows,
            ),
            Text(
                "The published ensemble row is the arithmetic mean of the three rows above it: no "
                "ensemble was measured. Published figures are of other images, a single split and "
                "full-size inputs, with neither n nor interval, so a difference from them is no "
                "test. Training accuracy here is without augmentation, on the images trained on. "
                "The ensemble is not run on those, and the mean of its members is not its own."
            ),
            inputs.evaluated.chart(
                "history",
                "Loss and accuracy by epoch: training with augmentation, and the fold left out.",
                "Line charts of loss and accuracy over the epochs, a column for each member.",
            ),
            _list_history(inputs),
        ],
    )


def _list_history(inputs: Inputs) -> TableView:
    history = inputs.evaluated.table("history").set_index("network")
    columns = ["epoch", "loss", "accuracy", "held_out_loss", "held_out_accuracy"]
    return view_table(history[columns], "The numbers of this chart", is_folded=True)


def describe_ensemble(inputs: Inputs) -> Section:
    """Compare the ensemble with its members and with other ways to join them."""
    metrics = inputs.evaluated.json("metrics")
    differences = inputs.evaluated.table("differences")
    tested = {name: row for name, row in metrics.items() if not name.endswith(OUT_OF_FOLD)}
    header = ["Model", "n", *(name_of(key) for key in SHOWN)]
    rows = [
        (NAMES.get(name, name), count(row["n"]), *(_figure(row, key) for key in SHOWN))
        for name, row in sorted(tested.items(), key=lambda item: item[0] != "ensemble")
    ]
    blocks = [
        Text(_word_best(differences, inputs.members), "takeaway"),
        word_table(f"On the test set, with {inputs.percent} intervals", header, rows),
        Heading("The ensemble less each other model"),
        _list_differences(differences, inputs.percent),
        Text(
            "Above 0 the ensemble has the larger figure: better, but for log loss and Brier "
            "score, where less is better. One by one these tests are not corrected for how many "
            "there are. Where two models answer alike in every resample, there is no p-value."
        ),
        _list_class_differences(differences),
        _list_headlines(tested),
        *_list_out_of_fold(metrics),
        view_table(
            inputs.evaluated.table("weights").set_index("member"),
            "Weights learnt for the row weighted, on images that no network trained on",
            is_folded=True,
        ),
        view_table(
            inputs.evaluated.table("diversity").set_index("first"),
            "How alike the members are, pair by pair",
            is_folded=True,
        ),
    ]
    return Section("The ensemble against its members", blocks=blocks)


def _figure(row: dict[str, float | None], key: str) -> str:
    return with_interval(row, key) if key in row else "has none"


def _word_best(differences: pd.DataFrame, members: list[str]) -> str:
    """Say against which models the ensemble's AUROC differs beyond chance."""
    ranked = differences[(differences.metric == "macro_auroc") & differences.value.notna()]
    if ranked.empty:
        return "Whether the ensemble ranks better than its members is undefined on this test set."
    own = ranked.model.isin(members)
    text = f"By macro AUROC the ensemble is better than {(ranked[own].low > 0).sum()} of its "
    text += f"{own.sum()} members (the interval of the difference is above 0)"
    worse = ranked[ranked.high < 0]
    if worse.empty:
        return f"{text}, and no other model here is better than it."
    return f"{text}; better than the ensemble: {', '.join(worse.model)}."


def _list_differences(differences: pd.DataFrame, interval: str) -> TableView:
    """Lay out a row per model and a column per figure."""
    whole = differences[differences.metric.isin(SHOWN)]
    found = {(row.model, row.metric): row for _, row in whole.iterrows()}
    rows = [
        (
            model,
            count(whole.n.iloc[0]),
            *(_word_difference(found.get((model, key))) for key in SHOWN),
        )
        for model in dict.fromkeys(whole.model)
    ]
    names = [name_of(key) for key in SHOWN]
    caption = f"Ensemble less the other model: difference, {interval} interval, p (bootstrap)"
    return word_table(caption, ["Other model", "n", *names], rows, words=names)


def _word_difference(row: pd.Series | None) -> str:
    if row is None:
        return "has none"
    return f"{with_interval(_as_row(row), 'value')}, p {_equal(p_value(row.p_value))}"


def _equal(text: str) -> str:
    return text if text.startswith("<") or text == UNDEFINED else f"= {text}"


def _list_class_differences(differences: pd.DataFrame) -> TableView:
    by_class = differences[differences.test == "delong"]
    rows = [
        (
            f"ensemble less {row.model}",
            row.metric.removeprefix("auroc_"),
            with_interval(_as_row(row), "value"),
            p_value(row.p_value),
            count(row.n),
        )
        for _, row in by_class.iterrows()
    ]
    header = ["Difference", "Class", "AUROC: value [interval]", "p (DeLong, by patient)", "n"]
    caption = "Differences in AUROC class by class"
    return word_table(caption, header, rows, words=["Class"], is_folded=True)


def _as_row(row: pd.Series) -> dict[str, float]:
    return {"value": row["value"], "value_low": row.low, "value_high": row.high}


def _list_headlines(tested: dict[str, dict[str, float | None]]) -> TableView:
    rows = [
        (NAMES.get(name, name), *(_figure(row, key) for key in HEADLINES), count(row["n"]))
        for name, row in tested.items()
    ]
    header = ["Model", *(name_of(key) for key in HEADLINES), "n"]
    return word_table("Every figure of every model", header, rows, is_folded=True)


def _list_out_of_fold(metrics: dict[str, dict[str, float | None]]) -> list[TableView]:
    own = {name: row for name, row in metrics.items() if name.endswith(OUT_OF_FOLD)}
    if not own:
        return []
    rows = [
        (name.removesuffix(OUT_OF_FOLD), count(row["n"]), *(_figure(row, key) for key in SHOWN))
        for name, row in own.items()
    ]
    header = ["Member", "n", *(name_of(key) for key in SHOWN)]
    caption = "Members out of fold: each image scored by a network that did not train on it"
    return [word_table(caption, header, rows, is_folded=True)]
