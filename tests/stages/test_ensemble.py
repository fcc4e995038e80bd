"""Tests of stage `ensemble`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from pipeline import manifest
from pipeline.classes import CLASSES
from pipeline.scoring.ensemble import combine, load_reference
from pipeline.scoring.predictions import PROBABILITIES, RANK_SCORES
from pipeline.scoring.probability_map import METHODS, load_probability_map
from stages.ensemble import main

pytestmark = pytest.mark.slow

PARAMS = """
ensemble:
  members: [b4, b5]
  fold: 0
  deploy: fold
  calibration: {method: rank_logistic, regularisation_c: 1.0, folds: 3, seed: 0}
split: {train_folds: [0]}
"""
RANKS, CHANCES = list(RANK_SCORES), list(PROBABILITIES)
MEMBERS = ("b4", "b5")


def write_manifest(path, folds, classes=CLASSES):
    """Cases of the given folds; classes in turn, so that folds hold all of them."""
    count = len(folds)
    frame = pd.DataFrame({name: "" for name in manifest.COLUMNS}, index=range(count))
    frame["image_id"] = [f"ISIC_{i:07d}" for i in range(count)]
    frame["diagnosis"] = [classes[(i // 4) % len(classes)] for i in range(count)]
    frame["age_years"] = np.nan
    frame[["width_px", "height_px"]] = 64
    frame["group_id"], frame["fold"] = frame.image_id, folds
    path.parent.mkdir(parents=True, exist_ok=True)
    manifest.write(frame, path)
    return frame


def write_predictions(folder, frame, member, fold=0):
    """Scores of the cases of a fold and the test set, the true class likelier, rows reversed."""
    rows = frame[frame.fold.isin(["test", "calibration", str(fold)])][::-1]
    rng = np.random.default_rng([MEMBERS.index(member), fold])
    scores = rng.dirichlet(np.ones(9), len(rows))
    scores[np.arange(len(rows)), rows.diagnosis.map(CLASSES.index)] += 0.5
    scores = (scores / 1.5).astype(np.float32)
    split = np.where(rows.fold.isin(["test", "calibration"]), rows.fold, "out_of_fold")
    columns = {"image_id": rows.image_id, "member": member, "fold": fold, "split": split}
    table = pd.DataFrame(columns).reset_index(drop=True).join(pd.DataFrame(scores, columns=CHANCES))
    path = folder / f"{member}-{fold}" / "predictions.csv"
    path.parent.mkdir(parents=True)
    table.to_csv(path, index=False, float_format="%.9g")
    return table.set_index("image_id")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    frame = write_manifest(tmp_path / "split" / "manifest.csv", ["test", "0", "1", "0"] * 45)
    tables = {name: write_predictions(tmp_path / "predict", frame, name) for name in MEMBERS}
    return frame, tables


def run(target="ensemble"):
    main(["split/manifest.csv", "predict", target])
    return pd.read_csv(f"{target}/predictions.csv", index_col="image_id")


def test_every_case_of_the_fold_and_the_test_set_is_scored(project, capsys):
    frame, _ = project

    scored = run()

    wanted = frame[frame.fold != "1"]
    assert scored.index.tolist() == wanted.image_id.tolist()
    assert (scored.split == np.where(wanted.fold == "test", "test", "out_of_fold")).all()
    assert list(scored.columns) == ["split", *RANKS, *CHANCES]
    np.testing.assert_allclose(scored[CHANCES].sum(axis=1), 1, rtol=1e-9)
    words = "ensemble: 2 members, 90 out-of-fold and 45 test cases, probabilities by rank_logistic"
    assert capsys.readouterr().out == f"{words} in ensemble\n"


def test_ranks_of_the_reference_are_the_average_members_of_the_field(project):
    _, tables = project

    scored = run()

    own = scored[scored.split == "out_of_fold"]
    expected = np.mean(
        [(rankdata(t.loc[own.index, CHANCES], axis=0) - 0.5) / len(own) for t in tables.values()],
        axis=0,
    )
    np.testing.assert_allclose(own[RANKS], expected, atol=1e-12)


def test_the_reference_holds_out_of_fold_scores_alone(project):
    """With a test score inside, the test set would help to rank itself."""
    _, tables = project
    run()

    references = load_reference(Path("ensemble/reference.npz"))

    assert list(references) == ["b4", "b5"]
    for name, reference in references.items():
        own = tables[name][tables[name].split == "out_of_fold"]
        expected = np.sort(own[CHANCES].to_numpy(np.float32), axis=0)
        np.testing.assert_array_equal(reference, expected)


@pytest.mark.parametrize("method", METHODS)
def test_the_written_map_gives_the_written_probabilities(project, tmp_path, method):
    _, tables = project
    (tmp_path / "params.yaml").write_text(PARAMS.replace("rank_logistic", method))
    scored = run()

    fitted = load_probability_map(Path("ensemble/probability_map.json"))
    references = load_reference(Path("ensemble/reference.npz"))
    scores = {
        name: table.loc[scored.index, CHANCES].to_numpy(np.float32)
        for name, table in tables.items()
    }
    found = fitted.apply(combine(references, scores))

    np.testing.assert_array_equal(found, scored[CHANCES])
    assert fitted.to_json()["method"] == method


def test_all_maps_are_compared_and_the_best_is_written(project, tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS.replace("rank_logistic", "best"))
    run()

    compared = pd.read_csv("ensemble/calibration.csv").set_index("method")

    assert list(compared.index) == list(METHODS)
    written = load_probability_map(Path("ensemble/probability_map.json")).to_json()["method"]
    assert compared.chosen[written]
    assert compared.chosen.sum() == 1
    assert written == compared.log_loss.idxmin()


def test_the_test_set_shapes_neither_reference_nor_map(project):
    """Planted: were a test case used to fit, other test scores would give another map."""
    first = run()
    path = "predict/b4-0/predictions.csv"
    table = pd.read_csv(path)
    table.loc[table.split == "test", CHANCES] = 1 / 9
    table.to_csv(path, index=False, float_format="%.9g")

    second = run("second")

    own = first.split == "out_of_fold"
    pd.testing.assert_frame_equal(first[own], second[own])
    assert not first[~own].equals(second[~own])


def test_the_same_predictions_are_the_same_bytes(project):
    run("first")
    run("second")

    for name in ("reference.npz", "probability_map.json", "predictions.csv", "members.csv"):
        with open(f"first/{name}", "rb") as one, open(f"second/{name}", "rb") as other:
            assert one.read() == other.read(), name


def test_a_lost_case_ends_in_a_message_and_writes_nothing(project, tmp_path):
    path = tmp_path / "predict" / "b5-0" / "predictions.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")

    with pytest.raises(ValueError, match=r"^predict/b5-0/predictions\.csv must predict the 135 "):
        run()

    assert not (tmp_path / "ensemble").exists()


def test_a_fold_without_cases_ends_in_a_message(project, tmp_path):
    write_manifest(tmp_path / "split" / "manifest.csv", ["test", "1", "1", "1"] * 45)
    for member in MEMBERS:
        path = tmp_path / "predict" / f"{member}-0" / "predictions.csv"
        table = pd.read_csv(path)
        table[table.split == "test"].to_csv(path, index=False)

    with pytest.raises(ValueError, match=r"^split/manifest\.csv: fold 0 must have cases\."):
        run()


@pytest.fixture
def two_folds(project, tmp_path):
    """Networks of fold 1 beside those of fold 0."""
    frame, tables = project
    (tmp_path / "params.yaml").write_text(PARAMS.replace("[0]", "[0, 1]"))
    second = {n: write_predictions(tmp_path / "predict", frame, n, fold=1) for n in MEMBERS}
    return frame, {0: tables, 1: second}


def test_one_table_holds_every_prediction_of_a_case_that_was_not_trained_on(two_folds):
    frame, tables = two_folds
    run()

    found = pd.read_csv("ensemble/members.csv", dtype={"image_id": str})

    assert list(found.columns) == ["image_id", "member", "fold", "split", *CHANCES]
    counts = found.groupby(["member", "image_id"]).fold.apply(lambda folds: sorted(set(folds)))
    for image_id, fold in zip(frame.image_id, frame.fold, strict=True):
        for member in MEMBERS:
            assert counts[member, image_id] == ([0, 1] if fold == "test" else [int(fold)])
    assert not found.duplicated(["member", "fold", "image_id"]).any()
    for (member, fold), rows in found.groupby(["member", "fold"]):
        written = tables[fold][member].loc[rows.image_id]
        assert rows.split.tolist() == written.split.tolist()
        values, expected = (t[CHANCES].to_numpy(np.float32) for t in (rows, written))
        np.testing.assert_array_equal(values, expected)


def test_networks_of_other_folds_change_nothing_that_is_deployed(project, tmp_path):
    frame, _ = project
    run("alone")
    (tmp_path / "params.yaml").write_text(PARAMS.replace("[0]", "[0, 1]"))
    for name in MEMBERS:
        write_predictions(tmp_path / "predict", frame, name, fold=1)

    run("beside")

    for name in ("reference.npz", "probability_map.json", "predictions.csv"):
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "beside" / name).read_bytes()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda t: t[t.image_id != "ISIC_0000002"], r"Missing 1: \['ISIC_0000002'\]\."),
        (
            lambda t: pd.concat([t, t[:1].assign(image_id="ISIC_0000001")]),
            r"Not among them 1: \['ISIC_0000001'\]\.$",
        ),
    ],
    ids=["a case is missing", "a case was trained on"],
)
def test_faulty_table_of_any_fold_is_named(two_folds, tmp_path, fault, message):
    """Case 2 belongs to fold 1, case 1 to fold 0, which the networks of fold 1 trained on."""
    frame, _ = two_folds
    assert frame.fold[1:3].tolist() == ["0", "1"]
    path = tmp_path / "predict" / "b5-1" / "predictions.csv"
    fault(pd.read_csv(path)).to_csv(path, index=False)

    with pytest.raises(ValueError, match=rf"^predict/b5-1/predictions\.csv must .* {message}"):
        run()

    assert not (tmp_path / "ensemble").exists()


def test_deployed_fold_that_is_not_trained_ends_in_a_message(project, tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS.replace("fold: 0", "fold: 3"))

    with pytest.raises(
        ValueError, match=r"^ensemble\.fold must be one of split\.train_folds \[0\]\. Got: 3\.$"
    ):
        run()


@pytest.fixture
def averaged(tmp_path, monkeypatch):
    """Networks of two folds, and a calibration part that none of them trained on."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(
        PARAMS.replace("deploy: fold", "deploy: fold_average").replace("[0]", "[0, 1]")
    )
    folds = ["test", "0", "1", "calibration"] * 45
    frame = write_manifest(tmp_path / "split" / "manifest.csv", folds)
    tables = {
        name: [write_predictions(tmp_path / "predict", frame, name, fold) for fold in (0, 1)]
        for name in MEMBERS
    }
    return frame, tables


def test_average_over_folds_refers_to_the_calibration_part_alone(averaged, capsys):
    frame, tables = averaged

    scored = run()

    wanted = frame[frame.fold.isin(["test", "calibration"])]
    assert scored.index.tolist() == wanted.image_id.tolist()
    assert scored.split.tolist() == wanted.fold.tolist()
    ids = frame.image_id[frame.fold == "calibration"]
    references = load_reference(Path("ensemble/reference.npz"))
    for name, (first, second) in tables.items():
        mean = (first.loc[ids, CHANCES].to_numpy() + second.loc[ids, CHANCES].to_numpy()) / 2
        np.testing.assert_allclose(references[name], np.sort(mean, axis=0), atol=1e-7)
    words = "ensemble: 2 members, 45 calibration and 45 test cases, probabilities by rank_logistic"
    assert capsys.readouterr().out == f"{words} in ensemble\n"


def test_ranks_of_an_average_are_of_the_average_and_not_the_mean_of_ranks(averaged):
    _, tables = averaged

    scored = run()

    own = scored[scored.split == "calibration"]
    means = [
        sum(t.loc[own.index, CHANCES].astype(float) for t in pair) / 2 for pair in tables.values()
    ]
    expected = np.mean([(rankdata(mean, axis=0) - 0.5) / len(own) for mean in means], axis=0)
    np.testing.assert_allclose(own[RANKS], expected, atol=1e-9)


def test_out_of_fold_scores_shape_nothing_of_an_average(averaged, tmp_path):
    """Planted: each of these cases was trained on by one of the two networks."""
    first = run()
    path = tmp_path / "predict" / "b4-0" / "predictions.csv"
    table = pd.read_csv(path)
    table.loc[table.split == "out_of_fold", CHANCES] = 1 / 9
    table.to_csv(path, index=False, float_format="%.9g")

    second = run("second")

    pd.testing.assert_frame_equal(first, second)
    for name in ("reference.npz", "probability_map.json"):
        assert Path("ensemble", name).read_bytes() == Path("second", name).read_bytes()


def test_average_without_calibration_cases_ends_in_a_message(averaged, tmp_path):
    frame, _ = averaged
    manifest.write(frame.replace({"fold": {"calibration": "2"}}), Path("split/manifest.csv"))
    for path in sorted((tmp_path / "predict").glob("*/predictions.csv")):
        table = pd.read_csv(path)
        table[table.split != "calibration"].to_csv(path, index=False)

    with pytest.raises(ValueError, match=r"manifest\.csv: fold calibration must have cases\."):
        run()


@pytest.mark.usefixtures("averaged")
def test_calibration_part_changes_nothing_that_one_fold_deploys(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    first = run()
    for name in MEMBERS:
        path = tmp_path / "predict" / f"{name}-0" / "predictions.csv"
        table = pd.read_csv(path)
        table.loc[table.split == "calibration", CHANCES] = 1 / 9
        table.to_csv(path, index=False, float_format="%.9g")

    second = run("second")

    assert set(first.split) == {"test", "out_of_fold"}
    pd.testing.assert_frame_equal(first, second)
