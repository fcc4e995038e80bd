"""Tests of `tools.summary`."""

from pipeline import storage
from tools.summary import BENCHMARK, METRICS, latency_table, quality_table, summarise, table

METRICS_EXAMPLE = {
    "b4": {"n": 140, "macro_auroc": None, "accuracy": 0.25},
    "ensemble": {
        "n": 140,
        "macro_auroc": 0.91234,
        "macro_auroc_low": 0.88,
        "macro_auroc_high": 0.94,
        "accuracy": 0.5,
        "majority_accuracy": 0.2,
        "balanced_accuracy": 0.4,
    },
}
BENCHMARK_EXAMPLE = {
    "latency": [
        {"member": "b4", "engine": "tf.function", "batch": 1, "p50_ms": 60.0},
        {"member": "b4", "engine": "onnxruntime", "batch": 1, "p50_ms": 30.0},
        {"member": "b4", "engine": "onnxruntime", "batch": 8, "p50_ms": 200.0},
        {"member": "ensemble", "engine": "onnxruntime", "batch": 1, "p50_ms": 90.0},
    ],
    "reductions": [
        {
            "member": "b4",
            "quantity": "bytes",
            "from": "training_checkpoint",
            "to": "onnx",
            "percent": 66.7,
        }
    ],
}


def words(text):
    return [line.split() for line in text.splitlines()]


def test_ensemble_comes_first_with_its_interval():
    rows = words(quality_table(METRICS_EXAMPLE))

    assert rows[1] == ["ensemble", "140", "0.912", "[0.880,", "0.940]", "0.500", "0.200", "0.400"]


def test_undefined_figure_is_a_dash_and_never_a_number():
    rows = words(quality_table(METRICS_EXAMPLE))

    assert rows[2] == ["b4", "140", "–", "[–,", "–]", "0.250", "–", "–"]


def test_out_of_fold_figures_stand_in_a_table_of_their_own():
    own = {"b4_out_of_fold": {"n": 900, "macro_auroc": None, "accuracy": 0.35}}

    whole, alone = (quality_table(m) for m in (METRICS_EXAMPLE | own, METRICS_EXAMPLE))

    tested, pooled = whole.split("\n\n")
    assert tested == alone
    assert words(pooled)[0][:4] == ["out", "of", "fold", "n"]
    assert words(pooled)[1][:2] == ["b4", "900"]


def test_latency_compares_engines_at_the_smallest_batch():
    rows = words(latency_table(BENCHMARK_EXAMPLE))

    assert rows[1:] == [["b4", "60.0", "30.0", "2.00×"], ["ensemble", "–", "90.0", "–"]]


def test_summary_names_what_there_is_and_leaves_out_the_rest(tmp_path):
    assert summarise(tmp_path).strip() == ""
    storage.write_json(tmp_path / METRICS, METRICS_EXAMPLE)
    assert "macro AUROC" in summarise(tmp_path)
    storage.write_json(tmp_path / BENCHMARK, BENCHMARK_EXAMPLE)
    assert "training_checkpoint" in summarise(tmp_path)
    (tmp_path / "models" / "bundle").mkdir(parents=True)
    assert "models/bundle" in summarise(tmp_path)


def test_columns_are_aligned():
    assert table(("a", "b"), [("long", "1"), ("x", "100")]) == "a       b\nlong    1\nx     100"
