"""Tests of `pipeline.cases.split`."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cases.duplicates import find_duplicates
from pipeline.cases.split import (
    SplitError,
    SplitParams,
    join_sources,
    name_components,
    read_parts,
    split,
)
from pipeline.classes import CLASSES
from pipeline.storage import sha256_of
from tests.cases.tables import make_manifest, write_csv

NO_PAIRS = np.empty((0, 2), np.int64)


def make_params(**changes):
    usual = {
        "seed": 7,
        "test_share": 0.2,
        "calibration_share": 0.0,
        "folds": 3,
        "train_folds": (0,),
        "near_duplicate_bits": 24,
        "keep": "",
        "keep_sha256": "",
        "too_good_auroc": 0.995,
        "too_good_cases": 10,
    }
    return SplitParams(**usual | changes)


def split_all(*frames, **changes):
    params = make_params(**changes)
    frame = join_sources(frames)
    pairs = find_duplicates(frame, params.near_duplicate_bits)
    return split(frame, pairs, params, read_parts(params))


def write_earlier(path, parts):
    """Write what `keep` names; return the two parameters."""
    lines = [f"{image_id},{fold}" for image_id, fold in parts.items()]
    write_csv(path, "image_id,fold", *lines)
    return {"keep": str(path), "keep_sha256": sha256_of(path)}


def single_lesions(counts):
    """One image per lesion, `counts` by class."""
    return make_manifest(
        *(
            {"image_id": f"{name}_{n:04d}", "lesion_id": f"{name}_{n}", "diagnosis": name}
            for name, count in counts.items()
            for n in range(count)
        )
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_share": 0.0}, r"^test_share must be between 0 and 1\. Got: 0\.0\.$"),
        ({"test_share": 1.0}, r"^test_share must be between 0 and 1\. Got: 1\.0\.$"),
        ({"calibration_share": -0.1}, r"^calibration_share must be at least 0 .* Got: -0\.1\.$"),
        ({"calibration_share": 0.8}, r"^calibration_share must .* leave some .* Got: 0\.8\.$"),
        ({"folds": 1}, r"^folds must be at least 2\. Got: 1\.$"),
        ({"train_folds": (0, 3)}, r"^train_folds must be some of 0 to 2\. Got: \[0, 3\]\.$"),
        ({"train_folds": ()}, r"^train_folds must be some of 0 to 2\. Got: \[\]\.$"),
        ({"train_folds": (1, 1)}, r"^train_folds must differ\. Got: \[1, 1\]\.$"),
        ({"near_duplicate_bits": 65}, r"^near_duplicate_bits must be from 0 to 64\. Got: 65\.$"),
        ({"too_good_auroc": 0.5}, r"^too_good_auroc must be above 0\.5\. Got: 0\.5\.$"),
        ({"too_good_cases": 0}, r"^too_good_cases must be at least 1\. Got: 0\.$"),
        ({"near_duplicate_bits": -1}, r"^near_duplicate_bits must be from 0 to 64\. Got: -1\.$"),
    ],
)
def test_impossible_parameters_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_params(**changes)


def test_patients_lesions_and_duplicates_link_across_one_another():
    frame = join_sources(
        [
            make_manifest(
                {"image_id": "a", "patient_id": "P1"},
                {"image_id": "b", "patient_id": "P1", "lesion_id": "L1"},
                {"image_id": "c", "lesion_id": "L1"},
                {"image_id": "d"},
                {"image_id": "e", "patient_id": "P2"},
            )
        ]
    )

    groups = name_components(frame, np.array([[2, 3]]))

    assert groups.tolist() == ["a", "a", "a", "a", "e"]


def test_missing_identifiers_link_nothing():
    frame = join_sources([make_manifest({"image_id": "a"}, {"image_id": "b"}, {"image_id": "c"})])

    assert name_components(frame, NO_PAIRS).tolist() == ["a", "b", "c"]


def test_patient_and_lesion_of_one_name_are_not_the_same():
    frame = join_sources(
        [make_manifest({"image_id": "a", "patient_id": "1"}, {"image_id": "b", "lesion_id": "1"})]
    )

    assert name_components(frame, NO_PAIRS).tolist() == ["a", "b"]


def test_image_of_two_sources_stays_once_but_links_through_both():
    """Dropped first, the second row of `x` would take the link from `x` to `y` with it."""
    first = make_manifest({"image_id": "x", "lesion_id": "HAM_1"})
    second = make_manifest(
        {"image_id": "x", "lesion_id": "IL_1", "source": "there"},
        {"image_id": "y", "lesion_id": "IL_1", "source": "there"},
    )

    frame = join_sources([first, second])

    assert frame.is_repeated.tolist() == [False, True, False]
    assert name_components(frame, NO_PAIRS).tolist() == ["x", "x", "x"]


def test_one_id_for_different_files_is_refused_naming_id_and_sources():
    first = make_manifest({"image_id": "x", "sha256": "aa"})
    second = make_manifest({"image_id": "x", "sha256": "bb", "source": "there"})

    with pytest.raises(
        SplitError, match=r"^image_id must mean one image.* Got: 'x' .* \['here', 'there'\]; 1 such"
    ):
        join_sources([first, second])


def test_test_set_and_folds_have_their_shares_of_every_class():
    counts = {"MEL": 100, "NV": 400, "BCC": 60, "DF": 20}

    parted = split_all(single_lesions(counts), folds=4)

    table = pd.crosstab(parted.diagnosis, parted.fold)
    assert table.loc["MEL"].tolist() == [20, 20, 20, 20, 20]
    assert table.loc["NV"].tolist() == [80, 80, 80, 80, 80]
    assert table.loc["BCC"].tolist() == [12, 12, 12, 12, 12]
    assert table.loc["DF"].tolist() == [4, 4, 4, 4, 4]


def test_rare_class_is_in_every_part_it_can_be_in():
    """Four lesions for a test set and three folds, among a thousand of another class."""
    parted = split_all(single_lesions({"DF": 4, "NV": 1000}))

    assert Counter(parted.fold[parted.diagnosis == "DF"]) == {"test": 1, "0": 1, "1": 1, "2": 1}


def test_single_component_of_a_class_is_trained_on_rather_than_tested():
    parted = split_all(single_lesions({"DF": 1, "NV": 100}))

    assert parted.fold[parted.diagnosis == "DF"].tolist() != ["test"]


def test_large_components_are_balanced_by_small_ones():
    patients = make_manifest(
        *(
            {"image_id": f"{patient}_{n}", "patient_id": f"P{patient}", "diagnosis": "NV"}
            for patient, count in enumerate([60, 30, 30, 20, *[1] * 160])
            for n in range(count)
        )
    )

    sizes = split_all(patients).fold.value_counts()

    assert sizes["test"] == pytest.approx(60, rel=0.05)
    assert sizes.drop("test").tolist() == pytest.approx([80] * 3, rel=0.05)


def test_split_does_not_depend_on_the_order_of_rows():
    frame = single_lesions({"MEL": 20, "NV": 50, "DF": 5})
    frame["patient_id"] = [f"P{n % 30}" for n in range(len(frame))]

    parted = split_all(frame).set_index("image_id")
    shuffled = split_all(frame.sample(frac=1, random_state=3)).set_index("image_id")

    pd.testing.assert_series_equal(parted.fold, shuffled.fold[parted.index])
    pd.testing.assert_series_equal(parted.group_id, shuffled.group_id[parted.index])


def test_seed_alone_changes_the_split():
    frame = single_lesions({"MEL": 20, "NV": 50})

    same, other = split_all(frame, seed=7), split_all(frame, seed=8)

    assert split_all(frame, seed=7).fold.tolist() == same.fold.tolist()
    assert other.fold.tolist() != same.fold.tolist()


def test_test_set_does_not_depend_on_the_number_of_folds():
    frame = single_lesions({"MEL": 20, "NV": 50})

    tests = [split_all(frame, folds=folds).fold == "test" for folds in (2, 5)]

    assert tests[0].tolist() == tests[1].tolist()


def mixed_manifest():
    """Patients and lesions of many sizes that link one another, all classes."""
    return make_manifest(
        *(
            {
                "patient_id": f"P{n * n % 37}" if n % 5 else "",
                "lesion_id": f"L{n // 2}" if n % 3 == 0 else "",
                "diagnosis": CLASSES[n**3 % 9],
            }
            for n in range(120)
        )
    )


def test_without_a_calibration_part_the_split_is_what_it_was_before_there_was_one():
    """Networks that were trained on these folds must not come to know their test set."""
    parted = split_all(mixed_manifest(), folds=4)

    assert "".join(name[0] for name in parted.fold) == (
        "3202tt0311tt1t2101003032t2t31120tt222220ttt03313t102301t01033t1t33130t02022302tt1311331t"
        "2321001232t1331130tt20022021t031"
    )


def test_calibration_part_is_dealt_like_the_test_set_and_leaves_that_as_it_is():
    frame = single_lesions({"MEL": 100, "NV": 400, "BCC": 60, "DF": 20})

    parted = split_all(frame, folds=4, calibration_share=0.1)

    table = pd.crosstab(parted.diagnosis, parted.fold)
    assert list(table.columns) == ["0", "1", "2", "3", "calibration", "test"]
    assert table.calibration.to_dict() == {"BCC": 6, "DF": 2, "MEL": 10, "NV": 40}
    assert table.drop(columns=["calibration", "test"]).sum().tolist() == pytest.approx(
        [101.5] * 4, abs=2
    )
    without = split_all(frame, folds=4)
    assert (without.fold == "test").tolist() == (parted.fold == "test").tolist()


def test_large_components_go_whole_into_the_calibration_part():
    parted = split_all(mixed_manifest(), calibration_share=0.25)

    assert parted.groupby("group_id").fold.nunique().max() == 1
    assert (
        parted.groupby("group_id")
        .size()[parted.group_id[parted.fold == "calibration"].unique()]
        .max()
        > 1
    )
    assert (parted.fold == "calibration").sum() == pytest.approx(30, abs=3)


def test_repeated_rows_do_not_count_for_the_shares():
    frame = single_lesions({"NV": 40})
    once = split_all(frame).set_index("image_id").fold

    parted = split_all(frame, frame.iloc[:13].assign(source="there"))

    assert parted.is_repeated.sum() == 13
    assert parted.fold.tolist() == once[parted.image_id].tolist()


def test_too_few_components_are_refused_with_their_number():
    frame = make_manifest(*[{"patient_id": "P1"}] * 9, *[{"patient_id": f"P{n}"} for n in (2, 3)])

    with pytest.raises(
        SplitError, match=r"at least 4 components, one for .* Got: 3 from 11 rows\.$"
    ):
        split_all(frame)
    with pytest.raises(
        SplitError, match=r"at least 4 components, .*, the calibration part and each fold\. Got: 3"
    ):
        split_all(frame, folds=2, calibration_share=0.1)


def test_parts_are_alike_in_how_many_images_a_patient_has():
    """A few patients with many images, many with few: no part gets all of either."""
    sizes = [64] * 10 + [16] * 40 + [1] * 640
    frame = make_manifest(
        *({"patient_id": f"P{patient}"} for patient, size in enumerate(sizes) for _ in range(size))
    )

    parted = split_all(frame, folds=4)

    images = parted.groupby("patient_id").fold.agg(["first", "size"])
    table = pd.crosstab(images["size"], images["first"])
    assert table.loc[64].tolist() == [2, 2, 2, 2, 2]
    assert table.loc[16].tolist() == [8, 8, 8, 8, 8]
    assert table.loc[1].tolist() == [128, 128, 128, 128, 128]


def test_kept_cases_stay_and_new_ones_fill_up(tmp_path):
    frame = single_lesions({"MEL": 40, "NV": 100})
    before = split_all(frame).set_index("image_id").fold
    more = single_lesions({"BCC": 30, "AK": 30})

    kept = write_earlier(tmp_path / "earlier.csv", before)
    after = split_all(frame, more, **kept).set_index("image_id").fold

    assert after[before.index].tolist() == before.tolist()
    assert after.value_counts()["test"] == 40
    assert split_all(frame, more).set_index("image_id").fold[before.index].tolist() != list(before)


def test_link_between_kept_parts_takes_the_test_case_out_of_the_test_set(tmp_path):
    """A fold has been trained on: moved into the test set, it would be known to older networks."""
    frame = single_lesions({"NV": 60})
    frame.loc[:3, "lesion_id"] = "joined"
    folds = ["test", "test", "2", "1"] + ["test", "0", "1", "2"] * 14
    parts = dict(zip(frame.image_id, folds, strict=True))
    kept = write_earlier(tmp_path / "earlier.csv", parts)

    after = split_all(frame, **kept).set_index("image_id").fold

    assert after[frame.image_id[:4]].tolist() == ["1"] * 4
    assert after[frame.image_id[4:]].tolist() == [parts[name] for name in frame.image_id[4:]]


def test_kept_calibration_part_stays_and_new_cases_fill_it_up(tmp_path):
    frame = single_lesions({"MEL": 40, "NV": 100})
    before = split_all(frame, calibration_share=0.2).set_index("image_id").fold
    more = single_lesions({"BCC": 30, "AK": 30})

    kept = write_earlier(tmp_path / "earlier.csv", before)
    after = split_all(frame, more, calibration_share=0.2, **kept).set_index("image_id").fold

    assert after[before.index].tolist() == before.tolist()
    assert after.value_counts()[["test", "calibration"]].tolist() == [40, 40]


@pytest.mark.parametrize(
    ("parts", "kept_part"),
    [
        (["test", "test", "calibration"], "calibration"),
        (["calibration", "calibration", "1"], "1"),
        (["test", "calibration", "2"], "2"),
        (["calibration", "calibration", "calibration"], "calibration"),
    ],
)
def test_linked_cases_never_move_to_where_they_must_be_unknown(tmp_path, parts, kept_part):
    """Networks know the folds; the map of probabilities knows the calibration part too."""
    frame = single_lesions({"NV": 75})
    frame.loc[:2, "lesion_id"] = "joined"
    folds = [*parts, *["test", "0", "1", "2", "calibration", "0"] * 12]
    earlier = dict(zip(frame.image_id, folds, strict=True))
    kept = write_earlier(tmp_path / "earlier.csv", earlier)

    after = split_all(frame, calibration_share=0.2, **kept).set_index("image_id").fold

    assert after[frame.image_id[:3]].tolist() == [kept_part] * 3
    assert after[frame.image_id[3:]].tolist() == [earlier[name] for name in frame.image_id[3:]]


def test_earlier_calibration_part_is_refused_where_none_is_wanted(tmp_path):
    """Its cases would go to folds, and the earlier map was made from them."""
    kept = write_earlier(tmp_path / "earlier.csv", {"NV_0000": "calibration"})

    with pytest.raises(
        SplitError, match=r"manifest of stage split with folds .*\['calibration'\]\.$"
    ):
        split_all(single_lesions({"NV": 60}), **kept)


def test_other_file_than_the_one_meant_is_not_kept(tmp_path):
    frame = single_lesions({"NV": 60})
    kept = write_earlier(tmp_path / "earlier.csv", {"NV_0000": "0"})

    with pytest.raises(SplitError, match=r"earlier\.csv must be there with keep_sha256\. Got: a f"):
        split_all(frame, **kept | {"keep_sha256": "00"})
    with pytest.raises(SplitError, match=r"absent\.csv must be there with keep_sha256\. Got: no f"):
        split_all(frame, **kept | {"keep": str(tmp_path / "absent.csv")})


def test_earlier_manifest_of_more_folds_is_refused(tmp_path):
    kept = write_earlier(tmp_path / "earlier.csv", {"NV_0000": "3"})

    with pytest.raises(SplitError, match=r"must be a manifest of stage split with folds .*\['3'\]"):
        split_all(single_lesions({"NV": 60}), **kept)


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32 - 1), cases=st.integers(500, 1500))
def test_parts_keep_their_size_to_five_per_cent_where_components_are_small(seed, cases):
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(cases), rng.integers(1, 6, cases))[:cases]
    labels = rng.choice(CLASSES, cases, p=rng.dirichlet(np.ones(len(CLASSES))))
    frame = make_manifest(
        *(
            {"patient_id": f"P{patient}", "diagnosis": label}
            for patient, label in zip(patients, labels, strict=True)
        )
    )

    sizes = split_all(frame, folds=5).fold.value_counts()

    assert sizes["test"] == pytest.approx(0.2 * cases, rel=0.05)
    assert sizes.drop("test").tolist() == pytest.approx([0.16 * cases] * 5, rel=0.05)


@pytest.mark.slow
@settings(max_examples=50)
@given(counts=st.dictionaries(st.sampled_from(CLASSES), st.integers(1, 30), min_size=1))
def test_class_with_enough_lesions_is_in_every_fold(counts):
    """Enough: one for the test set, and one for each fold of what its share leaves."""
    if sum(counts.values()) < 8:
        counts = counts | {"NV": 8}

    parted = split_all(single_lesions(counts))

    for name, count in counts.items():
        parts = Counter(parted.fold[parted.diagnosis == name])
        if count - parts["test"] >= 3:
            assert min(parts[fold] for fold in "012") >= 1
        if count >= 2:
            assert parts["test"] >= 1
