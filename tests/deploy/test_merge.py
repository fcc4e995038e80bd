"""Tests of `pipeline.deploy.merge`, on members of one matrix each."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline.classes import CLASSES
from pipeline.deploy.graph import LIMIT_BYTES, ExportError, finish
from pipeline.deploy.merge import merge_members
from pipeline.deploy.parity import (
    FORMULA_TOLERANCE,
    MemberParity,
    ParityError,
    check_ensemble,
    check_member,
    open_session,
)
from pipeline.scoring.ensemble import combine
from pipeline.scoring.probability_map import (
    DIRICHLET,
    ISOTONIC,
    RANK_LOGISTIC,
    IsotonicMap,
    LinearMap,
)

SIZE_PX = 4


def tiny_member(name, seed, *, input_px=SIZE_PX, demographics=False):
    """Mean colour, a matrix and a softmax: a member's contract without its size."""
    rng = np.random.default_rng(seed)
    image = f"image_8_{input_px}"
    inputs = [
        helper.make_tensor_value_info(image, TensorProto.UINT8, ["batch", input_px, input_px, 3])
    ]
    width = 3
    nodes = [
        helper.make_node("Cast", [image], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["real", "scale"], ["scaled"]),
        helper.make_node("ReduceMean", ["scaled", "axes"], ["mean"], keepdims=0),
    ]
    features = "mean"
    if demographics:
        inputs.append(
            helper.make_tensor_value_info("demographics", TensorProto.FLOAT, ["batch", 10])
        )
        nodes.append(helper.make_node("Concat", ["mean", "demographics"], ["joined"], axis=1))
        features, width = "joined", 13
    nodes += [
        helper.make_node("MatMul", [features, "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [f"probabilities_{name}"], axis=-1),
    ]
    constants = [
        numpy_helper.from_array(np.float32(25), "scale"),
        numpy_helper.from_array(np.array([1, 2]), "axes"),
        numpy_helper.from_array(rng.normal(size=(width, 9)).astype(np.float32), "weights"),
    ]
    output = helper.make_tensor_value_info(f"probabilities_{name}", TensorProto.FLOAT, ["batch", 9])
    graph = helper.make_graph(nodes, name, inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    finish(model, {})
    return model


def some_map(count, seed=5, method=RANK_LOGISTIC):
    rng = np.random.default_rng(seed)
    if method == ISOTONIC:
        sizes = rng.integers(1, 40, 9)
        knots = [np.sort(rng.uniform(0, 0.6, k)) for k in sizes]
        return IsotonicMap(tuple(knots), tuple(np.sort(rng.uniform(0.01, 1, k)) for k in sizes))
    clip = 0.5 / count if method == RANK_LOGISTIC else None
    return LinearMap(method, rng.normal(size=(9, 9)), rng.normal(size=9), clip)


def pixels(count, seed=0):
    shape = (count, SIZE_PX, SIZE_PX, 3)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


class Built:
    """A merged graph of two members with all that it was made from."""

    def __init__(self, folder, reference_cases=50, method=RANK_LOGISTIC):
        self.graphs = {"b4": tiny_member("b4", 1), "b5": tiny_member("b5", 2, demographics=True)}
        self.known = np.random.default_rng(3).random((200, 10)).astype(np.float32)
        self.images = pixels(200)
        self.references = {}
        for name, graph in self.graphs.items():
            onnx.save(graph, folder / f"{name}.onnx")
            session = open_session(folder / f"{name}.onnx")
            feeds = {"image_8_4": self.images, "demographics": self.known}
            (scores,) = session.run(None, {i.name: feeds[i.name] for i in session.get_inputs()})
            # The first cases are the reference: later cases tie with it where they are the same.
            self.references[name] = np.sort(scores[:reference_cases], axis=0)
        self.map = some_map(reference_cases, method=method)
        self.path = folder / "ensemble.onnx"
        merge_members(self.graphs, self.references, self.map, self.path)
        self.session = open_session(self.path)

    def run(self, rows=slice(None)):
        feeds = {"image_8_4": self.images[rows], "demographics": self.known[rows]}
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(None, feeds), strict=True))


@pytest.fixture(
    scope="module",
    params=[
        (1, RANK_LOGISTIC),
        (2, RANK_LOGISTIC),
        (50, RANK_LOGISTIC),
        (64, RANK_LOGISTIC),
        (50, DIRICHLET),
        (50, ISOTONIC),
    ],
    ids=str,
)
def built(tmp_path_factory, request):
    return Built(tmp_path_factory.mktemp("merge"), *request.param)


def test_inputs_and_outputs_are_those_of_the_contract(built):
    inputs = {i.name: (i.shape, i.type) for i in built.session.get_inputs()}
    outputs = {o.name: (o.shape, o.type) for o in built.session.get_outputs()}

    assert inputs == {
        "image_8_4": (["batch", 4, 4, 3], "tensor(uint8)"),
        "demographics": (["batch", 10], "tensor(float)"),
    }
    scores = (["batch", 9], "tensor(float)")
    names = ["probabilities", "rank_scores", "probabilities_b4", "probabilities_b5"]
    assert outputs == dict.fromkeys(names, scores)


def test_graph_equals_the_formula_on_equal_scores(built):
    """On the reference itself, where every score is a tie, and beyond it."""
    outputs = built.run()
    joined = combine(
        built.references, {name: outputs[f"probabilities_{name}"] for name in built.graphs}
    )

    assert np.abs(outputs["rank_scores"] - joined.rank_average).max() <= FORMULA_TOLERANCE
    assert np.abs(outputs["probabilities"] - built.map.apply(joined)).max() <= FORMULA_TOLERANCE


def test_equal_member_scores_give_the_same_bits_alone_and_in_a_batch(built):
    """The members' own arithmetic may round otherwise in another batch; the ensemble's may not."""
    batch = built.run([7] * 40)
    np.testing.assert_array_equal(batch["probabilities"], batch["probabilities"][:1].repeat(40, 0))
    whole = built.run()
    compared = 0
    for row in range(0, 200, 4):
        alone = built.run([row])
        if all(
            (alone[f"probabilities_{n}"][0] == whole[f"probabilities_{n}"][row]).all()
            for n in built.graphs
        ):
            compared += 1
            for name in ("probabilities", "rank_scores"):
                np.testing.assert_array_equal(alone[name][0], whole[name][row])
    assert compared > 5


def test_merging_twice_gives_the_same_bytes(built, tmp_path):
    merge_members(built.graphs, built.references, built.map, tmp_path / "again.onnx")

    assert (tmp_path / "again.onnx").read_bytes() == built.path.read_bytes()


def test_members_with_their_own_inputs_keep_them_apart(tmp_path):
    graphs = {"b4": tiny_member("b4", 1), "b5": tiny_member("b5", 2, input_px=6)}
    references = {name: np.linspace(0, 1, 90, dtype=np.float32).reshape(10, 9) for name in graphs}

    merged = merge_members(graphs, references, some_map(10), tmp_path / "ensemble.onnx")

    assert [value.name for value in merged.graph.input] == ["image_8_4", "image_8_6"]


def test_input_that_nothing_needs_is_refused_by_the_contract(tmp_path):
    """`onnx.checker` passes such a graph, and ONNX Runtime then asks for the input."""
    from pipeline.deploy.graph import check_contract

    model = tiny_member("b4", 1)
    model.graph.input.append(
        helper.make_tensor_value_info("extra", TensorProto.FLOAT, ["batch", 1])
    )
    onnx.checker.check_model(model)

    with pytest.raises(ExportError, match=r"inputs of the graph must be .*'extra'"):
        check_contract(model, {"image_8_4": [4, 4, 3]}, {"probabilities_b4": [len(CLASSES)]})


def native(built):
    outputs = built.run()
    return outputs, {name: outputs[f"probabilities_{name}"] for name in built.graphs}


def test_gate_passes_an_exact_graph(built):
    outputs, scores = native(built)

    report = check_ensemble(outputs, scores, built.references, built.map)

    assert report["rank_difference"] <= 1e-6


@pytest.mark.parametrize("fault", ["swapped members", "class order", "ties", "map"])
def test_gate_catches_a_planted_fault(tmp_path, fault):
    built = Built(tmp_path)
    outputs, scores = native(built)
    references, probability_map = dict(built.references), built.map
    if fault == "swapped members":
        references = {"b4": references["b5"], "b5": references["b4"]}
    elif fault == "class order":
        outputs["rank_scores"] = np.roll(outputs["rank_scores"], 1, axis=1)
    elif fault == "ties":
        below = [
            np.stack([np.searchsorted(r[:, k], scores[n][:, k]) for k in range(9)], 1) / len(r)
            for n, r in references.items()
        ]
        outputs["rank_scores"] = np.mean(below, axis=0)
    else:
        probability_map = some_map(50, seed=6)

    with pytest.raises(ParityError, match="of graph and formula must be equal"):
        check_ensemble(outputs, scores, references, probability_map)


def test_gate_catches_native_scores_that_moved_by_more_than_two_ranks(tmp_path):
    built = Built(tmp_path)
    outputs, scores = native(built)

    with pytest.raises(ParityError, match="must agree within 2/n"):
        check_ensemble(
            outputs, {n: s * 0.8 for n, s in scores.items()}, built.references, built.map
        )


@pytest.mark.parametrize("difference", [2e-4, float("nan")])
def test_gate_stops_a_member_that_differs(difference):
    with pytest.raises(ParityError, match=r"member b4: ONNX and Keras must agree within 0.0001"):
        check_member(MemberParity("b4", 24, 1e-7, difference, 1e-4))


def test_gate_allows_a_hardly_trained_network_its_own_noise():
    report = check_member(MemberParity("b4", 24, noise=1e-3, difference=2e-3, tolerance=1e-4))

    assert report["allowed"] == pytest.approx(3e-3)


def test_other_runtime_versions_read_the_graph(built):
    """An IR version newer than the deployed runtime's would be refused at load."""
    assert onnx.load(built.path).ir_version <= 10
    assert onnxruntime.InferenceSession(str(built.path), providers=["CPUExecutionProvider"])


@pytest.mark.slow
def test_members_that_one_file_cannot_hold_together_are_refused_before_merging(tmp_path):
    """Each within the limit, all above it: protobuf's own error names neither file nor size."""
    part = helper.make_model(helper.make_graph([], "part", [], []))
    part.graph.initializer.add(raw_data=bytes(LIMIT_BYTES // 20 + 1), data_type=TensorProto.UINT8)
    graphs = {f"b{n}": part for n in range(20)}  # one graph under all names: counted, not held

    with pytest.raises(
        ExportError, match=r"ensemble\.onnx must stay below 1\.9 GiB, 2040109465 bytes\. Got: 2040"
    ):
        merge_members(graphs, {}, some_map(1), tmp_path / "ensemble.onnx")

    assert not (tmp_path / "ensemble.onnx").exists()
