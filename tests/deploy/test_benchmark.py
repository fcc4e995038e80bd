"""Tests of `pipeline.deploy.benchmark`, its engines, figures and charts, on tiny graphs."""

import io
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from pipeline.deploy import engines
from pipeline.deploy.artefacts import (
    EnsembleArtefacts,
    MemberArtefacts,
    count_parameters,
    measure_sizes,
)
from pipeline.deploy.benchmark import (
    BenchmarkError,
    BenchmarkParams,
    check_present,
    interleave,
    make_jobs,
    measure_engines,
)
from pipeline.deploy.charts import draw_latency, draw_sizes
from pipeline.deploy.engine_process import EngineError, environment, rehearse, running
from pipeline.deploy.engines import ENGINES, EngineJob, serve
from pipeline.deploy.figures import compare_answers, reductions, summarise_times
from pipeline.deploy.machine import describe_machine
from pipeline.storage import write_json
from tests.network.networks import small_member

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SIZE_PX = 4
SETTINGS = BenchmarkParams(threads=1, batches=(1, 3), rounds=2, repeats=4, warmup=1)


def write_tiny_graph(path, *, outputs=9, scale=1.0):
    """A cast, a mean, a matrix and a softmax; `scale` NaN makes every answer NaN."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Cast", ["image_8_4"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities_m"], axis=-1),
    ]
    weights = (rng.normal(size=(3, outputs)) * scale / 25).astype(np.float32)
    image = helper.make_tensor_value_info(
        "image_8_4", TensorProto.UINT8, ["batch", SIZE_PX, SIZE_PX, 3]
    )
    answer = helper.make_tensor_value_info("probabilities_m", TensorProto.FLOAT, ["batch", outputs])
    constants = [
        numpy_helper.from_array(np.array([1, 2]), "axes"),
        numpy_helper.from_array(weights, "weights"),
    ]
    graph = helper.make_graph(nodes, "tiny", [image], [answer], constants)
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return path


def pixels(count=3):
    shape = (count, SIZE_PX, SIZE_PX, 3)
    return np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture
def job(tmp_path):
    """ONNX Runtime on a tiny graph, on the first CPU alone."""
    # The second input is one that no graph here asks for.
    np.savez(tmp_path / "arrays.npz", image_8_4=pixels(), demographics=np.zeros((3, 10)))
    return EngineJob(
        engine="onnxruntime",
        member="m",
        cpus=sorted(os.sched_getaffinity(0))[:1],
        arrays=str(tmp_path / "arrays.npz"),
        models=[],
        reference="",
        probability_map="",
        onnx=str(write_tiny_graph(tmp_path / "m.onnx")),
        output="probabilities_m",
    )


def artefacts(folder, name="m", **changes):
    """A member's files, each of its own size."""
    recipe = {"crop_px": 8, "input_px": 4, "demographics": False}
    place = folder / name
    (place / "savedmodel" / "variables").mkdir(parents=True)
    (place / "weights.weights.h5").write_bytes(b"w" * 400)
    (place / "savedmodel" / "saved_model.pb").write_bytes(b"s" * 150)
    (place / "savedmodel" / "variables" / "variables.data").write_bytes(b"v" * 350)
    (place / "model.onnx").write_bytes(b"o" * 300)
    return MemberArtefacts(
        member=name,
        recipe=small_member(**(recipe | changes)),
        parameters=75,
        training_checkpoint_bytes=1200,
        weights=(place / "weights.weights.h5",),
        views=1,
        savedmodel=place / "savedmodel",
        onnx=place / "model.onnx",
    )


def ensemble_artefacts(folder):
    for name, size in (("ensemble.onnx", 610), ("reference.npz", 1), ("map.json", 1)):
        (folder / name).write_bytes(b"e" * size)
    return EnsembleArtefacts(
        folder / "ensemble.onnx", folder / "reference.npz", folder / "map.json"
    )


def report(ratio=10.0):
    """A benchmark of one member, as the charts read it."""
    p50 = {"keras.predict": 3 * ratio, "tf.function": 2 * ratio, "onnxruntime": 1.0}
    sizes = {"training_checkpoint": 12_000_000, "weights": 4_100_000, "savedmodel": 5_000_000}
    return {
        "settings": {"batches": [1, 8]},
        "latency": [
            {"member": "m", "engine": e, "batch": 1, "p50_ms": ms, "p95_ms": 1.5 * ms}
            for e, ms in p50.items()
        ],
        "sizes": [
            {"member": "m", "artefact": artefact, "bytes": size}
            for artefact, size in (sizes | {"onnx": 4_000_000}).items()
        ],
        "reductions": [
            {
                "member": "m",
                "quantity": "bytes",
                "from": "training_checkpoint",
                "to": "onnx",
                "percent": 66.7,
            }
        ],
        "machine": {"cpu": "a processor", "threads": 2},
    }


def test_engine_answers_as_the_graph_in_this_process(job, tmp_path):
    import onnxruntime

    session = onnxruntime.InferenceSession(job.onnx, providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"image_8_4": pixels()})

    with running(job, tmp_path) as engine:
        found = engine.answer(3)

    np.testing.assert_allclose(found, wanted, atol=1e-7)


def newest_child():
    """The process started last: a resource tracker of earlier tests may be there too."""
    return max(psutil.Process().children(), key=lambda child: (child.create_time(), child.pid))


def test_engine_runs_on_the_cpus_it_is_given_and_starts_from_cold(job, tmp_path):
    with running(job, tmp_path) as engine:
        child = newest_child()
        affinity, times, peak_mib = child.cpu_affinity(), engine.time_calls(1, 5), engine.peak_mib()

    assert affinity == job.cpus
    assert len(times) == 5
    assert min(times) > 0
    assert 20 < peak_mib < 1000
    # An interpreter, NumPy, ONNX Runtime and a graph: never instantly.
    assert 0.02 < engine.cold_start_s < 60


def test_engine_is_gone_after_its_block(job, tmp_path):
    with running(job, tmp_path):
        child = newest_child()

    assert not child.is_running()


def test_onnx_runtime_needs_no_tensorflow(job, tmp_path):
    """Its cold start and memory would otherwise be TensorFlow's."""
    write_json(tmp_path / "job.json", asdict(job))
    code = (
        "import sys\nfrom pipeline.deploy import benchmark, charts, engines\n"
        f"engines.main([{str(tmp_path / 'job.json')!r}])\n"
        "print([m for m in ('tensorflow', 'keras') if m in sys.modules], file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input="quit\n", capture_output=True, text=True
    )

    assert done.stdout == '{"ready": true}\n'
    assert done.stderr == "[]\n"


def test_tensorflow_starts_without_jax():
    """Its cold start would be a second longer wherever JAX is installed."""
    code = (
        "import sys\nfrom pipeline.deploy import engines\n"
        "engines.main(['--rehearse', 'tf.function'])\n"
        "print([m for m in ('tensorflow', 'jax', 'jaxlib') if sys.modules.get(m)])"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert done.stdout.splitlines()[-1:] == ["['tensorflow']"], done.stderr


def test_what_a_library_prints_does_not_reach_the_protocol():
    code = (
        "from pipeline.deploy import engines\nreplies = engines._keep_stdout_clean()\n"
        "print('noise', flush=True)\nimport os; os.write(1, b'more')\nprint('reply', file=replies)"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert done.stdout == "reply\n"
    assert done.stderr == "noise\nmore"


def test_engine_that_cannot_load_is_an_error_with_its_last_lines(job, tmp_path):
    Path(job.onnx).write_bytes(b"no graph")

    with (
        pytest.raises(EngineError, match=r"(?s)onnxruntime of member m .*status 1.*m\.onnx"),
        running(job, tmp_path),
    ):
        pass


def test_engine_that_dies_while_it_is_measured_is_an_error(job, tmp_path):
    with (
        pytest.raises(EngineError, match="was killed by signal 9"),
        running(job, tmp_path) as engine,
    ):
        child = newest_child()
        os.kill(child.pid, signal.SIGKILL)
        engine.time_calls(1, 1)


@pytest.mark.parametrize("fault", [{"outputs": 8}, {"scale": float("nan")}])
def test_answer_that_is_no_probabilities_is_an_error(job, tmp_path, fault):
    write_tiny_graph(Path(job.onnx), **fault)

    with (
        pytest.raises(EngineError, match=r"must answer finite probabilities \(3, 9\)"),
        running(job, tmp_path) as engine,
    ):
        engine.answer(3)


def test_engine_whose_library_is_absent_is_an_error(monkeypatch):
    broken = ROOT / "no" / "such" / "folder"
    monkeypatch.setattr(engines, "__file__", str(broken / "a" / "b" / "c.py"))
    monkeypatch.chdir("/")

    with pytest.raises(EngineError, match=r"(?s)must be importable.*No module named 'pipeline'"):
        rehearse(["onnxruntime"], 1)


def test_environment_pins_threads_and_hides_accelerators(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")

    found = environment(3)

    assert found["OMP_NUM_THREADS"] == found["TF_NUM_INTRAOP_THREADS"] == "3"
    assert found["TF_NUM_INTEROP_THREADS"] == "1"
    assert found["CUDA_VISIBLE_DEVICES"] == "-1"
    assert "PYTHONDONTWRITEBYTECODE" not in found
    assert "GLIBC_TUNABLES" not in found


def test_protocol_answers_each_request_with_one_reply():
    batches, replies = [], []

    def answer(arrays):
        batches.append(len(arrays["x"]))
        return np.full((len(arrays["x"]), 9), 0.5)

    requests = io.StringIO("answer 2\ntime 3 2\npeak\nquit\nanswer 1\n")
    serve(answer, {"x": np.zeros((3, 1))}, requests, replies.append)

    # The first answer, two images, then an untimed call and two timed ones.
    assert batches == [1, 2, 3, 3, 3]
    assert [list(reply) for reply in replies] == [
        ["ready"],
        ["probabilities"],
        ["ms"],
        ["peak_mib"],
    ]
    assert np.shape(replies[1]["probabilities"]) == (2, 9)
    assert len(replies[2]["ms"]) == 2


def test_unknown_request_is_refused():
    with pytest.raises(ValueError, match="must be time, answer, peak or quit"):
        serve(lambda arrays: arrays["x"], {"x": np.zeros(1)}, io.StringIO("stop\n"), print)


def test_rounds_are_interleaved_and_begin_with_different_engines():
    turns = interleave(["a", "b"], SETTINGS)

    first = [("a", 1), ("b", 1), ("a", 3), ("b", 3)]
    second = [("b", 1), ("a", 1), ("b", 3), ("a", 3)]
    assert turns == first + second


@pytest.mark.parametrize(
    ("repeats", "batch", "calls"), [(10, 1, 10), (10, 8, 3), (80, 8, 10), (2, 8, 2)]
)
def test_large_batches_are_called_less_often_but_a_few_times(repeats, batch, calls):
    assert replace(SETTINGS, repeats=repeats).calls(batch) == calls


def test_every_turn_ends_up_in_the_rows(job, tmp_path):
    tables = measure_engines([job], SETTINGS, tmp_path)

    rows = tables["latency"]
    assert [(row["batch"], row["calls"], row["threads"]) for row in rows] == [(1, 8, 1), (3, 6, 1)]
    assert all(0 < row["p50_ms"] <= row["p95_ms"] for row in rows)
    assert {row["precision"] for row in rows} == {"float32"}
    assert tables["cold_start"][0]["seconds"] > 0
    assert tables["memory"][0]["peak_mib"] > 20
    assert tables["parity"] == []  # one engine has nothing to differ from


def test_times_are_summarised_by_median_tail_and_throughput():
    """Eleven calls of 10 to 20 ms on two images: 165 ms for 22 images."""
    row = summarise_times(2, [float(ms) for ms in range(20, 9, -1)])

    assert row["p50_ms"] == 15
    assert row["p95_ms"] == 19.5
    assert row["images_per_s"] == pytest.approx(22 / 0.165)
    assert row["calls"] == 11


def test_answers_are_compared_in_pairs_by_their_largest_difference():
    one = np.full((2, 9), 0.1)
    other = one.copy()
    other[1, 3] = 0.4

    rows = compare_answers({"a": one, "b": one, "c": other})

    assert [(r["from"], r["to"]) for r in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [r["max_abs_difference"] for r in rows] == pytest.approx([0, 0.3, 0.3])
    assert {r["images"] for r in rows} == {2}


def test_sizes_of_the_ensemble_are_sums_but_for_its_own_graph(tmp_path):
    members = [artefacts(tmp_path, "a"), artefacts(tmp_path, "b")]

    rows = measure_sizes(members, ensemble_artefacts(tmp_path))

    sizes = {(row["member"], row["artefact"]): row["bytes"] for row in rows}
    assert [sizes["a", name] for name in ("weights", "savedmodel", "onnx")] == [400, 500, 300]
    assert sizes["a", "training_checkpoint"] == 1200
    assert sizes["ensemble", "savedmodel"] == 1000
    assert sizes["ensemble", "onnx"] == 610
    assert count_parameters(members)[-1] == {
        "member": "ensemble",
        "parameters": 150,
        "float32_bytes": 600,
    }


def test_reductions_name_their_baseline_and_may_be_losses(tmp_path):
    sizes = measure_sizes([artefacts(tmp_path)], ensemble_artefacts(tmp_path))
    latency = [
        {"member": "m", "engine": engine, "batch": batch, "p50_ms": ms * batch}
        for engine, ms in (("keras.predict", 100.0), ("tf.function", 40.0), ("onnxruntime", 50.0))
        for batch in (1, 8)
    ]

    rows = [row for row in reductions(sizes, latency, 1) if row["member"] == "m"]

    found = {(row["quantity"], row["from"], row["to"]): row["percent"] for row in rows}
    assert found == {
        ("bytes", "training_checkpoint", "onnx"): pytest.approx(75),
        ("bytes", "weights", "onnx"): pytest.approx(25),
        ("bytes", "savedmodel", "onnx"): pytest.approx(40),
        ("p50_ms", "keras.predict", "onnxruntime"): pytest.approx(50),
        ("p50_ms", "tf.function", "onnxruntime"): pytest.approx(-25),
    }
    assert {row["batch"] for row in rows if row["quantity"] == "p50_ms"} == {1}


def test_absent_files_are_named_together_before_anything_starts(tmp_path):
    member, ensemble = artefacts(tmp_path), ensemble_artefacts(tmp_path)
    member.weights[0].unlink()
    ensemble.onnx.unlink()

    with pytest.raises(BenchmarkError, match=r"2 files must exist.*weights\.h5.*ensemble\.onnx"):
        check_present([member], ensemble, {"image_8_4": pixels()}, SETTINGS)


@pytest.mark.parametrize("arrays", [{}, {"image_8_4": pixels(2)}])
def test_too_few_inputs_are_refused(tmp_path, arrays):
    member, ensemble = artefacts(tmp_path), ensemble_artefacts(tmp_path)

    with pytest.raises(BenchmarkError, match="input image_8_4 must have at least 3 rows"):
        check_present([member], ensemble, arrays, SETTINGS)


def test_jobs_serve_each_member_alone_and_all_as_the_ensemble(tmp_path):
    members = [artefacts(tmp_path, "a"), artefacts(tmp_path, "b", demographics=True)]

    subjects = list(make_jobs(members, ensemble_artefacts(tmp_path), tmp_path / "x.npz", [0, 1]))

    assert [jobs[0].member for jobs in subjects] == ["a", "b", "ensemble"]
    assert [[job.engine for job in jobs] for jobs in subjects] == [list(ENGINES)] * 3
    assert [model.inputs for model in subjects[2][0].models] == [
        ["image_8_4"],
        ["image_8_4", "demographics"],
    ]
    assert [jobs[0].output for jobs in subjects] == [
        "probabilities_a",
        "probabilities_b",
        "probabilities",
    ]
    assert [bool(jobs[0].reference) for jobs in subjects] == [False, False, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threads": 0}, r"^threads must be at least 1\. Got: 0\."),
        ({"warmup": 0}, r"^warmup must be at least 1\. Got: 0\."),
        ({"batches": ()}, r"^batches must be different numbers from 1\."),
        ({"batches": (1, 0)}, r"^batches must be different numbers from 1\."),
        ({"batches": (8, 8)}, r"^batches must be different numbers from 1\."),
    ],
)
def test_params_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **change)


def test_machine_is_described_with_what_shapes_the_figures():
    machine = describe_machine()

    assert machine["cpu"]
    assert machine["cores"] >= 1
    assert machine["memory_mib"] > 100
    assert {"tensorflow", "keras", "onnxruntime", "numpy"} <= set(machine["versions"])


@pytest.mark.parametrize("draw", [draw_latency, draw_sizes])
@pytest.mark.parametrize("ratio", [2.0, 100.0])
def test_chart_is_a_picture_and_the_same_each_time(tmp_path, draw, ratio):
    draw(report(ratio), tmp_path / "one.png")
    draw(report(ratio), tmp_path / "two.png")

    with Image.open(tmp_path / "one.png") as image:
        assert image.width > 1000
        assert len(image.convert("RGB").getcolors(100_000)) > 10
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_native_and_onnx_agree_on_the_ensemble(tmp_path):
    """Two members of the smallest backbone, every engine; one averages networks and views."""
    from pipeline.deploy.export import export_member
    from pipeline.deploy.merge import merge_members
    from pipeline.network.scored import load_scored
    from pipeline.scoring.ensemble import make_reference, save_reference
    from pipeline.scoring.probability_map import RANK_LOGISTIC, LinearMap
    from tests.network.networks import build_lively

    rng = np.random.default_rng(0)
    members, graphs, references = [], {}, {}
    for name, demographics in (("a", False), ("b", True)):
        member = artefacts(tmp_path, name, input_px=32, demographics=demographics)
        if name == "b":
            second = member.weights[0].with_name("second.weights.h5")
            member = replace(member, weights=(*member.weights, second), views=8)
        for seed, path in enumerate(member.weights):
            network = build_lively(seed, input_px=32, demographics=demographics)
            network.save_weights(path)
        network = load_scored(member.recipe, member.weights, views=member.views)
        graphs[name] = export_member(network, member.onnx, member=name, crop_px=8, opset=18)
        references[name] = make_reference(rng.dirichlet(np.ones(9), 50))
        members.append(member)
    ensemble = ensemble_artefacts(tmp_path)
    probability_map = LinearMap(RANK_LOGISTIC, rng.normal(size=(9, 9)), rng.normal(size=9), 0.01)
    save_reference(ensemble.reference, references)
    write_json(ensemble.probability_map, probability_map.to_json())
    merge_members(graphs, references, probability_map, ensemble.onnx)
    images = rng.integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    known = rng.random((3, 10)).astype(np.float32)
    np.savez(tmp_path / "arrays.npz", image_8_32=images, demographics=known)
    *_, jobs = make_jobs(
        members, ensemble, tmp_path / "arrays.npz", sorted(os.sched_getaffinity(0))[:1]
    )

    tables = measure_engines(jobs, SETTINGS, tmp_path)

    timed = [(row["member"], row["engine"]) for row in tables["latency"] if row["batch"] == 1]
    assert timed == [("ensemble", engine) for engine in ENGINES]
    assert len(tables["parity"]) == 3
    assert max(row["max_abs_difference"] for row in tables["parity"]) < 1e-4
    peaks = {row["engine"]: row["peak_mib"] for row in tables["memory"]}
    assert peaks["onnxruntime"] < peaks["tf.function"]
