"""Two pictures of `benchmark.json`: latency by engine, and bytes by artefact."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.deploy.artefacts import ARTEFACTS
from pipeline.storage import atomic_path

SHIPPED = "#d9643a"  # what is shipped stands out; its baselines are greys, told apart by lightness
COLOURS = {
    "keras.predict": "#c9ced6",
    "tf.function": "#8793a6",
    "onnxruntime": SHIPPED,
    "training_checkpoint": "#c9ced6",
    "weights": "#8793a6",
    "savedmodel": "#5b6f8f",
    "onnx": SHIPPED,
}
NAMES = {
    "onnxruntime": "ONNX Runtime",
    "training_checkpoint": "training checkpoint (weights + optimizer)",
    "weights": "weights",
    "savedmodel": "SavedModel",
    "onnx": "ONNX",
}
# Above this ratio of largest to smallest, a linear axis hides the small bars.
LOG_AXIS_RATIO = 20.0
GROUP_WIDTH = 0.84  # of the distance between two groups
DPI = 150


@dataclass(frozen=True)
class Bars:
    """One bar per member: its height, how far its whisker reaches above it, and its label."""

    name: str
    heights: list[float]
    whiskers: list[float]
    labels: list[str]


def draw_latency(benchmark: dict[str, Any], path: Path) -> None:
    """Draw median latency with whiskers up to the 95th percentile, at the first batch.

    Args:
        benchmark: Content of `benchmark.json`.
        path: PNG to write.
    """
    batch = benchmark["settings"]["batches"][0]
    rows = [row for row in benchmark["latency"] if row["batch"] == batch]
    found = {(row["member"], row["engine"]): row for row in rows}
    members = _distinct(rows, "member")
    native = [found[member, "tf.function"]["p50_ms"] for member in members]
    series = []
    for engine in _distinct(rows, "engine"):
        p50 = [found[member, engine]["p50_ms"] for member in members]
        p95 = [found[member, engine]["p95_ms"] for member in members]
        labels = [f"{value:.3g}" for value in p50]
        if engine == "onnxruntime":
            ratios = [slow / fast for slow, fast in zip(native, p50, strict=True)]
            labels = [f"{a}\n{b:.1f}×" for a, b in zip(labels, ratios, strict=True)]
        series.append(Bars(engine, p50, [b - a for a, b in zip(p50, p95, strict=True)], labels))
    machine = benchmark["machine"]
    title = (
        f"Latency at batch {batch}: median, whisker to the 95th percentile; "
        "×: times as fast as tf.function\n"
        f"{machine['cpu']}, {machine['threads']} threads, float32"
    )
    _draw(series, members, title, "milliseconds per call", path)


def draw_sizes(benchmark: dict[str, Any], path: Path) -> None:
    """Draw the size of each artefact, and the share of the training checkpoint that ONNX saves.

    Args:
        benchmark: Content of `benchmark.json`.
        path: PNG to write.
    """
    rows = benchmark["sizes"]
    found = {(row["member"], row["artefact"]): row["bytes"] / 2**20 for row in rows}
    saved = {
        row["member"]: row["percent"]
        for row in benchmark["reductions"]
        if (row["quantity"], row["from"], row["to"]) == ("bytes", "training_checkpoint", "onnx")
    }
    members = _distinct(rows, "member")
    series = []
    for artefact in ARTEFACTS:
        sizes = [found[member, artefact] for member in members]
        labels = [f"{size:.0f}" if size >= 100 else f"{size:.3g}" for size in sizes]
        if artefact == "onnx":
            labels = [
                f"{label}\n{-saved[member]:+.0f}%".replace("-", "−")
                for label, member in zip(labels, members, strict=True)
            ]
        series.append(Bars(artefact, sizes, [0.0] * len(sizes), labels))
    title = (
        "Size on disk; percent: ONNX against the training checkpoint\n"
        "Ensemble: sums over its members; its ONNX is one merged graph"
    )
    _draw(series, members, title, "MiB", path)


def _distinct(rows: list[dict[str, Any]], key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for row in rows))


def _draw(series: list[Bars], members: list[str], title: str, unit: str, path: Path) -> None:
    """Draw groups of bars, one group per member, and write the picture."""
    # A Figure of its own, not pyplot's: no display, no state that other plots share.
    figure = Figure(figsize=(9.0, 4.6), layout="constrained")
    axes = figure.add_subplot()
    width = GROUP_WIDTH / len(series)
    for index, bars in enumerate(series):
        places = np.arange(len(members)) + (index - (len(series) - 1) / 2) * width
        colour, label = COLOURS.get(bars.name), NAMES.get(bars.name, bars.name)
        axes.bar(places, bars.heights, width, color=colour, label=label, edgecolor="white")
        _write_above(axes, places, bars)
    axes.set_xticks(range(len(members)), members)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_ylabel(unit)
    _scale(axes, [height for bars in series for height in bars.heights])
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6")
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=len(series), frameon=False, fontsize=9)
    with atomic_path(path) as temporary:
        # Without Matplotlib's version in it, equal figures are equal files.
        figure.savefig(temporary, dpi=DPI, metadata={"Software": None})


def _write_above(axes: Axes, places: np.ndarray, bars: Bars) -> None:
    """Draw whiskers, and write a label above each bar and its whisker."""
    if any(bars.whiskers):
        reach = [np.zeros(len(places)), bars.whiskers]
        axes.errorbar(places, bars.heights, reach, fmt="none", ecolor="#333333", capsize=3, lw=1)
    tops = [a + b for a, b in zip(bars.heights, bars.whiskers, strict=True)]
    for place, top, label in zip(places, tops, bars.labels, strict=True):
        axes.annotate(
            label,
            (place, top),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8,
        )


def _scale(axes: Axes, values: list[float]) -> None:
    """Take a log axis where a linear one would hide bars, and leave room for the labels."""
    if max(values) > LOG_AXIS_RATIO * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_ylabel(f"{axes.get_ylabel()} (log scale)")
        low = 10.0 ** np.floor(np.log10(min(values)))
        axes.set_ylim(low, axes.get_ylim()[1] * (axes.get_ylim()[1] / low) ** 0.08)
    else:
        axes.set_ylim(0, axes.get_ylim()[1] * 1.08)
