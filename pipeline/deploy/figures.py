"""From what was measured to the figures of `benchmark.json`."""

from itertools import combinations

import numpy as np

from pipeline.deploy.artefacts import ARTEFACTS, Row

# What the shipped artefact and its engine are compared with.
SIZE_REDUCTIONS = [(baseline, "onnx") for baseline in ARTEFACTS[:-1]]
LATENCY_REDUCTIONS = [("keras.predict", "onnxruntime"), ("tf.function", "onnxruntime")]


def summarise_times(batch: int, times_ms: list[float]) -> Row:
    """Return median, 95th percentile and throughput of calls on `batch` images each."""
    p50_ms, p95_ms = np.percentile(times_ms, [50, 95])
    return {
        "batch": batch,
        "calls": len(times_ms),
        "p50_ms": float(p50_ms),
        "p95_ms": float(p95_ms),
        "images_per_s": 1000 * batch * len(times_ms) / sum(times_ms),
    }


def compare_answers(answers: dict[str, np.ndarray]) -> list[Row]:
    """Return the largest difference in any probability, for each pair of engines."""
    return [
        {
            "from": one,
            "to": other,
            "images": len(answers[one]),
            "max_abs_difference": float(np.abs(answers[one] - answers[other]).max()),
        }
        for one, other in combinations(answers, 2)
    ]


def reductions(sizes: list[Row], latency: list[Row], batch: int) -> list[Row]:
    """State how much less the ONNX graph takes than each baseline.

    Args:
        sizes: Rows of the table `sizes`.
        latency: Rows of the table `latency`.
        batch: The batch whose latency is compared.

    Returns:
        `{member, quantity, from, to, percent}`; `percent` is 100 (1 - to / from), negative where
        the baseline is the better one. Rows of `p50_ms` carry their batch.
    """
    found: list[Row] = []
    stored = {(row["member"], row["artefact"]): row["bytes"] for row in sizes}
    taken = {(r["member"], r["engine"]): r["p50_ms"] for r in latency if r["batch"] == batch}
    for quantity, pairs, values, extra in (
        ("bytes", SIZE_REDUCTIONS, stored, {}),
        ("p50_ms", LATENCY_REDUCTIONS, taken, {"batch": batch}),
    ):
        for member in dict.fromkeys(member for member, _ in values):
            for baseline, shipped in pairs:
                percent = 100 * (1 - values[member, shipped] / values[member, baseline])
                found.append(
                    {"member": member, "quantity": quantity, "from": baseline, "to": shipped}
                    | {"percent": percent}
                    | extra
                )
    return found
