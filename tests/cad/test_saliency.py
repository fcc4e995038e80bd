"""Tests of `pipeline.cad.saliency`, on networks that see one known spot."""

import dataclasses

import numpy as np
import pytest

from pipeline.cad.saliency import (
    FILLS,
    SaliencyParams,
    fit_masks,
    hide,
    make_fills,
    occlude,
)
from pipeline.classes import CLASSES
from pipeline.images.heat_map import resize_map
from pipeline.scoring.bootstrap import draw_counts
from pipeline.scoring.deletion import (
    area_under,
    energy_inside,
    paired_gain,
    pointing_hit,
    random_like,
    removal_curves,
)

PARAMS = SaliencyParams(
    grid=8, span=2, edge_share=0.5, fill="blur", fill_share=0.2, least_drop=1e-3, batch_size=16
)
INPUTS = ((768, 40), (512, 56))
MAP_PX = 48
MEL, NV = CLASSES.index("MEL"), CLASSES.index("NV")
RADIUS = 0.1


def region(side_px, spot):
    """The pixels of a spot at `(row, column)` in coordinates of the crop."""
    at = (np.arange(side_px) + 0.5) / side_px
    return np.hypot(at[:, None] - spot[0], at[None, :] - spot[1]) < RADIUS


def draw(spots, seed=0):
    """Skin with bright spots, as each input shows it."""
    images = {}
    for crop_px, side_px in INPUTS:
        noise = np.random.default_rng([seed, side_px]).normal(0, 4, (side_px, side_px, 3))
        pixels = np.array([140, 110, 100]) + noise
        for spot in spots:
            pixels[region(side_px, spot)] += 80
        images[crop_px, side_px] = np.clip(pixels, 0, 255).astype(np.uint8)
    return images


def network(spot_of):
    """Two members, each with its own input, that see one spot a class and nothing else."""

    def score(batch):
        assert set(batch) == set(INPUTS)
        probabilities = np.zeros((len(batch[INPUTS[0]]), len(CLASSES)), np.float32)
        for label, spot in spot_of.items():
            for key, images in batch.items():
                seen = images[:, region(key[1], spot)].mean(axis=(1, 2))
                probabilities[:, label] += np.clip((seen - 110) / 110, 0, 1) / len(batch)
        return probabilities

    return score


def two_spots(count=10):
    """Images, each with a spot that makes it MEL and, across the middle, one that makes it NV."""
    rng = np.random.default_rng(5)
    for seed in range(count):
        spot = rng.uniform(0.15, 0.35, 2)
        yield draw([spot, 1 - spot], seed), network({MEL: spot, NV: 1 - spot}), spot


def test_the_map_lies_on_the_spot_that_decides():
    for images, score, spot in two_spots():
        found = occlude(images, score, "MEL", params=PARAMS, map_px=MAP_PX)

        near = region(MAP_PX, spot)
        assert found.is_defined and found.heat.max() == 1 and found.heat.min() >= 0
        assert pointing_hit(found.heat, near) > 0.5
        assert energy_inside(found.heat, near) > 5 * near.mean()


def test_the_drop_is_what_hiding_the_spot_takes_away():
    (images, score, spot), *_ = two_spots()

    found = occlude(images, score, "MEL", params=PARAMS, map_px=MAP_PX)

    everything = {key: np.ones((1, key[1], key[1])) for key in images}
    hidden = score(hide(images, make_fills(images, PARAMS), everything))[0, MEL]
    assert found.score == pytest.approx(score({k: v[None] for k, v in images.items()})[0, MEL])
    assert found.drops.max() == pytest.approx(found.score - hidden, rel=0.35)
    assert np.unravel_index(found.drops.argmax(), found.drops.shape) == pytest.approx(
        spot * PARAMS.grid, abs=1.01
    )


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(("grid", "span"), [(4, 1), (8, 1), (9, 3)])
def test_any_grid_and_fill_finds_the_spot(fill, grid, span):
    (images, score, spot), *_ = two_spots()
    params = dataclasses.replace(PARAMS, grid=grid, span=span, fill=fill)

    found = occlude(images, score, "MEL", params=params, map_px=MAP_PX)

    assert energy_inside(found.heat, region(MAP_PX, spot)) > 2 * region(MAP_PX, spot).mean()
    assert found.drops.shape == (params.positions, params.positions)


def hidden_score(images, score, label):
    """Score one class under masks of the map's size."""
    fills = make_fills(images, PARAMS)
    return lambda masks: score(hide(images, fills, fit_masks(masks, images)))[:, label]


def mixed_up(heat):
    return np.random.default_rng(1).permuted(heat, axis=None).reshape(heat.shape)


def check(change):
    """What the explanation is accepted by: better than random maps, and on the spot."""
    rng, hits, rows = np.random.default_rng(0), [], []
    for images, score, spot in two_spots():
        maps = {
            label: occlude(images, score, label, params=PARAMS, map_px=MAP_PX).heat
            for label in ("MEL", "NV")
        }
        heat = change(maps)
        hits.append(pointing_hit(heat, region(MAP_PX, spot)))
        scored = hidden_score(images, score, MEL)
        control = random_like(np.where(np.isfinite(heat), heat, 0), rng)
        own, other = (removal_curves(one, scored, steps=12) for one in (heat, control))
        rows.append([area_under(c) for c in (own.deletion, own.insertion)])
        rows[-1] += [area_under(c) for c in (other.deletion, other.insertion)]
    deleted, inserted, control_deleted, control_inserted = np.transpose(rows)
    counts = draw_counts(np.arange(len(rows)), repeats=300, seed=0)
    by_deletion = paired_gain(control_deleted, deleted, counts=counts, interval=0.95)
    by_insertion = paired_gain(inserted, control_inserted, counts=counts, interval=0.95)
    lows = (by_deletion.gain.low, by_insertion.gain.low)
    return all(low is not None and low > 0 for low in lows) and np.mean(hits) > 0.5


def test_occlusion_beats_random_maps_of_its_smoothness():
    assert check(lambda maps: maps["MEL"])


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda maps: maps["MEL"][:, ::-1], id="flipped left to right"),
        pytest.param(lambda maps: maps["NV"], id="of another class"),
        pytest.param(lambda maps: np.full((MAP_PX, MAP_PX), 0.5), id="constant"),
        pytest.param(lambda maps: mixed_up(maps["MEL"]), id="shuffled"),
        pytest.param(lambda maps: np.full((MAP_PX, MAP_PX), np.nan), id="undefined"),
    ],
)
def test_a_planted_fault_is_caught(fault):
    assert not check(fault)


def test_all_inputs_lose_the_same_part_of_the_lesion():
    """Patches in pixels of one input would cut elsewhere from the other."""
    seen = []

    def remember(batch):
        seen.append({key: images.astype(float) for key, images in batch.items()})
        return np.zeros((len(batch[INPUTS[0]]), 9))

    plain = {key: np.full((key[1], key[1], 3), 200, np.uint8) for key in INPUTS}
    for image in plain.values():
        image[: len(image) // 10] = 0  # a frame that the fill takes its colour from
    params = dataclasses.replace(PARAMS, fill="blur", fill_share=0.4)
    occlude(plain, remember, "MEL", params=params, map_px=MAP_PX)

    for batch in seen:
        small, large = (
            np.stack([resize_map(one.mean(axis=2), (20, 20)) for one in batch[key]])
            for key in INPUTS
        )
        assert np.abs(small - large).mean() < 3
    assert len(seen) == -(-params.runs // params.batch_size)


def test_patches_of_one_cell_add_up_to_the_whole(monkeypatch):
    params = dataclasses.replace(PARAMS, span=1, grid=5, batch_size=100)
    black = {(768, 37): np.zeros((37, 37, 3), np.uint8)}
    hidden = []

    def remember(batch):
        hidden.append(batch[768, 37].astype(float))
        return np.zeros((len(batch[768, 37]), 9))

    monkeypatch.setitem(FILLS, "white", lambda image, share: np.full_like(image, 255))
    occlude(black, remember, "MEL", params=dataclasses.replace(params, fill="white"), map_px=9)

    (whole, *patches) = hidden[0]
    assert not whole.any()
    assert len(patches) == 25
    np.testing.assert_allclose(np.sum(patches, axis=0), 255, atol=2)
    assert ((patches[12] > 20) & (patches[12] < 235)).any()  # a soft edge


def test_runs_are_counted_and_the_batch_changes_nothing():
    (images, score, _), *_ = two_spots()
    rows = []

    def counted(batch):
        rows.append(len(batch[INPUTS[0]]))
        return score(batch)

    found = [
        occlude(
            images,
            counted,
            "MEL",
            params=dataclasses.replace(PARAMS, batch_size=size),
            map_px=MAP_PX,
        )
        for size in (7, 82)
    ]

    assert PARAMS.runs == 1 + 9 * 9
    assert rows == [7] * 11 + [5] + [82]
    np.testing.assert_array_equal(found[0].heat, found[1].heat)


def test_a_spot_that_speaks_against_a_class_lowers_no_score():
    (images, score, _), *_ = two_spots()

    def against(batch):
        return 1 - score(batch)

    found = occlude(images, against, "MEL", params=PARAMS, map_px=MAP_PX)

    assert found.drops.min() < -0.1
    assert not found.is_defined
    assert np.isnan(found.heat).all()


def test_rounding_of_the_runtime_is_no_map():
    """Planted: a network that ignores the image, and answers a little otherwise by the row."""
    (images, _, _), *_ = two_spots()
    rng = np.random.default_rng(0)

    found = occlude(
        images,
        lambda batch: 0.3 + rng.normal(0, 1e-6, (len(batch[INPUTS[0]]), 9)),
        "MEL",
        params=PARAMS,
        map_px=MAP_PX,
    )

    assert not found.is_defined
    assert found.score == pytest.approx(0.3, abs=1e-4)


def test_scores_that_are_no_numbers_make_no_map():
    (images, _, _), *_ = two_spots()

    found = occlude(
        images,
        lambda batch: np.full((len(batch[INPUTS[0]]), 9), np.nan),
        "MEL",
        params=PARAMS,
        map_px=MAP_PX,
    )

    assert not found.is_defined


def test_skin_is_the_colour_of_the_frame_and_takes_the_lesion_away():
    image = np.full((50, 50, 3), (210, 170, 150), np.uint8)
    image[10:40, 10:40] = 40
    image[0, :7] = 255  # a reflection on the frame

    filled = FILLS["skin"](image, 0.1)

    assert filled.shape == image.shape
    assert (filled == (210, 170, 150)).all()


def test_blur_keeps_the_colour_and_takes_the_detail_away():
    board = np.repeat((np.indices((64, 64)).sum(axis=0) % 2 * 200)[..., None], 3, axis=2)

    blurred = FILLS["blur"](board.astype(np.uint8), 0.05)

    assert np.ptp(blurred[16:48, 16:48]) <= 4
    assert blurred.mean() == pytest.approx(100, abs=2)


def test_masks_of_any_size_hide_the_same_part_of_each_input():
    images = draw([(0.5, 0.5)])
    mask = np.zeros((1, 10, 10), np.float32)
    mask[0, :5] = 1

    hidden = hide(images, {k: np.zeros_like(v) for k, v in images.items()}, fit_masks(mask, images))

    for (_, side_px), (one,) in hidden.items():
        assert not one[: side_px * 2 // 5].any()
        np.testing.assert_array_equal(one[-side_px // 3 :], images[_, side_px][-side_px // 3 :])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": 1}, r"^grid must be at least 2\. Got: 1\.$"),
        ({"span": 8}, r"^span must be from 1 to grid - 1\. Got: 8\.$"),
        ({"edge_share": 0.0}, r"^edge_share must be in \(0, 1\]\. Got: 0\.0\.$"),
        ({"least_drop": float("nan")}, r"^least_drop must be in \(0, 1\]\. Got: nan\.$"),
        ({"fill": "grey"}, r"^fill must be one of \['blur', 'skin'\]\. Got: 'grey'\.$"),
        ({"fill_share": 0.5}, r"^fill_share must be in \(0, 0\.5\)\. Got: 0\.5\.$"),
        ({"batch_size": 0}, r"^batch_size must be at least 1\. Got: 0\.$"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(PARAMS, **changes)


def test_an_unknown_class_is_refused():
    with pytest.raises(ValueError, match=r"^label must be one of \['MEL', .* Got: 'melanoma'\.$"):
        occlude(draw([]), network({}), "melanoma", params=PARAMS, map_px=MAP_PX)
