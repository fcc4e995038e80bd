"""Galleries of hits, misses and confident errors with their maps, and checks of the maps."""

import pandas as pd

from pipeline.deploy.report.inputs import Inputs
from pipeline.deploy.report.words import (
    UNDEFINED,
    count,
    is_defined,
    number,
    percent,
    with_interval,
)
from pipeline.page import Block, Heading, Section, TableView, Text, word_table

GALLERIES = {
    "hits": "Hits",
    "misses": "Misses",
    "errors": "The most confident errors",
}
MAPS = {"occlusion": "Occlusion", "grad_cam": "Grad-CAM"}
CONTROLS = {"random": "a map that knows nothing", "other_image": "another image's map"}


def describe_explanation(inputs: Inputs) -> Section:
    """Show what the answers rest on, and whether the maps can be believed."""
    found, checks = inputs.explained.json("explain"), inputs.explained.table("checks")
    cases = inputs.explained.table("cases")
    blocks: list[Block] = [
        Text(_word_checks(checks), "takeaway"),
        Text(
            "Occlusion: where hiding a patch lowers the ensemble's probability of a class, from "
            "the bundle's graph alone. Grad-CAM: where the last features of one member speak for "
            "it. A map says where, not why, and no map proves that the reason is a medical one."
        ),
        Heading("Are the maps better than ones that know nothing"),
        _list_checks(checks, inputs.percent),
        Text(
            "Deletion takes the most important places away first and looks how soon the score "
            "falls; insertion gives them back first. Gain: by how much the area is better than "
            "the control's on the same images; above 0 the map knows more. "
            f"{_word_undefined(found['undefined_maps'], found['mapped_cases'])}"
        ),
        Heading("Galleries"),
        Text(inputs.whose_images, "notice"),
    ]
    for gallery, title in GALLERIES.items():
        blocks += _show_gallery(inputs, gallery, title, found["galleries"].get(gallery))
    blocks.append(_list_cases(cases))
    return Section("What the answers rest on", blocks=blocks)


def _word_checks(checks: pd.DataFrame) -> str:
    """Say which maps are better than another image's, the harder control."""
    said = []
    for kind, own in checks.groupby("map", sort=False):
        hard = own[own.control == "other_image"]
        better, worse = (hard.low > 0).sum(), (hard.high < 0).sum()
        name = MAPS.get(str(kind), str(kind))
        if hard.gain.isna().all():
            said.append(f"{name} maps: {UNDEFINED}, no image has both maps")
        elif worse:
            said.append(f"{name} maps tell less than another image's map by {worse} of 2 measures")
        elif better == len(hard):
            said.append(f"{name} maps tell more than another image's map by both measures")
        else:
            said.append(
                f"{name} maps cannot be told from another image's map by "
                f"{len(hard) - better} of {len(hard)} measures"
            )
    return "; ".join(said) + "."


def _list_checks(checks: pd.DataFrame, interval: str) -> TableView:
    rows = [
        (
            MAPS.get(row["map"], row["map"]),
            CONTROLS.get(row.control, row.control),
            row.measure,
            number(row.area),
            number(row.control_area),
            with_interval({"x": row.gain, "x_low": row.low, "x_high": row.high}, "x"),
            percent(row.wins, 0),
            count(row.n),
        )
        for _, row in checks.iterrows()
    ]
    header = ["Map", "Compared with", "Measure", "Area", "Control's area", "Gain [interval]"]
    header += ["Images won", "n"]
    caption = f"Maps of the predicted class against controls, {interval} intervals"
    return word_table(caption, header, rows, words=["Compared with", "Measure"])


def _word_undefined(undefined: dict[str, int], mapped: int) -> str:
    found = [f"{n} of {mapped} {name.replace('_', ' ')}" for name, n in undefined.items() if n]
    return f"Maps that are undefined: {', '.join(found)}." if found else "No map is undefined."


def _show_gallery(
    inputs: Inputs, gallery: str, title: str, counts: dict[str, int] | None
) -> list[Block]:
    """Show a gallery, or say that there is nothing in it."""
    if not counts or not counts["shown"]:
        return [Text(f"{title}: none among the test images.")]
    return [
        inputs.explained.photographs(
            f"gallery_{gallery}",
            f"{title}: {count(counts['shown'])} of {count(counts['found'])}, each with its maps. "
            f"{inputs.whose_images}",
            f"Photographs of lesions with heat maps, {title.lower()}; cases stand below.",
        )
    ]


def _list_cases(cases: pd.DataFrame) -> TableView:
    rows = [
        (
            row.image_id,
            row.gallery,
            row.truth,
            row.predicted,
            number(row.probability),
            number(row.truth_probability) if is_defined(row.truth_probability) else UNDEFINED,
        )
        for _, row in cases.iterrows()
    ]
    header = ["Image", "Gallery", "Truth", "Said", "Its probability", "The truth's"]
    words = ["Gallery", "Truth", "Said"]
    return word_table("The cases of the galleries", header, rows, words=words, is_folded=True)
