"""Tests of `pipeline.network.maps_job`."""

import numpy as np
import pytest

from pipeline.network.maps_job import MapsError, MemberMaps, refuse_other_scores

IDS = ("a", "b", "c")
SCORES = np.random.default_rng(0).dirichlet(np.ones(9), 3).astype(np.float32)


def maps(scores):
    return MemberMaps("b4", (2, 2), np.zeros((1, 3, 4, 4), np.float32), scores)


def test_scores_that_differ_by_rounding_pass():
    refuse_other_scores(maps(SCORES + 1e-4), IDS, SCORES)


@pytest.mark.parametrize("scores", [SCORES[[0, 2, 1]], np.where([[0], [1], [1]], np.nan, SCORES)])
def test_planted_other_images_are_named(scores):
    with pytest.raises(MapsError, match=r"^maps of b4 .* 2 of 3 images, first \['b', 'c'\]"):
        refuse_other_scores(maps(scores), IDS, SCORES)
