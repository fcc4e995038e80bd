"""Tests of `pipeline.cases.overview`: the counts of the data report."""

import numpy as np
import pytest

from pipeline.cases import overview
from tests.cases.tables import make_manifest

ACCOUNTS = {
    "b": {
        "rows_in": 5,
        "quarantined": 2,
        "kept": 3,
        "files_without_row": 1,
        "reasons": {"no image": 1, "wrong age": 1},
    },
    "a": {
        "rows_in": 2,
        "quarantined": 1,
        "kept": 1,
        "files_without_row": 0,
        "reasons": {"no image": 1},
    },
}


def make_cases():
    """Two cases of source b (a third was repeated) and one of a."""
    common = {"width_px": 600, "height_px": 450}
    cases = make_manifest(
        {"image_id": "1", "source": "a", "diagnosis": "MEL", "sex": "female", **common},
        {"image_id": "2", "source": "b", "diagnosis": "NV", "patient_id": "P", **common},
        {"image_id": "3", "source": "b", "diagnosis": "NV", "patient_id": "P", **common}
        | {"width_px": 1024, "height_px": 768, "age_years": 40.0},
    )
    return cases.assign(group_id=["1", "2", "2"], fold="0")


def test_rows_are_followed_from_table_to_crop():
    table = overview.count_steps(ACCOUNTS, make_cases(), cropped=3)

    assert list(table.index) == ["a", "b", "all"]
    assert table.loc["b"].to_dict() == {
        "rows_in": 5,
        "quarantined": 2,
        "kept": 3,
        "repeated": 1,
        "cases": 2,
        "files_without_row": 1,
    }
    assert table.loc["all", ["rows_in", "quarantined", "kept", "repeated", "cases"]].tolist() == [
        *(7, 3, 4, 1, 3)
    ]


@pytest.mark.parametrize(
    ("change", "cropped"),
    [({"rows_in": 6}, 3), ({"kept": 1, "quarantined": 4}, 3), ({}, 2)],
    ids=["a lost row", "a case from nowhere", "a crop that is missing"],
)
def test_steps_that_do_not_add_up_are_refused(change, cropped):
    accounts = ACCOUNTS | {"b": ACCOUNTS["b"] | change}

    with pytest.raises(ValueError, match="must"):
        overview.count_steps(accounts, make_cases(), cropped)


def test_reasons_are_counted_by_source():
    table = overview.count_reasons(ACCOUNTS)

    assert table.loc["no image"].to_dict() == {"a": 1, "b": 1, "all": 2}
    assert table.loc["wrong age"].to_dict() == {"a": 0, "b": 1, "all": 1}


def test_all_nine_classes_are_counted_also_absent_ones():
    table = overview.count_classes(make_cases(), "source")

    assert len(table) == 9 + 1
    assert table.loc["NV"].to_dict() == {"a": 0, "b": 2, "all": 2}
    assert table.loc["DF"].to_dict() == {"a": 0, "b": 0, "all": 0}
    assert table.loc["all", "all"] == 3


def test_missing_values_are_shares_of_the_source():
    table = overview.share_missing(make_cases())

    assert table.loc["a", "sex"] == 0
    assert table.loc["b", "sex"] == 1
    assert table.loc["b", "age_years"] == 0.5
    assert table.loc["all", "patient_id"] == pytest.approx(1 / 3)


def test_words_are_counted_with_missing_ones_named():
    table = overview.count_words(make_cases(), "sex")

    assert table.loc["missing"].to_dict() == {"a": 0, "b": 2, "all": 2}
    assert list(table.index) == ["missing", "female"]


def test_images_of_a_patient_are_counted_and_unknown_patients_are_not_one():
    table = overview.describe_groups(make_cases())

    assert table.loc[("b", "patient_id")].tolist() == [2, 1, 2, 2]
    assert table.loc[("a", "patient_id"), "known"] == 0
    assert np.isnan(table.loc[("a", "patient_id"), "most_images"])


def test_sizes_come_with_the_melanomas_among_them():
    table = overview.count_sizes(make_cases())

    assert table.loc["600 × 450"].tolist() == [2, pytest.approx(2 / 3), 0.5]
    assert table.loc["1024 × 768", "melanoma_share"] == 0


def test_rare_sizes_are_put_together():
    rows = [
        {"image_id": str(n), "source": "a", "diagnosis": "NV", "width_px": 100 + n // 2}
        for n in range(2 * overview.LARGEST_SIZES + 1)
    ]

    table = overview.count_sizes(make_manifest(*rows))

    assert len(table) == overview.LARGEST_SIZES + 1
    assert table.loc["other sizes", "images"] == 1
