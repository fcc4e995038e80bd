"""Charts of the data report, as PNG, from the manifest that stage `split` wrote."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pipeline.cases.overview import MISSING, TOTAL, count_classes
from pipeline.classes import CLASS_NAMES, CLASSES
from pipeline.demographics import AGE_LIMIT_YEARS, SITES
from pipeline.figure import COLOURS, drawn_to

AGE_BAND_YEARS = 10
FAINT = "0.85"


def draw_classes(cases: pd.DataFrame, path: Path) -> None:
    """Draw cases by class and source, bars on a logarithmic scale with their counts."""
    table = count_classes(cases, "source").loc[list(CLASSES)].drop(columns=TOTAL)
    height = 0.8 / len(table.columns)
    with drawn_to(path, 7.2, 1.2 + 0.22 * table.size) as figure:
        axes = figure.add_subplot()
        for index, source in enumerate(table.columns):
            places = np.arange(len(table)) + (index - (len(table.columns) - 1) / 2) * height
            counts = table[source].to_numpy()
            # A log axis has no 0: an absent class gets no bar, but its number all the same.
            lengths = np.where(counts > 0, counts, np.nan)
            axes.barh(
                places, lengths, height * 0.9, color=COLOURS[index % len(COLOURS)], label=source
            )
            for place, count in zip(places, counts, strict=True):
                axes.text(max(count, 0.8) * 1.08, place, f"{count:,}", va="center", size=7)
        axes.set_xscale("log")
        axes.set_xlim(left=0.7, right=axes.get_xlim()[1] * 2.5)
        axes.set_yticks(range(len(table)), [CLASS_NAMES[name].split(",")[0] for name in CLASSES])
        axes.invert_yaxis()
        axes.set_xlabel("Cases (log scale)")
        figure.legend(loc="outside lower center", ncols=4, frameon=False)


def draw_ages(cases: pd.DataFrame, path: Path) -> None:
    """Draw the ages of each class by sex, bars of ten years, with n and how many are missing."""
    edges = np.arange(0, AGE_LIMIT_YEARS + AGE_BAND_YEARS, AGE_BAND_YEARS)
    sexes = {"female": COLOURS[3], "male": COLOURS[0], "": "0.6"}
    with drawn_to(path, 7.2, 6.4) as figure:
        panels = figure.subplots(3, 3, sharex=True)
        for name, axes in zip(CLASSES, panels.flat, strict=True):
            of_class = cases[cases.diagnosis == name]
            known = of_class[of_class.age_years.notna()]
            ages = [known.age_years[known.sex == sex].to_numpy() for sex in sexes]
            labels = [sex or "sex missing" for sex in sexes]
            axes.hist(ages, edges, stacked=True, color=list(sexes.values()), label=labels)
            absent = len(of_class) - len(known)
            axes.set_title(f"{name}, n = {len(known):,}, missing {absent:,}", size=9)
            axes.set_xticks(range(0, int(AGE_LIMIT_YEARS) + 1, 20))
            axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        for axes in panels[-1]:
            axes.set_xlabel("Age in years")
        for axes in panels[:, 0]:
            axes.set_ylabel("Cases")
        handles, labels = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)


def draw_sites(cases: pd.DataFrame, path: Path) -> None:
    """Draw the share of each body site among the cases of each class, with n."""
    words = cases.site.replace("", MISSING)
    table = pd.crosstab(cases.diagnosis, words).reindex(
        index=list(CLASSES), columns=[*SITES, MISSING], fill_value=0
    )
    totals = table.sum(axis=1).to_numpy()
    colours = [*COLOURS[: len(SITES)], FAINT]
    with drawn_to(path, 7.2, 3.6) as figure:
        axes = figure.add_subplot()
        reach = np.zeros(len(table))
        for site, colour in zip(table.columns, colours, strict=True):
            shares = table[site].to_numpy() / np.maximum(totals, 1)
            label = site.replace("_", " ")
            axes.barh(range(len(table)), shares, left=reach, color=colour, label=label)
            reach += shares
        names = [f"{name}, n = {total:,}" for name, total in zip(CLASSES, totals, strict=True)]
        axes.set_yticks(range(len(table)), names)
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("Share of the class")
        figure.legend(loc="outside lower center", ncols=4, frameon=False)


def draw_sizes(cases: pd.DataFrame, path: Path) -> None:
    """Draw width against height of the originals, one dot per size and source, area by count."""
    sizes = cases.groupby(["source", "width_px", "height_px"]).size().rename("images").reset_index()
    with drawn_to(path, 7.2, 4.6) as figure:
        axes = figure.add_subplot()
        for index, (source, found) in enumerate(sizes.groupby("source")):
            area = 12 + 240 * found.images / sizes.images.max()
            colour = COLOURS[index % len(COLOURS)]
            axes.scatter(found.width_px, found.height_px, area, color=colour, alpha=0.6, lw=0)
            axes.scatter([], [], 30, color=colour, label=f"{source} ({len(found)})")
        for axis in (axes.xaxis, axes.yaxis):
            _label_powers_of_two(axes, axis.axis_name)
        axes.set_xlabel("Width, px (log scale)")
        axes.set_ylabel("Height, px (log scale)")
        axes.grid(color=FAINT)
        axes.set_axisbelow(True)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)


def _label_powers_of_two(axes: Axes, axis_name: str) -> None:
    set_scale = axes.set_xscale if axis_name == "x" else axes.set_yscale
    set_scale("log", base=2)
    axis = axes.xaxis if axis_name == "x" else axes.yaxis
    axis.set_major_formatter("{x:g}")
