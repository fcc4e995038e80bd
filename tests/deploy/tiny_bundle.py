"""A bundle in the small: members of one matrix each in a real merged graph, for several tests."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from pipeline.cad.golden import score_golden
from pipeline.cad.inference import Scorer
from pipeline.classes import CLASSES, MALIGNANT, TARGETS
from pipeline.demographics import DEMOGRAPHICS_WIDTH
from pipeline.deploy import bundle, bundle_writer
from pipeline.deploy.graph import finish
from pipeline.deploy.merge import merge_members
from pipeline.images.crop import CropParams
from pipeline.images.decode import DecodeParams
from pipeline.images.field import BorderParams
from pipeline.images.gate.json_form import to_json
from pipeline.images.gate.limits import OF_DISTANCE, RULES, WORDS, Distance, InputGate
from pipeline.images.preprocess import PREPROCESSING_VERSION
from pipeline.scoring.ensemble import make_reference
from pipeline.scoring.probability_map import RANK_LOGISTIC, LinearMap
from pipeline.storage import write_json

MEMBERS = {
    "b4": bundle.Member(backbone="b4", crop_px=64, input_px=32, demographics=True),
    "b5": bundle.Member(backbone="b5", crop_px=48, input_px=24, demographics=False),
}
WITHOUT_DEMOGRAPHICS = {"b5": MEMBERS["b5"]}
SETTINGS = bundle_writer.BundleParams(name="tiny", version="0.1.0", golden_cases=1, golden_seed=7)
PREPROCESSING = bundle.Preprocessing(
    version=PREPROCESSING_VERSION,
    decode=DecodeParams(limit_pixels=1_000_000, limit_side_px=2_000, minimum_side_px=32),
    crop=CropParams(
        sizes_px=(48, 64),
        shard_images=8,
        squaring="centre",
        border=BorderParams(
            analysis_px=128,
            dark_share=0.27,
            white_level=240,
            least_share=0.01,
            left_share=0.0001,
            margin_share=0.047,
        ),
    ),
    resample="bicubic",
)
REFERENCE_ROWS = 50
DEPLOYED = bundle.Deployed("fold", folds=(0,), views=1, reference="out-of-fold")


def member_graph(name, member, seed):
    """Mean colour and demographics through a matrix and a softmax: a member's contract."""
    rng = np.random.default_rng(seed)
    image, side = f"image_{member.crop_px}_{member.input_px}", member.input_px
    inputs = [helper.make_tensor_value_info(image, TensorProto.UINT8, ["batch", side, side, 3])]
    nodes = [
        helper.make_node("Cast", [image], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["real", "scale"], ["scaled"]),
        helper.make_node("ReduceMean", ["scaled", "axes"], ["mean"], keepdims=0),
    ]
    features, width = "mean", 3
    if member.demographics:
        shape = ["batch", DEMOGRAPHICS_WIDTH]
        inputs.append(helper.make_tensor_value_info("demographics", TensorProto.FLOAT, shape))
        nodes.append(helper.make_node("Concat", ["mean", "demographics"], ["joined"], axis=1))
        features, width = "joined", 3 + DEMOGRAPHICS_WIDTH
    nodes += [
        helper.make_node("MatMul", [features, "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [f"probabilities_{name}"], axis=-1),
    ]
    constants = [
        numpy_helper.from_array(np.float32(50), "scale"),
        numpy_helper.from_array(np.array([1, 2]), "axes"),
        numpy_helper.from_array(rng.normal(size=(width, 9)).astype(np.float32), "weights"),
    ]
    output = helper.make_tensor_value_info(f"probabilities_{name}", TensorProto.FLOAT, ["batch", 9])
    graph = helper.make_graph(nodes, name, inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    finish(model, {})
    return model


def references_of(members):
    """Sorted out-of-fold scores of each member."""
    rng = np.random.default_rng(1)
    alpha = np.full(len(CLASSES), 0.3)
    return {name: make_reference(rng.dirichlet(alpha, REFERENCE_ROWS)) for name in members}


def write_model(path, members):
    """Write the merged graph of some members."""
    graphs = {name: member_graph(name, m, seed) for seed, (name, m) in enumerate(members.items())}
    rng = np.random.default_rng(2)
    probability_map = LinearMap(
        RANK_LOGISTIC, rng.normal(size=(9, 9)), rng.normal(size=9), clip=0.5 / REFERENCE_ROWS
    )
    return merge_members(graphs, references_of(members), probability_map, path)


def tiny_manifest(members, *, threshold=0.5, preprocessing=PREPROCESSING, deployed=DEPLOYED):
    """Describe a tiny bundle."""
    nothing = bundle.Estimate(None, None, None)
    point = bundle.OperatingPoint(
        "chosen by hand", "sensitivity", 0.9, threshold, 50, 20, 0.95, nothing, nothing
    )
    targets = {
        name: bundle.Target(lists[0], decision=point, others=()) for name, lists in TARGETS.items()
    }
    return bundle_writer.make_manifest(
        SETTINGS,
        preprocessing,
        members,
        deployed=deployed,
        reference_rows=REFERENCE_ROWS,
        thresholds=targets,
    )


def write_gate(path, **limits):
    """Write a gate that lets everything pass but what given limits stop."""
    count = len(OF_DISTANCE)
    every = {code: -1e9 if code in RULES and RULES[code].sign < 0 else 1e9 for code in WORDS}
    distance = Distance(np.zeros(count), np.ones(count), np.ones(count), np.eye(count))
    write_json(path, to_json(InputGate(every | limits, distance, 50, 0.03)))


def write_bundle(folder, members=MEMBERS, **facts):
    """Write a whole bundle, as stage `bundle` does; return its folder."""
    described = tiny_manifest(members, **facts)
    write_model(folder / bundle.MODEL_FILE, members)
    bundle_writer.write_labels(folder / "labels.json", MALIGNANT)
    write_gate(folder / bundle.GATE_FILE)
    drawn = bundle_writer.draw_golden(folder, SETTINGS)
    scorer = Scorer(bundle.Bundle(folder, described, sha256=""), threads=1)
    scored = [score_golden(scorer, case) for case in drawn]
    bundle_writer.write_golden(folder, scored, reference_rows=REFERENCE_ROWS)
    bundle_writer.seal(folder, described)
    return folder
