"""Tests of `pipeline.network.views` and of how stages load a member, on the smallest backbone."""

import numpy as np
import pytest

from pipeline.network.scored import load_scored
from pipeline.network.views import average_views
from tests.network.networks import SIZE_PX, build_lively, small_member

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[True, False], ids=["demographics", "pixels alone"])
def member(request):
    """A network whose answers differ between views."""
    return build_lively(1, demographics=request.param)


def inputs_of(model, count=4):
    rng = np.random.default_rng(count)
    pixels = rng.integers(0, 256, (count, SIZE_PX, SIZE_PX, 3)).astype(np.uint8)
    return [pixels, rng.random((count, 10)).astype(np.float32)][: len(model.inputs)]


def turned(pixels):
    """The eight views, by NumPy's own turns and flips."""
    for flipped in (pixels, pixels[:, :, ::-1]):
        for quarters in range(4):
            yield np.rot90(flipped, quarters, axes=(1, 2))


def answer(model, inputs):
    return np.asarray(model([np.ascontiguousarray(part) for part in inputs]))


def test_eight_views_are_the_mean_of_the_network_on_turns_and_flips(member):
    pixels, *known = inputs_of(member)

    found = answer(average_views(member, 8), [pixels, *known])

    each = [answer(member, [view, *known]) for view in turned(pixels)]
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-6)
    assert found.dtype == np.float32
    assert np.ptp(each, axis=0).max() > 1e-3  # else any of the views alone would pass


def test_an_image_and_its_views_have_one_answer(member):
    pixels, *known = inputs_of(member)
    model = average_views(member, 8)

    first = answer(model, [pixels, *known])

    for view in turned(pixels):
        np.testing.assert_allclose(answer(model, [view, *known]), first, atol=1e-6)


def test_each_case_keeps_its_own_demographics():
    """Planted: vectors repeated in another order than the views would belong to other images."""
    member = build_lively(1)
    model, inputs = average_views(member, 8), inputs_of(member)

    whole = answer(model, inputs)

    for row in range(len(whole)):
        alone = answer(model, [part[row : row + 1] for part in inputs])
        np.testing.assert_allclose(alone[0], whole[row], atol=1e-6)


def test_one_view_is_the_network_itself(member):
    assert average_views(member, 1) is member


@pytest.mark.parametrize("views", [0, 2, 4, -8, None])
def test_a_number_without_a_set_of_views_is_refused(member, views):
    with pytest.raises(ValueError, match=rf"^views must be one of \[1, 8\]\. Got: {views}\.$"):
        average_views(member, views)


def test_views_add_no_weight_and_what_was_trained_is_loaded(member, tmp_path):
    recipe = small_member(demographics=len(member.inputs) == 2)
    member.save_weights(tmp_path / "m.weights.h5")

    loaded = load_scored(recipe, [tmp_path / "m.weights.h5"], views=8)

    assert loaded.count_params() == member.count_params()
    inputs = inputs_of(member)
    np.testing.assert_array_equal(answer(loaded, inputs), answer(average_views(member, 8), inputs))
