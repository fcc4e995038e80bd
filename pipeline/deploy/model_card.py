"""Word `MODEL_CARD.md`: what a bundle is for, what it was trained on, how well it does.

In Hugging Face's form: front matter that the hub reads, then its sections in its order.

Every figure stands with its n and its interval; what is undefined is said to be.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.classes import CLASS_NAMES
from pipeline.deploy.bundle import Estimate, Manifest, Target
from pipeline.deploy.card_front import END, START, USES, word_front
from pipeline.scoring.ensemble_params import FOLD_AVERAGE
from pipeline.scoring.tables import OUT_OF_FOLD

FIGURES = {
    "macro_auroc": "macro AUROC, one class against the rest",
    "macro_average_precision": "macro average precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
}
TITLES = {"malignant": "Malignant or not", "melanoma": "Melanoma or not"}
CLASS_FIGURES = ("recall", "precision", "auroc")
LIMITS = (
    "Measured on the archive described here, not in a clinic: other cameras, skin tones, ages and "
    "prevalences give other figures.",
    "Nine classes only. `UNK` is the archives' benign lesion that is not further specified, not a "
    "statement that the image cannot be judged; a picture that is no lesion still gets nine "
    "probabilities.",
    "Rank scores order the cases of one class; they are not probabilities and do not compare "
    "across classes.",
    "Probabilities are fitted to the share of each class among the training images.",
    "The codes in `labels.json` are null until they are checked against the terminologies.",
)


@dataclass(frozen=True)
class Source:
    """Images of one source under one licence."""

    name: str
    licence: str
    images: int
    synthetic: bool


@dataclass(frozen=True)
class Evidence:
    """What the stages before have measured.

    Attributes:
        metrics: `metrics.json` of stage `evaluate`.
        per_class: Rows of its `per_class.csv`, as text.
        interval: Share of the resamples inside the intervals.
        sources: Of all cases, training and test.
        parity: `parity.json` of stage `export`.
    """

    metrics: dict[str, dict[str, Any]]
    per_class: list[dict[str, str]]
    interval: float
    sources: list[Source]
    parity: dict[str, dict[str, Any]]


def word_card(manifest: Manifest, evidence: Evidence) -> str:
    """Word the whole card, in Markdown."""
    sources = evidence.sources
    front = word_front(
        manifest.name,
        evidence.metrics["ensemble"],
        sorted({source.name for source in sources}),
        is_synthetic=all(source.synthetic for source in sources),
    )
    sections = (
        f"{front}\n{_purpose(manifest)}",
        _details(manifest),
        USES,
        "## Bias, risks and limitations\n\n" + "\n".join(f"- {limit}" for limit in LIMITS),
        START,
        "## Training details",
        _data(sources),
        "## Evaluation",
        _performance(evidence),
        _classes(evidence),
        *_out_of_fold(evidence),
        *(_target(name, manifest.thresholds[name]) for name in TITLES),
        "## Technical specifications",
        _members(manifest, evidence.parity),
        END,
    )
    return "\n\n".join(sections) + "\n"


def _purpose(manifest: Manifest) -> str:
    used = "age, sex and site" if manifest.demographics.used else "no demographics"
    return (
        f"# {manifest.name} {manifest.version}\n\n"
        "**Research use only; not a diagnosis.**\n\n"
        "An ensemble of networks that takes one dermoscopic image and "
        f"{used}, and gives nine probabilities."
    )


def _details(manifest: Manifest) -> str:
    members = ", ".join(sorted(manifest.members))
    classes = ", ".join(f"{name} ({words})" for name, words in CLASS_NAMES.items())
    return (
        "## Model details\n\n"
        "- Model type: image classification, one ONNX graph with preprocessing of pixels inside\n"
        f"- Members: {members}\n"
        f"- Classes: {classes}\n"
        "- Licence of the code: Apache 2.0; what binds the weights is the licence of the images "
        "that they were trained on, below"
    )


def _data(sources: list[Source]) -> str:
    rows = [
        (
            source.name,
            source.images,
            "none: generated" if source.synthetic else source.licence or "unknown",
        )
        for source in sources
    ]
    text = "### Training data\n\n" + _table(("source", "images", "licence of the images"), rows)
    if any(source.synthetic for source in sources):
        text += (
            "\n\n**Trained and tested on synthetic images (all sources marked as generated).** "
            "They exercise the software; they teach nothing about skin, and no figure below says "
            "anything about patients."
        )
    return text


def _performance(evidence: Evidence) -> str:
    tested = {k: row for k, row in evidence.metrics.items() if not k.endswith(OUT_OF_FOLD)}
    of_ensemble = evidence.metrics["ensemble"]
    majority = _number(of_ensemble["majority_accuracy"])
    return (
        "### Performance on the test set\n\n"
        f"n = {of_ensemble['n']} images of {of_ensemble['resampling_units']} patients (lesions, or "
        "images where no patient is known), none of them used in training. Intervals: "
        f"{evidence.interval:.0%}, by resampling patients. Always saying the commonest class would "
        f"have an accuracy of {majority} (n = {of_ensemble['n']}). AUROC of the ensemble uses rank "
        "scores, the rest probabilities; `rank_argmax` takes the highest rank score as the "
        "label.\n\n" + _figures(tested)
    )


def _figures(metrics: dict[str, dict[str, Any]]) -> str:
    rows = [
        (model, wording, *_estimate(found, key), found["n"])
        for model, found in metrics.items()
        for key, wording in FIGURES.items()
        if key in found
    ]
    return _table(("model", "figure", "value", "interval", "n"), rows)


def _out_of_fold(evidence: Evidence) -> list[str]:
    """Word the members' out-of-fold figures; nothing where there are none."""
    found = {
        name.removesuffix(OUT_OF_FOLD): row
        for name, row in evidence.metrics.items()
        if name.endswith(OUT_OF_FOLD)
    }
    if not found:
        return []
    return [
        "### Members out of fold\n\nEach image is scored by the one network of a member that was "
        "trained without the image's fold; figures are of all folds that networks were trained "
        "without.\n\n" + _figures(found)
    ]


def _classes(evidence: Evidence) -> str:
    rows = [
        (
            row["class"],
            CLASS_NAMES[row["class"]],
            *(" ".join(_estimate(row, key)) for key in CLASS_FIGURES),
            f"{row['positives']} of {row['n']}",
        )
        for row in evidence.per_class
        if row["model"] == "ensemble"
    ]
    head = ("class", "name", *CLASS_FIGURES, "n")
    return "### Performance by class, ensemble on the test set\n\n" + _table(head, rows)


def _target(name: str, target: Target) -> str:
    text = f"### {TITLES[name]}\n\nScore: sum of the probabilities of {', '.join(target.classes)}. "
    point = target.decision
    if point.threshold is None:
        return text + f"Threshold: undefined ({point.rule}; {point.positives} positive images)."
    rows = [
        (
            one.rule,
            "undefined" if one.threshold is None else f"{one.threshold:.6g}",
            *(" ".join(_interval_of(rate)) for rate in (one.sensitivity, one.specificity)),
        )
        for one in (point, *target.others)
    ]
    head = ("rule", "threshold", "sensitivity", "specificity")
    return (
        f"{text}Threshold that decides: {point.threshold:.6g}, the first of the table. The figures "
        f"are of the same {point.positives} positive and {point.n - point.positives} negative "
        f"images that chose it, so they flatter; intervals: {point.interval:.0%}, by resampling "
        "patients.\n\n" + _table(head, rows)
    )


def _interval_of(rate: Estimate) -> tuple[str, str]:
    return _estimate({"x": rate.value, "x_low": rate.low, "x_high": rate.high}, "x")


def _members(manifest: Manifest, parity: dict[str, dict[str, Any]]) -> str:
    rows = [
        (
            name,
            f"EfficientNet-{member.backbone.upper()}",
            member.crop_px,
            member.input_px,
            "yes" if member.demographics else "no",
            f"{parity[name]['difference']:.1e}",
            parity[name]["images"],
        )
        for name, member in sorted(manifest.members.items())
    ]
    head = (
        "member",
        "backbone",
        "crop, px",
        "input, px",
        "demographics",
        "largest difference",
        "n",
    )
    return (
        f"### Members\n\n{_deployed(manifest)}\n\nLargest difference of any probability between "
        f"ONNX Runtime and Keras, on n images.\n\n{_table(head, rows)}"
    )


def _deployed(manifest: Manifest) -> str:
    """Word which networks the members are, and what was not trained on."""
    deployed = manifest.deployed
    folds = ", ".join(map(str, deployed.folds))
    if deployed.deploy == FOLD_AVERAGE:
        networks = (
            f"A member's score is the mean of the probabilities of its {len(deployed.folds)} "
            f"networks (`{FOLD_AVERAGE}`), each trained without one of the folds {folds}."
        )
    else:
        networks = f"Each member is one network, trained without fold {folds}."
    views = f" A network averages {deployed.views} views of an image." if deployed.views > 1 else ""
    return (
        f"{networks}{views} Rank scores are against the scores of {manifest.reference_rows} "
        f"{deployed.reference} images, which also made the probability map and the threshold; no "
        "deployed network was trained on them."
    )


def _estimate(row: dict[str, Any], key: str) -> tuple[str, str]:
    """Word a value and its interval, each of them a number, its text, or undefined."""
    value, low, high = (row.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if value in (None, ""):
        return "undefined", "-"
    if low in (None, "") or high in (None, ""):
        return _number(value), "[undefined]"
    return _number(value), f"[{_number(low)}, {_number(high)}]"


def _number(value: float | str) -> str:
    return f"{float(value):.3f}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
