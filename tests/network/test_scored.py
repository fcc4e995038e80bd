"""Tests of `pipeline.network.scored`, on the smallest backbone."""

import numpy as np
import pytest

from pipeline.network.scored import average_networks, load_scored
from tests.network.networks import SIZE_PX, build_lively, small_member

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[True, False], ids=["demographics", "pixels alone"])
def networks(request):
    """Three networks of one member, as of three folds."""
    return [build_lively(seed, demographics=request.param) for seed in (1, 2, 3)]


def inputs_of(model, count=4):
    rng = np.random.default_rng(count)
    pixels = rng.integers(0, 256, (count, SIZE_PX, SIZE_PX, 3)).astype(np.uint8)
    return [pixels, rng.random((count, 10)).astype(np.float32)][: len(model.inputs)]


def test_networks_joined_give_the_mean_of_their_probabilities(networks):
    inputs = inputs_of(networks[0])

    joined = average_networks(networks)

    each = [np.asarray(network(inputs)) for network in networks]
    np.testing.assert_allclose(np.asarray(joined(inputs)), np.mean(each, axis=0), atol=1e-6)
    assert np.ptp(each, axis=0).max() > 1e-2  # else one network alone would pass
    assert joined.count_params() == sum(network.count_params() for network in networks)
    assert [(t.name, t.dtype) for t in joined.inputs] == [
        (t.name, t.dtype) for t in networks[0].inputs
    ]


def test_one_network_is_itself_and_none_is_refused(networks):
    assert average_networks(networks[:1]) is networks[0]
    with pytest.raises(
        ValueError, match=r"^a member must have at least one network\. Got: none\.$"
    ):
        average_networks([])


def test_each_network_is_loaded_from_its_own_file_and_sees_all_views(networks, tmp_path):
    recipe = small_member(demographics=len(networks[0].inputs) == 2)
    paths = [tmp_path / f"m-{fold}.weights.h5" for fold in range(3)]
    for network, path in zip(networks, paths, strict=True):
        network.save_weights(path)
    pixels, *known = inputs_of(networks[0])

    found = np.asarray(load_scored(recipe, paths, views=8)([pixels, *known]))

    views = [
        np.ascontiguousarray(np.rot90(image, quarters, axes=(1, 2)))
        for image in (pixels, pixels[:, :, ::-1])
        for quarters in range(4)
    ]
    each = [np.asarray(network([view, *known])) for network in networks for view in views]
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-6)
