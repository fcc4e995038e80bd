"""The ensemble as one ONNX graph: members, rank look-up, average and probability map.

The arithmetic is that of `scoring.ensemble` and `scoring.probability_map`. A rank, or the place on
a curve, is found by an unrolled binary search in a sorted table, 0.5 ms where comparing with the
whole table takes 70 ms.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from pipeline.classes import CLASSES
from pipeline.deploy.graph import check_contract, check_size, finish, write_graph
from pipeline.scoring.ensemble import LEAST_SCORE
from pipeline.scoring.probability_map import IsotonicMap, LinearMap, ProbabilityMap, slopes


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

    def softmax(self, logits: str, output: str) -> str:
        return self.add("Softmax", [logits], output, axis=-1)


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
        probability_map: The members' joined scores to probabilities.
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
    _probabilities(graph, probability_map, list(graphs))

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
    depth = _table(graph, prefix, list(reference.T))
    below = _search(graph, f"{prefix}/below", prefix, scores, depth, "Less")
    level = _search(graph, f"{prefix}/below_or_equal", prefix, scores, depth, "LessOrEqual")
    both = graph.add("Add", [below, level], f"{prefix}/both")
    real = graph.add("Cast", [both], f"{prefix}/real", to=TensorProto.DOUBLE)
    twice = graph.constant(f"{prefix}/twice_n", np.array(2.0 * len(reference)))
    return graph.add("Div", [real, twice], f"{prefix}/rank")


def _table(graph: _Graph, prefix: str, columns: list[np.ndarray]) -> int:
    """Add the classes' ascending values as one flat table; return how often a search halves it.

    Padded with infinity to 2^depth - 1 rows: nothing finite lies above it, so a search needs no
    bounds.
    """
    depth = max(map(len, columns)).bit_length()
    table = np.full((len(CLASSES), 2**depth - 1), np.inf, columns[0].dtype)
    for row, column in zip(table, columns, strict=True):
        row[: len(column)] = column
    graph.constant(f"{prefix}/table", table.ravel())
    # Where each class begins in the flat table, less one: a candidate counts rows from one.
    starts = np.arange(len(CLASSES), dtype=np.int64) * table.shape[1] - 1
    graph.constant(f"{prefix}/starts", starts)
    return depth


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


def _probabilities(graph: _Graph, probability_map: ProbabilityMap, members: list[str]) -> None:
    """Add the map to probabilities, in double."""
    if isinstance(probability_map, IsotonicMap):
        logits = _mean_logits(graph, members)
        found = _isotonic(graph, probability_map, graph.softmax(logits, "map/scores"))
    else:
        ranked = probability_map.clip is not None
        logits = (
            _rank_logits(graph, probability_map.clip) if ranked else _mean_logits(graph, members)
        )
        found = _linear(graph, probability_map, logits)
    graph.add("Cast", [found], "probabilities", to=TensorProto.FLOAT)


def _rank_logits(graph: _Graph, clip: float) -> str:
    """Add the logits of the rank averages, brought into [clip, 1 - clip]."""
    low = graph.constant("map/low", np.array(clip))
    high = graph.constant("map/high", np.array(1 - clip))
    clipped = graph.add("Clip", ["rank/average", low, high], "map/clipped")
    one = graph.constant("map/one", np.array(1.0))
    rest = graph.add("Sub", [one, clipped], "map/rest")
    odds = graph.add("Div", [clipped, rest], "map/odds")
    return graph.add("Log", [odds], "map/logits")


def _mean_logits(graph: _Graph, members: list[str]) -> str:
    """Add the mean of the logarithms of the members' scores, `(batch, 9)` double."""
    least = graph.constant("map/least", np.array(LEAST_SCORE))
    logs = []
    for member in members:
        score = f"probabilities_{member}"
        real = graph.add("Cast", [score], f"map/{member}/real", to=TensorProto.DOUBLE)
        raised = graph.add("Max", [real, least], f"map/{member}/raised")
        logs.append(graph.add("Log", [raised], f"map/{member}/log"))
    total = graph.add("Sum", logs, "map/sum")
    count = graph.constant("map/members", np.array(float(len(members))))
    return graph.add("Div", [total, count], "map/mean_logits")


def _linear(graph: _Graph, probability_map: LinearMap, logits: str) -> str:
    """Add the softmax of a linear map of logits."""
    weights = graph.constant(
        "map/coefficients", np.ascontiguousarray(probability_map.coefficients.T, np.float64)
    )
    bias = graph.constant("map/intercepts", np.asarray(probability_map.intercepts, np.float64))
    linear = graph.add("MatMul", [logits, weights], "map/linear")
    return graph.softmax(graph.add("Add", [linear, bias], "map/shifted"), "map/softmax")


def _isotonic(graph: _Graph, probability_map: IsotonicMap, scores: str) -> str:
    """Add each class's curve, and divide the heights by their sum."""
    knots, levels = probability_map.knots, probability_map.levels
    depth = _table(graph, "map/curve", list(knots))
    padded = np.zeros((2, len(CLASSES), 2**depth - 1))
    for column, (own_knots, own_levels) in enumerate(zip(knots, levels, strict=True)):
        padded[0, column, : len(own_knots)] = own_levels
        padded[1, column, : len(own_knots)] = slopes(own_knots, own_levels)
    graph.constant("map/curve/levels", padded[0].ravel())
    graph.constant("map/curve/slopes", padded[1].ravel())
    first = graph.constant("map/curve/first", np.array([own[0] for own in knots]))
    inside = graph.add("Max", [scores, first], "map/curve/inside")
    count = _search(graph, "map/curve/below", "map/curve", inside, depth, "LessOrEqual")
    index = graph.add("Add", [count, "map/curve/starts"], "map/curve/index")
    knot, level, slope = (
        graph.add("Gather", [f"map/curve/{name}", index], f"map/curve/own_{name}")
        for name in ("table", "levels", "slopes")
    )
    beyond = graph.add("Sub", [inside, knot], "map/curve/beyond")
    rise = graph.add("Mul", [slope, beyond], "map/curve/rise")
    heights = graph.add("Add", [level, rise], "map/curve/heights")
    axes = graph.constant("map/curve/axes", np.array([1]))
    total = graph.add("ReduceSum", [heights, axes], "map/curve/sum")
    return graph.add("Div", [heights, total], "map/curve/shares")
