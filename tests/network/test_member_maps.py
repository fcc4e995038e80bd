"""Tests of `pipeline.network.member_maps`: of the right member, class and image, as they lie."""

import dataclasses

import numpy as np
import pytest

from pipeline.classes import CLASSES
from pipeline.images.heat_map import resize_map
from pipeline.network.compiled import make_predictor
from pipeline.network.grad_cam import GradCam
from pipeline.network.maps_job import MapsError, MapsJob, refuse_other_scores
from pipeline.network.member_maps import draw_maps
from pipeline.network.scored import load_scored
from tests.network.networks import small_member

pytestmark = pytest.mark.slow

SIDE_PX, MAP_PX, COUNT = 64, 32, 5
MEMBER = small_member(backbone="small", input_px=SIDE_PX, batch_norm_momentum=0.0)
CLASSES_ASKED = np.array([[0, 1, 2, 3, 4], [5, 6, 7, 8, 0]])


def batch(count, seed=0):
    rng = np.random.default_rng(seed)
    few = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return few.repeat(8, axis=1).repeat(8, axis=2), rng.random((count, 10)).astype(np.float32)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Two untrained networks whose answers depend on the image."""
    import keras

    from pipeline.network.members import build_member

    folder, paths = tmp_path_factory.mktemp("weights"), []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        model = build_member(MEMBER)
        model(list(batch(16)), training=True)
        # A new head says nearly the same of every image.
        head = model.get_layer("logits")
        head.kernel.assign(20 * head.kernel)
        paths.append(folder / f"{seed}.weights.h5")
        model.save_weights(paths[-1])
    return paths


@pytest.fixture(scope="module")
def jobs(weights):
    """A job for each of the two as a member of its own."""
    pixels, known = batch(COUNT, seed=3)
    return [
        MapsJob(
            name=name,
            member=MEMBER,
            weights=(path,),
            views=1,
            image_ids=tuple(f"case{n}" for n in range(COUNT)),
            pixels=pixels,
            known=known,
            classes=CLASSES_ASKED,
            target="log_odds",
            map_px=MAP_PX,
            batch_size=2,
        )
        for name, path in zip(("m1", "m2"), weights, strict=True)
    ]


def direct(job, row):
    """Maps of one class a case, without a job and all at once."""
    cam = GradCam(load_scored(job.member, job.weights, views=job.views), views=job.views)
    heat = cam.explain(cam.look(job.pixels, job.known), job.classes[row], target="log_odds").heat
    fitted = np.stack([resize_map(part, (MAP_PX, MAP_PX)) for part in heat])
    return fitted / fitted.max(axis=(1, 2), keepdims=True)


def scores(job):
    return make_predictor(load_scored(job.member, job.weights, views=job.views))(
        job.pixels, job.known
    )


def are_same(found, wanted):
    return np.allclose(found, wanted, atol=1e-3, equal_nan=True)


def test_maps_are_those_of_the_member_and_the_classes_whatever_the_batches(jobs):
    found = draw_maps(jobs[0])

    assert found.heat.shape == (2, COUNT, MAP_PX, MAP_PX) and min(found.cells) >= 2
    for row in (0, 1):
        assert are_same(found.heat[row], direct(jobs[0], row))
    np.testing.assert_allclose(found.probabilities, scores(jobs[0]), atol=1e-4)
    refuse_other_scores(found, jobs[0].image_ids, scores(jobs[0]))


@pytest.mark.parametrize("fault", ["flipped", "member", "image"])
def test_planted_maps_of_something_else_are_refused_by_their_scores(jobs, fault):
    job, own = jobs[0], scores(jobs[0])
    changes = {
        "flipped": {"pixels": job.pixels[:, :, ::-1]},
        "member": {"weights": jobs[1].weights},
        "image": {"pixels": job.pixels[::-1].copy()},
    }
    found = draw_maps(dataclasses.replace(job, **changes[fault]))

    assert not are_same(found.heat[0], direct(job, 0))
    with pytest.raises(MapsError, match=r"^maps of m1 must come from networks and images"):
        refuse_other_scores(found, job.image_ids, own)


def test_planted_maps_of_another_class_are_other_maps(jobs):
    found = draw_maps(dataclasses.replace(jobs[0], classes=CLASSES_ASKED[::-1].copy()))

    assert not are_same(found.heat[0], direct(jobs[0], 0))
    assert are_same(found.heat[1], direct(jobs[0], 0))


@pytest.mark.parametrize(("networks", "views"), [(2, 1), (1, 8), (2, 8)])
def test_scores_of_networks_and_views_are_averaged_as_where_they_are_deployed(
    jobs, weights, networks, views
):
    job = dataclasses.replace(jobs[0], weights=tuple(weights[:networks]), views=views)

    found = draw_maps(job)

    np.testing.assert_allclose(found.probabilities, scores(job), atol=1e-4)
    assert found.probabilities.shape == (COUNT, len(CLASSES))
