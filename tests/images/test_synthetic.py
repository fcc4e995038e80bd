"""Tests of `pipeline.images.synthetic`: what an image holds, and what must not give it away."""

import numpy as np
import pytest
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.classes import CLASSES
from pipeline.images.copies import encode_jpeg
from pipeline.images.synthetic import SKIN_TONES, render

COUNT = 306
SIZE_PX = (240, 320)  # the working grid's own: grain and artefacts are drawn, at less cost


def draw(label="NV", seed=1, view=0, skin_type=2):
    return render(label, seed, *SIZE_PX, view=view, skin_type=skin_type)


def auroc(features, labels, model):
    """Macro one-vs-rest AUROC on the third of the images that was not trained on."""
    held_out = np.arange(len(labels)) % 27 >= 18  # the classes take turns, so all are in both
    model = make_pipeline(StandardScaler(), model).fit(features[~held_out], labels[~held_out])
    scores = model.predict_proba(features[held_out])
    return roc_auc_score(labels[held_out], scores, multi_class="ovr")


def mean_colour_auroc(images, labels):
    return auroc(images.mean(axis=(1, 2)), labels, LogisticRegression(max_iter=1000))


def shrink(image, side_px):
    """The centred square of an image, made small as a network's input."""
    height, width = image.shape[:2]
    left = (width - height) // 2
    square = Image.fromarray(image[:, left : left + height])
    return np.asarray(square.resize((side_px, side_px), Image.Resampling.BICUBIC), np.float32)


def ring_profile(image):
    """Mean and spread of each colour in rings about the middle: ignores how a lesion is turned."""
    side = len(image)
    rows, columns = np.indices((side, side)) - (side - 1) / 2
    ring = np.minimum(np.hypot(rows, columns) // (side / 16), 7).astype(int)
    colours = image - image.mean(axis=(0, 1))
    rings = [colours[ring == k] for k in range(8)]
    return np.concatenate([[part.mean(axis=0), part.std(axis=0)] for part in rings], axis=None)


@pytest.fixture(scope="module")
def labels():
    return np.arange(COUNT) % len(CLASSES)


@pytest.fixture(scope="module")
def images(labels):
    skin_types = np.random.default_rng(8).integers(1, 7, COUNT)
    return np.array(
        [
            draw(CLASSES[label], seed=3000 + k, skin_type=int(skin_type))
            for k, (label, skin_type) in enumerate(zip(labels, skin_types, strict=True))
        ]
    )


@pytest.mark.parametrize("size_px", [(240, 320), (450, 600), (97, 64)])
def test_an_image_has_the_size_that_was_asked_for(size_px):
    image = render("MEL", 5, *size_px, view=0, skin_type=3)

    assert image.shape == (*size_px, 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("label", CLASSES)
def test_the_same_seed_and_view_give_the_same_pixels(label):
    np.testing.assert_array_equal(draw(label), draw(label))


def test_another_view_or_seed_gives_another_image():
    first = draw()

    assert not np.array_equal(first, draw(view=1))
    assert not np.array_equal(first, draw(seed=2))


@pytest.mark.parametrize("label", CLASSES)
def test_skin_and_camera_do_not_depend_on_the_class(label):
    """Where no lesion reaches, two classes of one seed and view agree to the last bit."""
    this, other = draw(label, seed=11, view=3), draw("UNK", seed=11, view=3)

    for rows in (slice(0, 12), slice(-12, None)):
        for columns in (slice(0, 40), slice(-40, None)):
            np.testing.assert_array_equal(this[rows, columns], other[rows, columns])


def test_the_middle_shows_the_class():
    middle = (slice(80, 160), slice(120, 200))

    assert not np.array_equal(draw("NV")[middle], draw("UNK")[middle])


def test_skin_grows_darker_over_the_skin_types():
    brightness = [
        np.mean([draw("UNK", seed, skin_type=tone)[:20].mean() for seed in range(3)])
        for tone in range(1, len(SKIN_TONES) + 1)
    ]

    assert brightness == sorted(brightness, reverse=True)
    assert brightness[0] > 1.5 * brightness[-1]


def test_unknown_class_is_refused():
    with pytest.raises(ValueError, match=r"^label must be one of \['MEL', .*\]\. Got: 'XYZ'\.$"):
        draw("XYZ")


@pytest.mark.parametrize("skin_type", [0, 7])
def test_unknown_skin_type_is_refused(skin_type):
    with pytest.raises(ValueError, match=r"^skin_type must be from 1 to 6\. Got: "):
        draw(skin_type=skin_type)


@pytest.mark.slow
def test_mean_colour_does_not_tell_the_classes(images, labels):
    assert mean_colour_auroc(images, labels) < 0.75


@pytest.mark.slow
def test_mean_colour_would_tell_classes_that_are_tinted(images, labels):
    """The check above can fail: a tint of each class is found."""
    tints = 40 * np.array([[k % 3 - 1, k // 3 - 1, (k % 2) - 0.5] for k in range(len(CLASSES))])
    tinted = np.clip(images + tints[labels][:, None, None], 0, 255)

    assert mean_colour_auroc(tinted, labels) > 0.75


@pytest.mark.slow
def test_size_of_the_file_does_not_tell_the_classes(images, labels):
    sizes = np.array([[np.log(len(encode_jpeg(image, 90)))] for image in images])

    assert auroc(sizes, labels, LogisticRegression()) < 0.65


@pytest.mark.slow
@pytest.mark.parametrize("side_px", [64, 80])
def test_structures_survive_shrinking(images, labels, side_px):
    """A forest on rings of colour, its mean removed, is far from a network and does it already."""
    profiles = np.array([ring_profile(shrink(image, side_px)) for image in images])

    assert auroc(profiles, labels, RandomForestClassifier(300, random_state=0)) > 0.95


@pytest.mark.slow
def test_structures_that_are_too_fine_would_not_survive(images, labels):
    """The check above can fail: after shrinking to 2 pixels there is nothing left to tell."""
    shrunk = [np.kron(shrink(image, 2), np.ones((32, 32, 1))) for image in images]
    profiles = np.array([ring_profile(image) for image in shrunk])

    assert auroc(profiles, labels, RandomForestClassifier(300, random_state=0)) < 0.7


@pytest.mark.slow
def test_about_a_fifth_of_the_images_have_a_dark_surround(images):
    corners = images[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean(axis=2).max(axis=1)

    assert 0.12 < np.mean(corners < 30) < 0.28
