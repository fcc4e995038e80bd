"""The table that ends a run: how well the members and the ensemble do, and what ONNX saves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import storage
from pipeline.scoring.tables import OUT_OF_FOLD

METRICS = Path("reports/evaluate/metrics.json")
BENCHMARK = Path("reports/benchmark/benchmark.json")
BUNDLE = Path("models/bundle")


def summarise(root: Path) -> str:
    """Say in a few lines what a run came to; parts that are absent are left out."""
    parts = []
    if (root / METRICS).exists():
        parts.append(quality_table(storage.read_json(root / METRICS)))
    if (root / BENCHMARK).exists():
        benchmark = storage.read_json(root / BENCHMARK)
        parts += [latency_table(benchmark), reduction_table(benchmark)]
    if (root / BUNDLE).exists():
        parts.append(f"Bundle: {BUNDLE}   Research use only, not a diagnosis.")
    return "\n\n".join(["", *parts])


def quality_table(metrics: dict[str, dict[str, Any]]) -> str:
    """Lay out test-set metrics, one row per model, the ensemble first; then out-of-fold ones."""
    own = {name: row for name, row in metrics.items() if name.endswith(OUT_OF_FOLD)}
    parts = [quality_rows("test set", {k: v for k, v in metrics.items() if k not in own})]
    if own:
        short = {name.removesuffix(OUT_OF_FOLD): row for name, row in own.items()}
        parts.append(quality_rows("out of fold", short))
    return "\n\n".join(parts)


def quality_rows(cases: str, metrics: dict[str, dict[str, Any]]) -> str:
    """Lay out the metrics of one set of cases."""
    rows = [
        (
            name,
            str(metrics[name].get("n", "–")),
            interval(metrics[name]),
            *(number(metrics[name].get(key)) for key in ACCURACIES),
        )
        for name in sorted(metrics, key=lambda name: (name != "ensemble", name))
    ]
    head = (cases, "n", "macro AUROC", "accuracy", "majority", "balanced")
    return table(head, rows)


ACCURACIES = ("accuracy", "majority_accuracy", "balanced_accuracy")


def interval(row: dict[str, Any]) -> str:
    """Write the macro AUROC with its interval."""
    low, high = (number(row.get(f"macro_auroc_{end}")) for end in ("low", "high"))
    return f"{number(row.get('macro_auroc'))} [{low}, {high}]"


def latency_table(benchmark: dict[str, Any]) -> str:
    """Lay out p50 at the smallest batch: `tf.function` beside ONNX Runtime."""
    timed = benchmark.get("latency", [])
    batch = min((row["batch"] for row in timed), default=1)
    p50 = {(row["member"], row["engine"]): row["p50_ms"] for row in timed if row["batch"] == batch}
    rows = []
    for member in dict.fromkeys(row["member"] for row in timed):
        native, onnx = p50.get((member, "tf.function")), p50.get((member, "onnxruntime"))
        ratio = f"{native / onnx:.2f}×" if native and onnx else "–"
        rows.append((member, number(native, 1), number(onnx, 1), ratio))
    head = (f"p50 ms, batch {batch}", "tf.function", "onnxruntime", "faster by")
    return table(head, rows)


def reduction_table(benchmark: dict[str, Any]) -> str:
    """Lay out every reduction in percent, with its baseline."""
    rows = [
        (row["member"], row["quantity"], row["from"], row["to"], f"{number(row['percent'], 1)} %")
        for row in benchmark.get("reductions", [])
    ]
    return table(("reduction", "of", "from", "to", "by"), rows)


def number(value: float | None, digits: int = 3) -> str:
    """Write a number, or a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align columns: the first to the left, the others to the right."""
    lines = [head, *rows]
    widths = [max(len(str(line[column])) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            str(cell).rjust(width) if column else str(cell).ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
