"""Sections of the data report that need tables alone: every row, the patients, the originals."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.cases import charts, overview
from pipeline.page import Picture, Section, read_picture, save_table

CHARTS = {
    "classes": (charts.draw_classes, "Cases by class and source."),
    "ages": (charts.draw_ages, "Ages by class and sex, in bars of ten years."),
    "sites": (charts.draw_sites, "Body sites by class."),
    "sizes": (charts.draw_sizes, "Sizes of the originals; the area of a dot is its images."),
}


def describe_steps(
    accounts: Mapping[str, Mapping[str, Any]], cases: pd.DataFrame, cropped: int, folder: Path
) -> Section:
    """Follow every row from its table to its crop."""
    steps = overview.count_steps(accounts, cases, cropped)
    return Section(
        "Every row accounted for",
        [
            "Rows of a table are kept or quarantined with a reason, which stands in the "
            "quarantine.csv of the source. An image that two sources hold is one case. Files "
            "without a row are no rows, and are counted apart."
        ],
        [
            save_table(steps, "Counts before and after each step", folder / "steps.csv"),
            save_table(overview.count_reasons(accounts), "Why rows went", folder / "reasons.csv"),
        ],
    )


def describe_people(cases: pd.DataFrame, folder: Path) -> Section:
    """Show ages, sexes, sites, and what is not known."""
    caption = "Share of cases without a value"
    return Section(
        "Patients",
        ["What is missing stays missing: the networks take it as unknown."],
        [
            save_table(overview.share_missing(cases), caption, folder / "missing.csv"),
            save_table(overview.count_words(cases, "sex"), "Sex", folder / "sex.csv"),
            save_table(overview.count_words(cases, "site"), "Site", folder / "site.csv"),
            save_table(overview.describe_groups(cases), "What links images", folder / "groups.csv"),
        ],
        [draw_chart("ages", cases, folder), draw_chart("sites", cases, folder)],
    )


def describe_originals(cases: pd.DataFrame, folder: Path) -> Section:
    """Show sizes and licences."""
    return Section(
        "Originals",
        [
            "Where the melanoma share differs much between sizes, the size tells the clinic and "
            "with it the label. No network is given it."
        ],
        [
            save_table(overview.count_sizes(cases), "Commonest sizes", folder / "sizes.csv"),
            save_table(overview.count_words(cases, "licence"), "Licences", folder / "licences.csv"),
        ],
        [draw_chart("sizes", cases, folder)],
    )


def draw_chart(name: str, cases: pd.DataFrame, folder: Path) -> Picture:
    """Draw one of `CHARTS`."""
    draw, caption = CHARTS[name]
    draw(cases, folder / f"{name}.png")
    return read_picture(folder / f"{name}.png", caption, caption)
