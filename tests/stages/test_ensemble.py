"""Tests of stage `ensemble`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from pipeline import manifest
from pipeline.classes import CLASSES
from pipeline.scoring.ensemble import load_probability_map, load_reference
from pipeline.scoring.predictions import PROBABILITIES, RANK_SCORES
from stages.ensemble import main

PARAMS = "ensemble: {members: [b4, b5], fold: 0, regularisation_c: 1.0}\n"
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


def write_predictions(folder, frame, member):
    """Scores of the cases of fold 0 and the test set, the true class likelier, rows reversed."""
    rows = frame[frame.fold.isin(["test", "0"])][::-1]
    rng = np.random.default_rng(MEMBERS.index(member))
    scores = rng.dirichlet(np.ones(9), len(rows))
    scores[np.arange(len(rows)), rows.diagnosis.map(CLASSES.index)] += 0.5
    scores = (scores / 1.5).astype(np.float32)
    split = np.where(rows.fold == "test", "test", "out_of_fold")
    columns = {"image_id": rows.image_id, "member": member, "fold": 0, "split": split}
    table = pd.DataFrame(columns).reset_index(drop=True).join(pd.DataFrame(scores, columns=CHANCES))
    path = folder / f"{member}-0" / "predictions.csv"
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
    words = "ensemble: 2 members, 90 out-of-fold and 45 test cases in ensemble\n"
    assert capsys.readouterr().out == words


def test_ranks_of_the_reference_are_the_average_ranks_of_the_field(project):
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


def test_the_written_map_gives_the_written_probabilities(project):
    scored = run()

    fitted = load_probability_map(Path("ensemble/probability_map.json"))
    found = fitted.apply(scored[RANKS].to_numpy())

    np.testing.assert_array_equal(found, scored[CHANCES])


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

    for name in ("reference.npz", "probability_map.json", "predictions.csv"):
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
