"""Tests of `pipeline.network.grad_cam`: known places, another implementation, the other backend."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.classes import CLASSES
from pipeline.images.heat_map import resize_map
from pipeline.network.grad_cam import (
    TARGETS,
    GradCam,
    lay_back,
    list_networks,
    log_odds_direction,
)
from pipeline.network.member_params import HeadParams
from pipeline.network.members import build_member, logits_model
from pipeline.network.scored import average_networks
from pipeline.network.views import average_views, list_views
from pipeline.scoring.deletion import energy_inside, map_similarity, pointing_hit
from tests.network.networks import small_member

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SIDE_PX = 64
MEL, NV, BCC = (CLASSES.index(name) for name in ("MEL", "NV", "BCC"))
RECIPE = {"backbone": "small", "input_px": SIDE_PX, "batch_norm_momentum": 0.0}
HEADS = {
    "pooled": HeadParams("pooled", (), 0.2),
    "flatten": HeadParams("flatten", (16,), 0.2),
    "five_dropouts": HeadParams("five_dropouts", (), 0.2),
    "two dense layers": HeadParams("pooled", (24, 12), 0.2),
}


def batch(count=3, side_px=SIDE_PX, seed=0):
    rng = np.random.default_rng(seed)
    few = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    pixels = few.repeat(side_px // 8, axis=1).repeat(side_px // 8, axis=2)
    return pixels, rng.random((count, 10)).astype(np.float32)


def enliven(model, seed=0):
    """Give an untrained network the statistics of images, so that its answers depend on them."""
    pixels, known = batch(16, model.inputs[0].shape[1], seed)
    model([pixels, known][: len(model.inputs)], training=True)
    return model


def real_member(seed=1, **changes):
    keras.utils.set_random_seed(seed)
    return enliven(build_member(small_member(**RECIPE | changes)), seed)


def maps_of(model, pixels, known, classes, views=1, target="log_odds"):
    cam = GradCam(model, views=views)
    return cam.explain(cam.look(pixels, known), np.asarray(classes), target=target)


def finish(pixels, feature_map, name="tiny"):
    """A member's normalisation and head around a backbone of one's own."""
    backbone = keras.Model(pixels, feature_map)
    image = keras.Input(pixels.shape[1:], dtype="uint8", name="image")
    scaled = keras.layers.Rescaling(1 / 255)(keras.ops.cast(image, "float32"))
    features = keras.layers.GlobalAveragePooling2D(name="head_features")(backbone(scaled))
    logits = keras.layers.Dense(9, name="logits")(features)
    return keras.Model(image, keras.layers.Softmax(name="probabilities")(logits), name=name)


def colour_network():
    """A network that sees red and blue, red for MEL and blue for BCC, and nothing else."""
    pixels = keras.Input((SIDE_PX, SIDE_PX, 3))
    pooled = keras.layers.AveragePooling2D(4)(pixels)
    seen = keras.layers.Conv2D(2, 1, activation="relu", name="seen")
    model = finish(pixels, seen(pooled))
    kernel = np.array([[1, 0], [-1, -1], [0, 1]], np.float32)  # R - G and B - G
    seen.set_weights([kernel[None, None], np.zeros(2, np.float32)])
    weights = np.zeros((2, 9), np.float32)
    weights[0, MEL] = weights[1, BCC] = 40
    weights[:, NV] = -40
    model.get_layer("logits").set_weights([weights, np.zeros(9, np.float32)])
    return model


RED, BLUE = np.zeros((2, SIDE_PX, SIDE_PX), bool)
RED[8:20, 40:56] = True
BLUE[40:60, 12:24] = True


def spotted():
    image = np.full((1, SIDE_PX, SIDE_PX, 3), 120, np.uint8)
    image[0, RED] = (230, 120, 120)
    image[0, BLUE] = (120, 120, 230)
    return image, np.zeros((1, 10), np.float32)


@pytest.mark.parametrize("target", TARGETS)
def test_the_map_of_a_class_lies_on_what_the_network_sees_of_it(target):
    model = colour_network()

    for label, region, elsewhere in ((MEL, RED, BLUE), (BCC, BLUE, RED)):
        found = maps_of(model, *spotted(), [label], target=target)

        (heat,) = found.heat
        assert found.is_defined.all() and heat.dtype == np.float32
        assert heat.max() == 1 and heat.min() == 0
        assert pointing_hit(heat, region) == 1
        assert energy_inside(heat, region) > 0.8
        # Faults: the map of the other class, and this one flipped.
        assert energy_inside(heat, elsewhere) < 0.05
        assert energy_inside(heat[:, ::-1], region) < 0.3


def test_a_map_that_no_place_speaks_for_is_undefined_and_not_empty():
    cam = GradCam(colour_network(), views=1)
    pixels, known = (np.repeat(part, 2, axis=0) for part in spotted())

    found = cam.explain(cam.look(pixels, known), np.array([NV, MEL]), target="logit")

    assert found.is_defined.tolist() == [False, True]
    assert np.isnan(found.heat[0]).all()
    assert np.isfinite(found.heat[1]).all()


def test_log_odds_direction_is_their_gradient():
    logits = np.random.default_rng(0).normal(0, 2, (4, 9))
    classes = np.array([0, 3, 8, 3])

    def log_odds(values):
        p = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
        return np.log(p / (1 - p))[np.arange(4), classes]

    found = log_odds_direction(logits, classes)

    for column in range(9):
        step = np.zeros(9)
        step[column] = 1e-5
        slope = (log_odds(logits + step) - log_odds(logits - step)) / 2e-5
        np.testing.assert_allclose(found[:, column], slope, atol=1e-6)


def reference(model, inputs, score):
    """Grad-CAM of all classes again, `(9, batch, side, side)`, the whole network at once."""
    features = model.get_layer("head_features").input
    both = keras.Model(model.inputs, [features, logits_model(model).output])
    with tf.GradientTape(persistent=True) as tape:
        feature_map, logits = both(inputs, training=False)
        logits = tf.cast(logits, tf.float64)
        values = {
            "logit": logits,
            "probability": tf.nn.softmax(logits),
            "log_probability": tf.nn.log_softmax(logits),
        }[score]
        by_class = tf.unstack(values, axis=1)
    found = []
    for value in by_class:
        weights = tf.reduce_mean(tape.gradient(value, feature_map), axis=(1, 2), keepdims=True)
        raw = tf.nn.relu(tf.reduce_sum(weights * feature_map, axis=-1)).numpy()
        large = np.stack([resize_map(one, (SIDE_PX, SIDE_PX)) for one in raw])
        highest = large.max(axis=(1, 2), keepdims=True)
        found.append(np.where(highest > 0, large / np.maximum(highest, 1e-30), np.nan))
    return np.stack(found)


def all_maps(model, pixels, known, target):
    """Maps of all classes by the code under test, from one look."""
    cam = GradCam(model, views=1)
    seen = cam.look(pixels, known)
    wanted = [np.full(len(pixels), label) for label in range(9)]
    return np.stack([cam.explain(seen, labels, target=target).heat for labels in wanted])


@pytest.mark.parametrize("head", HEADS)
def test_maps_are_those_of_the_whole_network_differentiated_at_once(head):
    model = real_member(head=HEADS[head])
    pixels, known = batch()

    found = all_maps(model, pixels, known, "logit")

    np.testing.assert_allclose(found, reference(model, [pixels, known], "logit"), atol=1e-4)
    assert np.isfinite(found).mean() > 0.2


@pytest.mark.parametrize("score", ["probability", "log_probability"])
def test_log_odds_have_the_map_of_the_probability_and_of_its_logarithm(score):
    model, (pixels, known) = real_member(), batch()

    found = all_maps(model, pixels, known, "log_odds")

    np.testing.assert_allclose(found, reference(model, [pixels, known], score), atol=1e-3)
    assert np.isfinite(found).mean() > 0.2


def test_what_raises_all_logits_alike_is_in_the_map_of_the_logit_alone():
    """The answer is the same, so an explanation of the answer must be."""
    model, (pixels, known) = real_member(demographics=False), batch()
    layer = model.get_layer("logits")
    kernel, bias = layer.get_weights()
    before = {name: maps_of(model, pixels, known, [MEL] * 3, target=name) for name in TARGETS}
    answer = model([pixels]).numpy()

    shift = np.random.default_rng(0).normal(0, np.abs(kernel).mean(), (len(kernel), 1))
    layer.set_weights([kernel + shift, bias])

    np.testing.assert_allclose(model([pixels]).numpy(), answer, atol=1e-5)
    after = {name: maps_of(model, pixels, known, [MEL] * 3, target=name) for name in TARGETS}
    np.testing.assert_allclose(after["log_odds"].heat, before["log_odds"].heat, atol=1e-3)
    logit = np.nan_to_num(after["logit"].heat - before["logit"].heat, nan=1.0)
    assert np.abs(logit).max() > 0.1


def test_a_network_that_is_sure_still_has_a_map():
    """Its probability is 1 in float32, and the gradient of that and of its logarithm 0."""
    model = colour_network()
    layer = model.get_layer("logits")
    kernel, bias = layer.get_weights()
    layer.set_weights([100 * kernel, bias])
    image, known = spotted()
    image[0, BLUE] = 120

    assert model(image).numpy()[0, MEL] == 1
    (heat,) = maps_of(model, image, known, [MEL]).heat
    assert energy_inside(heat, RED) > 0.8


def test_efficientnet_is_taken_apart_without_a_change_of_its_answer():
    model = real_member(backbone="b0", width=1.0, demographics=False)
    pixels, known = batch()

    (logits,) = GradCam(model, views=1).look(pixels, known).logits

    np.testing.assert_allclose(logits, logits_model(model)([pixels]), atol=1e-3)
    found = all_maps(model, pixels, known, "logit")
    np.testing.assert_allclose(found, reference(model, [pixels], "logit"), atol=1e-3)


def test_demographics_reach_the_head():
    model, (pixels, known) = real_member(), batch()
    cam = GradCam(model, views=1)

    for vector in (known, np.zeros_like(known)):
        (logits,) = cam.look(pixels, vector).logits
        np.testing.assert_allclose(logits, logits_model(model)([pixels, vector]), atol=1e-5)


def test_views_are_laid_back_as_the_image_lies():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3)).astype(np.uint8)
    views = np.concatenate([np.asarray(view) for view in list_views(pixels)])

    for view in lay_back(views[..., 0], 8):
        np.testing.assert_array_equal(view, pixels[..., 0])


def test_eight_views_give_a_turned_image_the_turned_map():
    model = average_views(real_member(), 8)
    pixels, known = batch(1)

    label = model([pixels, known]).numpy().argmax(axis=1)  # a class that something speaks for

    (upright,) = maps_of(model, pixels, known, label, views=8).heat

    assert np.ptp(upright) > 0.1
    for turns in range(4):
        turned = np.ascontiguousarray(np.rot90(pixels, turns, axes=(1, 2)))
        (found,) = maps_of(model, turned, known, label, views=8).heat
        np.testing.assert_allclose(found, np.rot90(upright, turns), atol=1e-3)
    (single,) = maps_of(model, np.ascontiguousarray(pixels[:, ::-1]), known, label).heat
    # One view alone would not.
    assert np.abs(np.nan_to_num(single) - upright[::-1]).max() > 0.01


def test_networks_of_one_member_add_up():
    first, second = real_member(1), real_member(2)
    pixels, known = batch()

    joined = average_views(average_networks([first, second]), 8)

    assert len(list_networks(joined)) == 2
    same = average_networks([first, real_member(1)])
    found = maps_of(same, pixels, known, [MEL] * 3)
    np.testing.assert_allclose(found.heat, maps_of(first, pixels, known, [MEL] * 3).heat, atol=1e-4)
    other = maps_of(average_networks([first, second]), pixels, known, [MEL] * 3)
    assert np.nanmax(np.abs(other.heat - found.heat)) > 0.01


ANSWER = """
import sys
import numpy as np
from pipeline.network.grad_cam import GradCam
from pipeline.network.scored import load_scored
from tests.network.networks import small_member

folder, views = sys.argv[1], int(sys.argv[2])
recipe = small_member(backbone="small", input_px=64, batch_norm_momentum=0.0)
model = load_scored(recipe, [f"{folder}/m.weights.h5"], views=views)
with np.load(f"{folder}/batch.npz") as given:
    cam = GradCam(model, views=views)
    seen = cam.look(given["pixels"], given["known"])
maps = {
    f"{target}_{label}": cam.explain(seen, np.full(3, label), target=target).heat
    for target in ("log_odds", "logit")
    for label in range(9)
}
np.savez(f"{folder}/maps.npz", **maps)
"""


@pytest.mark.long
def test_jax_draws_the_same_maps(tmp_path):
    views, (pixels, known) = 8, batch()
    model = real_member()
    model.save_weights(tmp_path / "m.weights.h5")
    np.savez(tmp_path / "batch.npz", pixels=pixels, known=known)

    subprocess.run(
        [sys.executable, "-c", ANSWER, str(tmp_path), str(views)],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        check=True,
    )

    cam = GradCam(average_views(model, views), views=views)
    seen = cam.look(pixels, known)
    with np.load(tmp_path / "maps.npz") as maps:
        for name in maps.files:
            target, label = name.rsplit("_", 1)
            wanted = cam.explain(seen, np.full(3, int(label)), target=target).heat
            np.testing.assert_allclose(maps[name], wanted, atol=1e-3)


def spot_cases(count, seed):
    """Dim noise with one spot at any place, whose colour is the class: red, green or blue."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(20, 60, (count, SIDE_PX, SIDE_PX, 3)).astype(np.uint8)
    labels, regions = np.arange(count) % 3, np.zeros((count, SIDE_PX, SIDE_PX), bool)
    for image, region, label in zip(pixels, regions, labels, strict=True):
        top, left = rng.integers(4, SIDE_PX - 24, 2)
        region[top : top + 20, left : left + 20] = True
        image[region, label] = 230
    return pixels, labels, regions


@pytest.fixture(scope="module")
def trained():
    """A network of three convolutions, trained for seconds to name the spot's colour."""
    keras.utils.set_random_seed(4)
    pixels = keras.Input((SIDE_PX, SIDE_PX, 3))
    features = pixels
    for number, channels in enumerate((8, 12, 16)):
        layer = keras.layers.Conv2D(
            channels, 3, strides=2, padding="same", activation="relu", name=f"convolution_{number}"
        )
        features = layer(features)
    model = finish(pixels, features)
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    images, labels, _ = spot_cases(96, 0)
    model.fit(images, labels, batch_size=32, epochs=40, verbose=0)
    return model


def randomised(model, first):
    """A copy whose layers from `first` to the answer have weights drawn anew, as by Adebayo."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    keras.utils.set_random_seed(9)
    fresh = keras.models.clone_model(model)
    names = [layer.name for layer in fresh._flatten_layers() if layer.get_weights()]
    for layer, drawn in zip(copy._flatten_layers(), fresh._flatten_layers(), strict=True):
        if not isinstance(layer, keras.Model) and layer.name in names[names.index(first) :]:
            layer.set_weights(drawn.get_weights())
    return copy


def depends_on_weights(draw, model, first):
    """The check of Adebayo et al.: maps of the network and of random weights are unlike.

    A map that random weights leave undefined is unlike any.
    """
    pairs = zip(draw(model), draw(randomised(model, first)), strict=True)
    return np.nan_to_num([map_similarity(*pair) for pair in pairs]).mean() < 0.5


def test_a_trained_network_points_at_the_spot(trained):
    images, labels, regions = spot_cases(30, 1)

    found = maps_of(trained, images, np.zeros((30, 10)), labels)

    assert (trained(images).numpy().argmax(axis=1) == labels).mean() > 0.9
    hits = [pointing_hit(*pair) for pair in zip(found.heat, regions, strict=True)]
    assert found.is_defined.all()
    assert np.mean(hits) > 0.8  # by chance 0.06
    others = maps_of(trained, images, np.zeros((30, 10)), (labels + 1) % 3)
    energy = [
        np.nanmean([energy_inside(*pair) for pair in zip(one.heat, regions, strict=True)])
        for one in (found, others)
    ]
    assert energy[0] > 2 * energy[1]


@pytest.mark.parametrize("first", ["convolution_0", "convolution_2", "logits"])
def test_random_weights_destroy_the_map(trained, first):
    images, labels, _ = spot_cases(30, 1)

    def draw(model):
        return maps_of(model, images, np.zeros((30, 10)), labels).heat

    assert depends_on_weights(draw, trained, first)
    np.testing.assert_array_equal(draw(trained), draw(trained))


def test_a_map_of_the_image_alone_fails_the_randomisation_check(trained):
    """Planted: an edge detector, which looks like an explanation and knows no weight."""
    images, _, _ = spot_cases(10, 1)

    def draw(model):
        return np.abs(np.diff(images.astype(float).mean(axis=3), axis=1))

    assert not depends_on_weights(draw, trained, "convolution_0")


def test_what_cannot_be_explained_is_refused():
    small = build_member(small_member(input_px=32))
    cam = GradCam(colour_network(), views=1)

    with pytest.raises(ValueError, match=r"at least 2 x 2 cells\. Got: 1 x 1 of .* at 32 px\.$"):
        GradCam(small, views=1)
    with pytest.raises(ValueError, match=r"^views must be one of \[1, 8\]\. Got: 4\.$"):
        GradCam(small, views=4)
    with pytest.raises(ValueError, match=r"must hold a layer 'head_features'\. Got: none\.$"):
        GradCam(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="none"), views=1)
    with pytest.raises(ValueError, match=r"^target must be one of .* Got: 'score'\.$"):
        cam.explain(cam.look(*spotted()), np.array([MEL]), target="score")
