"""Bytes, milliseconds and memory of native TensorFlow against the ONNX graph."""

from typing import Any

from pipeline.deploy.report.inputs import Inputs
from pipeline.deploy.report.words import count
from pipeline.page import Section, TableView, Text, word_table

MIB = 2**20
QUANTITIES = {"bytes": "size on disk", "p50_ms": "median latency"}


def describe_costs(inputs: Inputs) -> Section:
    """List sizes and latencies, each reduction with its baseline."""
    found = inputs.benchmark.json("benchmark")
    machine, settings = found["machine"], found["settings"]
    calls = settings["rounds"] * settings["repeats"]
    return Section(
        "Sizes and latencies",
        blocks=[
            Text(_word_reductions(found), "takeaway"),
            Text(
                f"Measured on {machine['cpu']}, {machine['cores']} cores, {settings['threads']} "
                f"threads, device {machine['device']}, float32; up to {calls} timed calls an "
                "engine. Latency is of one call of the network, without decoding and cropping. It "
                "holds for this machine; at the paper's input sizes it is higher."
            ),
            _list_reductions(found),
            inputs.benchmark.chart(
                "latency",
                "Median latency of one image, whiskers to the 95th percentile.",
                "Bar chart of latency by engine and member; numbers stand in the table below.",
            ),
            _list_latency(found),
            inputs.benchmark.chart(
                "sizes",
                "Size on disk of each artefact; the ensemble's is the sum over its members, but "
                "for its one merged ONNX graph.",
                "Bar chart of size by artefact and member; numbers stand in the table below.",
            ),
            _list_sizes(found),
            _list_memory(found),
            _list_parity(found),
        ],
    )


def _word_reductions(found: dict[str, Any]) -> str:
    said = []
    for row in found["reductions"]:
        if row["member"] != "ensemble":
            continue
        less = "less" if row["percent"] >= 0 else "more"
        said.append(
            f"{abs(row['percent']):.1f} % {less} {QUANTITIES[row['quantity']]} than "
            f"{row['from'].replace('_', ' ')}"
        )
    return f"The ensemble as one ONNX graph takes {', '.join(said)}."


def _list_reductions(found: dict[str, Any]) -> TableView:
    rows = [
        (
            row["member"],
            QUANTITIES[row["quantity"]],
            row["from"].replace("_", " "),
            row["to"],
            f"{row['percent']:.1f} %",
            str(row.get("batch", "")),
        )
        for row in found["reductions"]
    ]
    header = ["Member", "Quantity", "Baseline", "Compared", "Reduction", "Batch"]
    caption = "Each reduction with its baseline; below 0 the baseline takes less"
    return word_table(caption, header, rows, words=["Quantity", "Baseline", "Compared"])


def _list_latency(found: dict[str, Any]) -> TableView:
    rows = [
        (
            row["member"],
            row["engine"],
            str(row["batch"]),
            f"{row['p50_ms']:.2f}",
            f"{row['p95_ms']:.2f}",
            f"{row['images_per_s']:.1f}",
            count(row["calls"]),
        )
        for row in found["latency"]
    ]
    header = ["Member", "Engine", "Batch", "Median, ms", "95th percentile, ms"]
    header += ["Images per second", "n calls"]
    return word_table("Latency", header, rows, words=["Engine"], is_folded=True)


def _list_sizes(found: dict[str, Any]) -> TableView:
    rows = [
        (
            row["member"],
            row["artefact"].replace("_", " "),
            count(row["bytes"]),
            f"{row['bytes'] / MIB:.1f}",
        )
        for row in found["sizes"]
    ]
    header = ["Member", "Artefact", "Bytes", "MiB"]
    return word_table("Sizes", header, rows, words=["Artefact"], is_folded=True)


def _list_memory(found: dict[str, Any]) -> TableView:
    seconds = {(row["member"], row["engine"]): row["seconds"] for row in found["cold_start"]}
    rows = [
        (
            row["member"],
            row["engine"],
            f"{row['peak_mib']:.0f}",
            f"{seconds[row['member'], row['engine']]:.2f}",
        )
        for row in found["memory"]
    ]
    header = ["Member", "Engine", "Peak memory, MiB", "Start to first answer, s"]
    return word_table("Memory and start", header, rows, words=["Engine"], is_folded=True)


def _list_parity(found: dict[str, Any]) -> TableView:
    rows = [
        (
            row["member"],
            f"{row['from']} and {row['to']}",
            f"{row['max_abs_difference']:.1e}",
            count(row["images"]),
        )
        for row in found["parity"]
    ]
    header = ["Member", "Engines", "Largest difference of a probability", "n images"]
    return word_table("Do the engines agree", header, rows, words=["Engines"], is_folded=True)
