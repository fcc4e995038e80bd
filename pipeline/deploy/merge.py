"""The ensemble as one ONNX graph: members, rank look-up, average and probability map.

The arithmetic is that of `scoring.ensemble`. A rank is found by an unrolled binary search in each
member's sorted reference scores, 0.5 ms where comparing with the whole table takes 70 ms.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from pipeline.classes import CLASSES
from pipeline.deploy.graph import check_contract, check_size, finish, write_graph
from pipeline.scoring.ensemble import ProbabilityMap


class _Graph:
    """Nodes and constants under construction."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output


def merge_members(
    graphs: dict[str, onnx.ModelProto],
    references: dict[str, np.ndarray],
    probability_map: ProbabilityMap,
    path: Path,
) -> onnx.ModelProto:
    """Join members into the graph that is deployed, and write it.

    Args:
        graphs: Member name to its graph, as `export.export_member` makes it; all of one opset.
        references: Member name to its out-of-fold scores, `(n, 9)` float32, columns ascending.
        probability_map: Rank averages to probabilities.
        path: File to write.

    Returns:
        The graph. Inputs: the members' own, equal names joined. Outputs: `probabilities`,
        `rank_scores`, and `probabilities_<member>` for each, `(batch, 9)` float32.

    Raises:
        ExportError: The result breaks the contract, or is larger than one file may be.
    """
    # First of all: merging and checking fail at 2 GiB with messages of their own.
    check_size(path, sum(model.ByteSize() for model in graphs.values()))
    graph = _Graph()
    ranks = [_ranks(graph, name, references[name]) for name in graphs]
    _average(graph, ranks)
    _probabilities(graph, probability_map)

    inputs: dict[str, onnx.ValueInfoProto] = {}
    outputs = [_scores_info("probabilities"), _scores_info("rank_scores")]
    member_nodes: list[onnx.NodeProto] = []
    for name, model in graphs.items():
        nodes, constants = _prefixed(model, name)
        member_nodes += nodes
        graph.constants += constants
        inputs |= {value.name: value for value in model.graph.input}
        outputs += list(model.graph.output)
    merged = helper.make_model(
        helper.make_graph(
            member_nodes + graph.nodes,
            "dermensemble",
            list(inputs.values()),
            outputs,
            graph.constants,
        ),
        opset_imports=next(iter(graphs.values())).opset_import,
    )
    sizes = {name: len(reference) for name, reference in references.items() if name in graphs}
    finish(merged, {"members": json.dumps(list(graphs)), "reference_cases": json.dumps(sizes)})
    shapes = {
        name: [dim.dim_value for dim in value.type.tensor_type.shape.dim[1:]]
        for name, value in inputs.items()
    }
    check_contract(merged, shapes, {value.name: [len(CLASSES)] for value in outputs})
    write_graph(path, merged)
    return merged


def _prefixed(
    model: onnx.ModelProto, name: str
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Give a member's inner names its own prefix; inputs and outputs keep theirs."""
    renamed = compose.add_prefix(model, f"{name}/", rename_inputs=False, rename_outputs=False)
    return list(renamed.graph.node), list(renamed.graph.initializer)


def _scores_info(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", len(CLASSES)])


def _ranks(graph: _Graph, member: str, reference: np.ndarray) -> str:
    """Add one member's ranks, (#below + #below-or-equal) / 2n, `(batch, 9)` double."""
    prefix, scores = f"rank/{member}", f"probabilities_{member}"
    count = len(reference)
    depth = int(count).bit_length()
    # Padded with infinity to 2^depth - 1 rows: nothing finite lies above it, so the search needs
    # no bounds.
    table = np.full((len(CLASSES), 2**depth - 1), np.inf, np.float32)
    table[:, :count] = reference.T
    graph.constant(f"{prefix}/table", table.ravel())
    # Where each class begins in the flat table, less one: a candidate counts rows from one.
    starts = np.arange(len(CLASSES), dtype=np.int64) * table.shape[1] - 1
    graph.constant(f"{prefix}/starts", starts)
    below = _search(graph, f"{prefix}/below", prefix, scores, depth, "Less")
    level = _search(graph, f"{prefix}/below_or_equal", prefix, scores, depth, "LessOrEqual")
    both = graph.add("Add", [below, level], f"{prefix}/both")
    real = graph.add("Cast", [both], f"{prefix}/real", to=TensorProto.DOUBLE)
    twice = graph.constant(f"{prefix}/twice_n", np.array(2.0 * count))
    return graph.add("Div", [real, twice], f"{prefix}/rank")


def _search(
    graph: _Graph, prefix: str, shared: str, scores: str, depth: int, comparison: str
) -> str:
    """Add a binary search: how many reference scores are `comparison` than each score."""
    position = graph.constant(f"{prefix}/zero", np.zeros((1, len(CLASSES)), np.int64))
    for level in reversed(range(depth)):
        step = graph.constant(f"{prefix}/step{level}", np.array(2**level, np.int64))
        candidate = graph.add("Add", [position, step], f"{prefix}/candidate{level}")
        index = graph.add("Add", [candidate, f"{shared}/starts"], f"{prefix}/index{level}")
        value = graph.add("Gather", [f"{shared}/table", index], f"{prefix}/value{level}")
        is_below = graph.add(comparison, [value, scores], f"{prefix}/is_below{level}")
        position = graph.add("Where", [is_below, candidate, position], f"{prefix}/position{level}")
    return position


def _average(graph: _Graph, ranks: list[str]) -> None:
    """Add the mean of the members' ranks, as `rank_scores` and, in double, for the map."""
    total = graph.add("Sum", ranks, "rank/sum")
    count = graph.constant("rank/members", np.array(float(len(ranks))))
    graph.add("Div", [total, count], "rank/average")
    graph.add("Cast", ["rank/average"], "rank_scores", to=TensorProto.FLOAT)


def _probabilities(graph: _Graph, probability_map: ProbabilityMap) -> None:
    """Add the multinomial map of the logits of the nine rank averages, in double."""
    low = graph.constant("map/low", np.array(probability_map.clip))
    high = graph.constant("map/high", np.array(1 - probability_map.clip))
    clipped = graph.add("Clip", ["rank/average", low, high], "map/clipped")
    one = graph.constant("map/one", np.array(1.0))
    rest = graph.add("Sub", [one, clipped], "map/rest")
    odds = graph.add("Div", [clipped, rest], "map/odds")
    logits = graph.add("Log", [odds], "map/logits")
    weights = graph.constant(
        "map/coefficients", np.ascontiguousarray(probability_map.coefficients.T, np.float64)
    )
    bias = graph.constant("map/intercepts", np.asarray(probability_map.intercepts, np.float64))
    linear = graph.add("MatMul", [logits, weights], "map/linear")
    shifted = graph.add("Add", [linear, bias], "map/shifted")
    softmax = graph.add("Softmax", [shifted], "map/softmax", axis=-1)
    graph.add("Cast", [softmax], "probabilities", to=TensorProto.FLOAT)
