"""Tests of `pipeline.cases.charts`: each is a picture, the same for the same cases."""

import numpy as np
import pytest
from PIL import Image

from pipeline.cases import charts
from pipeline.classes import CLASSES
from tests.cases.tables import make_manifest

pytestmark = pytest.mark.slow

DRAWN = pytest.mark.parametrize(
    "draw", [charts.draw_classes, charts.draw_ages, charts.draw_sites, charts.draw_sizes]
)


def make_cases(classes):
    rng = np.random.default_rng(len(classes))
    return make_manifest(
        *(
            {
                "source": f"source_{n % 2}",
                "diagnosis": classes[n % len(classes)],
                "age_years": float(5 * rng.integers(0, 18)) if n % 5 else np.nan,
                "sex": ("female", "male", "")[n % 3],
                "site": ("torso", "head_neck", "")[n % 3],
                "width_px": 600 + 200 * (n % 4),
            }
            for n in range(60)
        )
    )


def ink(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return (np.asarray(image.convert("L")) < 200).mean()


@DRAWN
def test_a_chart_shows_something_and_is_the_same_each_time(tmp_path, draw):
    cases = make_cases(CLASSES)

    draw(cases, tmp_path / "one.png")
    draw(cases, tmp_path / "two.png")

    assert 0.005 < ink(tmp_path / "one.png") < 0.6
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


@pytest.mark.parametrize("draw", [charts.draw_classes, charts.draw_ages, charts.draw_sites])
def test_a_chart_of_one_class_differs_from_one_of_nine(tmp_path, draw):
    draw(make_cases(("MEL",)), tmp_path / "one.png")
    draw(make_cases(CLASSES), tmp_path / "nine.png")

    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "nine.png").read_bytes()
