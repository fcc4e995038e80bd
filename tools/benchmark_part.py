"""What the parts of `make benchmark-data` share: goals, fresh processes, tables and bar charts."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from matplotlib.figure import Figure

from pipeline.processes import environment_of_children
from pipeline.storage import atomic_path
from tools.summary import number, table

Result = TypeVar("Result")

# Read when the libraries start, so they are set before the process that measures does.
THREAD_VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VIPS_CONCURRENCY"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
)
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
OURS, PEERS = "#d9643a", "#8793a6"
DPI = 150


def goal(what: str, value: float, at_least: float | None = None, at_most: float | None = None):
    """Return one goal with what was measured and whether it is met.

    Args:
        what: The figure, in words.
        value: What was measured.
        at_least: The goal, where more is better.
        at_most: The goal, where less is better.
    """
    if (at_least is None) == (at_most is None):
        raise ValueError(f"a goal must have one limit. Got: {at_least} and {at_most}.")
    met = value >= at_least if at_most is None else value <= at_most
    sign = "≥" if at_most is None else "≤"
    limit = at_least if at_most is None else at_most
    return {"what": what, "value": value, "goal": f"{sign} {limit:g}", "met": bool(met)}


def in_fresh_process(threads: int, function: Callable[..., Result], *args: Any) -> Result:
    """Call a function in a process of its own, its libraries held to some threads."""
    variables = {**dict.fromkeys(THREAD_VARIABLES, str(threads)), **QUIET}
    context = multiprocessing.get_context("spawn")
    with environment_of_children(variables), ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result()


def rows_table(rows: Sequence[dict[str, Any]]) -> str:
    """Lay out rows of equal keys, the keys as head."""
    return table([*rows[0]], [[_cell(value) for value in row.values()] for row in rows])


def goals_table(goals: Sequence[dict[str, Any]]) -> str:
    """Lay out goals, each with its verdict."""
    rows = [
        (one["what"], number(one["value"], 2), one["goal"], "met" if one["met"] else "NOT MET")
        for one in goals
    ]
    return table(("goal", "measured", "wanted", ""), rows)


def _cell(value: Any) -> str:
    return number(value, 2) if isinstance(value, float) or value is None else str(value)


def _label(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def draw_bars(charts: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw horizontal bars, one panel per chart, the first bar of each being this project's.

    Args:
        charts: Each `{"title", "unit", "bars": {name: value}}`.
        path: PNG to write.
    """
    tallest = max(len(chart["bars"]) for chart in charts)
    figure = Figure(figsize=(5.2 * len(charts), 1.2 + 0.45 * tallest), layout="constrained")
    for axes, chart in zip(figure.subplots(1, len(charts), squeeze=False)[0], charts, strict=True):
        names, values = [*chart["bars"]], [*chart["bars"].values()]
        colours = [OURS] + [PEERS] * (len(names) - 1)
        bars = axes.barh(names, values, color=colours)
        axes.bar_label(bars, [_label(value) for value in values], padding=3, fontsize=8)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.18 * max(values))
        axes.set_title(chart["title"], fontsize=10, loc="left")
        axes.set_xlabel(chart["unit"])
        axes.spines[["top", "right"]].set_visible(False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, metadata={"Software": None})
