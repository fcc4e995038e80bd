"""Tests of stage `evaluate`."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, roc_auc_score

from pipeline import manifest, params
from pipeline.classes import CLASSES
from pipeline.params import ParamsError
from pipeline.scoring.evaluation import CostParams, EvaluateParams
from pipeline.scoring.predictions import PROBABILITIES, RANK_SCORES
from pipeline.scoring.too_good import TooGoodError
from stages.evaluate import main

pytestmark = pytest.mark.slow

PARAMS = """
ensemble:
  members: [b4, b5]
  fold: 0
  deploy: fold
  calibration: {method: rank_logistic, regularisation_c: 1.0, folds: 3, seed: 0}
evaluate:
  bootstrap_repeats: 40
  interval: 0.95
  seed: 1
  too_good_auroc: 0.995
  costs: {missed_malignant: 10.0, needless_referral: 1.0, same_side: 0.5}
operating_points: {malignant: [MEL, BCC, SCC]}
split: {train_folds: [0]}
"""
RANKS, CHANCES = list(RANK_SCORES), list(PROBABILITIES)


def write_manifest(path):
    """90 cases of 30 patients; two of three in the test set, which lacks class SCC."""
    frame = pd.DataFrame({name: "" for name in manifest.COLUMNS}, index=range(90))
    frame["image_id"] = [f"ISIC_{i:07d}" for i in range(90)]
    frame["patient_id"] = [f"P{i // 3}" for i in range(90)]
    frame["diagnosis"] = [CLASSES[i % 7] for i in range(90)]
    frame.loc[frame.index % 10 == 9, "diagnosis"] = "UNK"
    frame["age_years"] = np.nan
    frame[["width_px", "height_px"]] = 64
    frame["group_id"] = frame.patient_id
    frame["fold"] = np.where(np.arange(90) // 3 % 3 == 0, "0", "test")
    path.parent.mkdir(parents=True)
    manifest.write(frame, path)
    return frame


def drawn_scores(frame, seed):
    scores = np.random.default_rng(seed).dirichlet(np.ones(9), len(frame))
    scores[np.arange(len(frame)), frame.diagnosis.map(CLASSES.index)] += 0.3
    return pd.DataFrame((scores / 1.3).astype(np.float32), columns=CHANCES)


def write_member(folder, frame, member, seed, fold=0):
    split = np.where(frame.fold.isin(["test", "calibration"]), frame.fold, "out_of_fold")
    columns = {"image_id": frame.image_id, "member": member, "fold": fold, "split": split}
    predicted, trained = (folder / name / f"{member}-{fold}" for name in ("predict", "train"))
    predicted.mkdir(parents=True)
    trained.mkdir(parents=True)
    table = pd.DataFrame(columns).join(drawn_scores(frame, seed))
    table.to_csv(predicted / "predictions.csv", index=False, float_format="%.9g")
    (predicted / "summary.json").write_text('{"training_accuracy": 0.9, "training_images": 30}')
    sizes = {"backbone": member, "crop_px": 768, "input_px": 64, "batch_size": 16, "images": 30}
    (trained / "summary.json").write_text(json.dumps(sizes))
    history = "epoch,loss,accuracy,learning_rate,seconds,held_out_loss,held_out_accuracy\n"
    (trained / "history.csv").write_text(history + "1,2,0.2,0.1,1,2,0.1\n2,1,0.5,0.1,1,1.5,0.4\n")
    return table


def write_ensemble(folder, frame):
    """Rank scores and probabilities that disagree, so that a mix-up of the two shows."""
    ranks = drawn_scores(frame, seed=8).set_axis(RANKS, axis=1)
    split = np.where(frame.fold.isin(["test", "calibration"]), frame.fold, "out_of_fold")
    table = pd.DataFrame({"image_id": frame.image_id, "split": split})
    table = table.join(ranks).join(drawn_scores(frame, seed=9))
    folder.mkdir()
    table.to_csv(folder / "predictions.csv", index=False)
    return table


def make_project(folder):
    (folder / "params.yaml").write_text(PARAMS)
    frame = write_manifest(folder / "split" / "manifest.csv")
    tables = {name: write_member(folder, frame, name, i) for i, name in enumerate(["b4", "b5"])}
    tables["ensemble"] = write_ensemble(folder / "ensemble", frame)
    return frame, tables


def run(folder, target="report"):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(["split/manifest.csv", "predict", "train", "ensemble", target])


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """One run for all tests that only look at it: its figures take seconds."""
    folder = tmp_path_factory.mktemp("project")
    frame, tables = make_project(folder)
    run(folder)
    return folder, frame, tables


def read_metrics(folder, target="report"):
    return json.loads((folder / target / "metrics.json").read_text())


def macro_auroc(labels, scores):
    """scikit-learn's, over the classes that the test set holds."""
    present = [name for name in CLASSES if (labels == name).any()]
    return np.mean([roc_auc_score(labels == n, scores[:, CLASSES.index(n)]) for n in present])


def test_metrics_are_scikit_learns_on_the_test_cases(project):
    folder, frame, tables = project

    found = read_metrics(folder)

    models = {"ensemble", "rank_argmax", "mean", "mean_logits", "weighted", "b4", "b5"}
    assert set(found) == models | {"b4_out_of_fold", "b5_out_of_fold"}
    test = (frame.fold == "test").to_numpy()
    labels = frame.diagnosis[test]
    names = np.array(CLASSES)
    for model, ranked, said in (
        ("b4", tables["b4"][CHANCES], tables["b4"][CHANCES]),
        ("b5", tables["b5"][CHANCES], tables["b5"][CHANCES]),
        ("ensemble", tables["ensemble"][RANKS], tables["ensemble"][CHANCES]),
    ):
        predicted = names[said[test].to_numpy().argmax(axis=1)]
        expected = macro_auroc(labels, ranked[test].to_numpy())
        assert found[model]["n"] == test.sum() == 60
        assert found[model]["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
        assert found[model]["macro_auroc"] == pytest.approx(expected)
        assert found[model]["resampling_units"] == 20
        assert found[model]["majority_accuracy"] == labels.value_counts().max() / 60


def test_argmax_of_ranks_has_accuracy_only(project):
    folder, frame, tables = project

    found = read_metrics(folder)["rank_argmax"]

    test = (frame.fold == "test").to_numpy()
    predicted = np.array(CLASSES)[tables["ensemble"][RANKS][test].to_numpy().argmax(axis=1)]
    assert found["accuracy"] == pytest.approx((predicted == frame.diagnosis[test]).mean())
    assert not [name for name in found if "auroc" in name]


def test_an_absent_class_is_null_and_the_macro_mean_says_over_how_many(project):
    found = read_metrics(project[0])["ensemble"]

    assert found["auroc_SCC"] is None
    assert found["n_SCC"] == 0
    assert found["macro_auroc_classes"] == 8
    assert found["macro_auroc_low"] < found["macro_auroc"] < found["macro_auroc_high"]


def test_tables_and_figures_are_written_whole(project):
    folder, _, _ = project

    names = {path.name for path in (folder / "report").iterdir()}

    tables = {
        "per_class.csv",
        "confusion.csv",
        "roc.csv",
        "pr.csv",
        "recipe.csv",
        "out_of_fold.csv",
        "history.csv",
        "differences.csv",
        "diversity.csv",
        "weights.csv",
    }
    figures = {
        *("confusion_matrix.png", "roc.png", "pr.png"),
        *("per_class.png", "history.png", "recipe.png"),
    }
    assert names == {"metrics.json"} | tables | figures
    for figure in figures:
        with Image.open(folder / "report" / figure) as image:
            image.load()
    assert pd.read_csv(folder / "report" / "per_class.csv").shape[0] == 7 * 9


def test_confusion_table_lists_the_labels_of_the_ensemble(project):
    folder, frame, _ = project

    table = pd.read_csv(folder / "report" / "confusion.csv")

    assert list(table.columns) == ["image_id", "true", "predicted"]
    assert table.image_id.tolist() == frame.image_id[frame.fold == "test"].tolist()
    right = (table.true == table.predicted).mean()
    assert right == pytest.approx(read_metrics(folder)["ensemble"]["accuracy"])


def test_recipe_sets_training_beside_held_out_accuracy(project):
    folder, _, _ = project

    table = pd.read_csv(folder / "report" / "recipe.csv")

    found = read_metrics(folder)
    assert table.member.tolist() == ["b4", "b5", "ensemble"]
    assert table.training_accuracy.tolist()[:2] == [0.9, 0.9]
    for _, row in table.iterrows():
        assert row.held_out_accuracy == pytest.approx(found[row.member]["accuracy"])


def test_only_the_test_set_counts_and_the_same_cases_are_the_same_bytes(project, capsys):
    """Other out-of-fold scores change no figure of the test set; equal test scores no byte."""
    folder, _, _ = project
    for name in ("predict/b4-0/predictions.csv", "ensemble/predictions.csv"):
        table = pd.read_csv(folder / name)
        table.loc[table.split == "out_of_fold", CHANCES] = 1 / 9
        table.to_csv(folder / name, index=False)

    run(folder, "second")

    learnt = ("metrics.json", "out_of_fold.csv", "per_class.csv", "differences.csv", "weights.csv")
    for path in (folder / "report").iterdir():
        if path.name not in learnt:
            assert path.read_bytes() == (folder / "second" / path.name).read_bytes(), path.name
    for name in ("per_class.csv", "differences.csv"):
        one, other = (pd.read_csv(folder / part / name) for part in ("report", "second"))
        pd.testing.assert_frame_equal(
            one[one.model != "weighted"], other[other.model != "weighted"]
        )
    first, second = read_metrics(folder), read_metrics(folder, "second")
    differing = {name for name in first if first[name] != second[name]}
    assert differing == {"b4_out_of_fold", "weighted"}  # its weights are learnt out of fold
    lines = capsys.readouterr().out.splitlines()
    models = ["ensemble", "rank_argmax", "mean", "mean_logits", "weighted", "b4", "b5"]
    assert [line.split()[0] for line in lines[1:8]] == models
    assert lines[10] == "evaluate: 60 test cases, 7 models in second"


def test_the_ensemble_is_compared_with_every_other_model(project):
    folder, _, _ = project

    table = pd.read_csv(folder / "report" / "differences.csv")

    found = read_metrics(folder)
    for _, row in table[table.test == "bootstrap"].iterrows():
        expected = found["ensemble"][row.metric] - found[row.model][row.metric]
        assert row["value"] == pytest.approx(expected)
        assert 0 < row.p_value <= 1
    for _, row in table[table.test == "delong"].iterrows():
        values = (found[name][row.metric] for name in ("ensemble", row.model))
        if row.metric == "auroc_SCC":  # no case
            assert pd.isna(row["value"]) and pd.isna(row.p_value)
        else:
            first, second = values
            assert row["value"] == pytest.approx(first - second)
    assert set(table.model) == {"rank_argmax", "mean", "mean_logits", "weighted", "b4", "b5"}


def test_weights_are_learnt_out_of_fold_alone(project):
    """Were they learnt on the test set, `weighted` would be scored on what it was tuned on."""
    folder, frame, tables = project

    weights = pd.read_csv(folder / "report" / "weights.csv").set_index("member").weight

    own = (frame.fold == "0").to_numpy()
    truth = [CHANCES[CLASSES.index(name)] for name in frame.diagnosis[own]]
    rows = np.arange(own.sum())

    def loss(share):
        mixed = share * tables["b4"][CHANCES][own].to_numpy()
        mixed = mixed + (1 - share) * tables["b5"][CHANCES][own].to_numpy()
        return -np.log(mixed[rows, [CHANCES.index(name) for name in truth]]).mean()

    best = min(np.linspace(0, 1, 1001), key=loss)
    assert weights.b4 == pytest.approx(best, abs=2e-3)
    assert weights.sum() == pytest.approx(1)


def test_costs_are_those_of_the_policy(project):
    """Worked by hand: a missed melanoma costs 10, a needless referral 1, the same side 0.5."""
    costs = CostParams(10.0, 1.0, 0.5).matrix(["MEL", "BCC", "SCC"])

    k = {name: index for index, name in enumerate(CLASSES)}
    assert costs[k["MEL"], k["NV"]] == 10
    assert costs[k["NV"], k["MEL"]] == 1
    assert costs[k["MEL"], k["BCC"]] == costs[k["NV"], k["BKL"]] == 0.5
    assert costs[k["AK"], k["NV"]] == 0.5  # benign by this policy
    assert not np.diag(costs).any()
    assert read_metrics(project[0])["ensemble"]["cost_weighted_error"] > 0


def test_out_of_fold_figures_of_one_fold_are_of_its_cases(project):
    folder, frame, tables = project

    found = read_metrics(folder)["b4_out_of_fold"]

    own = (frame.fold == "0").to_numpy()
    scores = tables["b4"][CHANCES].to_numpy()[own]
    assert found["n"] == own.sum() == 30
    assert found["macro_auroc"] == pytest.approx(macro_auroc(frame.diagnosis[own], scores))


@pytest.fixture(scope="module")
def three_folds(tmp_path_factory):
    """Two of three folds trained; in each the patients of every third."""
    folder = tmp_path_factory.mktemp("folds")
    frame, _ = make_project(folder)
    (folder / "params.yaml").write_text(PARAMS.replace("[0]", "[0, 1]"))
    frame["fold"] = np.array(["0", "1", "test", "2"])[np.arange(90) // 3 % 4]
    manifest.write(frame, folder / "split" / "manifest.csv")
    tables = {}
    for seed, (member, fold) in enumerate((m, f) for m in ("b4", "b5") for f in (0, 1)):
        rows = frame[frame.fold.isin(["test", str(fold)])].reset_index(drop=True)
        shutil.rmtree(folder / "predict" / f"{member}-{fold}", ignore_errors=True)
        shutil.rmtree(folder / "train" / f"{member}-{fold}", ignore_errors=True)
        tables[member, fold] = write_member(folder, rows, member, 10 + seed, fold)
    shutil.rmtree(folder / "ensemble")
    deployed = frame[frame.fold.isin(["test", "0"])].reset_index(drop=True)
    write_ensemble(folder / "ensemble", deployed)
    run(folder)
    return folder, frame, tables


def test_out_of_fold_figures_are_scikit_learns_pooled_over_the_trained_folds(three_folds):
    folder, frame, tables = three_folds

    found = read_metrics(folder)

    truth = frame.set_index("image_id")
    for member in ("b4", "b5"):
        own = pd.concat([tables[member, fold] for fold in (0, 1)])
        own = own[own.split == "out_of_fold"]
        labels, scores = truth.diagnosis[own.image_id], own[CHANCES].to_numpy()
        row = found[f"{member}_out_of_fold"]
        assert row["n"] == len(own) == truth.fold.isin(["0", "1"]).sum()
        assert row["resampling_units"] == truth.patient_id[own.image_id].nunique()
        assert row["macro_auroc"] == pytest.approx(macro_auroc(labels, scores))
        assert row["macro_auroc_low"] < row["macro_auroc"] < row["macro_auroc_high"]
        said = np.array(CLASSES)[scores.argmax(axis=1)]
        assert row["accuracy"] == pytest.approx((said == labels).mean())
        assert row["majority_accuracy"] == labels.value_counts().max() / len(own)


def test_out_of_fold_table_says_what_the_metrics_say(three_folds):
    folder, _, _ = three_folds

    table = pd.read_csv(folder / "report" / "out_of_fold.csv").set_index("member")

    found = read_metrics(folder)
    assert table.index.tolist() == ["b4", "b5"]
    assert table.folds.tolist() == ["0 1", "0 1"]
    for member, row in table.iterrows():
        for name in ("n", "macro_auroc", "macro_auroc_low", "accuracy", "majority_accuracy"):
            assert row[name] == pytest.approx(found[f"{member}_out_of_fold"][name])


def test_case_that_a_fold_s_network_trained_on_ends_in_a_message(three_folds, tmp_path):
    """Planted: were it pooled, a figure out of fold would be one of training."""
    folder = shutil.copytree(three_folds[0], tmp_path / "folds")
    path = folder / "predict" / "b4-1" / "predictions.csv"
    table = pd.read_csv(path)
    pd.concat([table, table[:1].assign(image_id="ISIC_0000000")]).to_csv(path, index=False)

    with pytest.raises(
        ValueError, match=r"b4-1/predictions\.csv must .* Not among them 1: \['ISIC_0000000'\]"
    ):
        run(folder, "faulty")

    assert not (folder / "faulty").exists()


def test_an_empty_test_set_ends_in_a_message(tmp_path):
    frame, _ = make_project(tmp_path)
    manifest.write(frame.assign(fold="0"), tmp_path / "split" / "manifest.csv")
    for name in ("predict/b4-0", "predict/b5-0", "ensemble"):
        path = tmp_path / name / "predictions.csv"
        pd.read_csv(path).assign(split="out_of_fold").to_csv(path, index=False)

    with pytest.raises(ValueError, match=r"^split/manifest\.csv: the test set must have at least"):
        run(tmp_path)

    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("path", "split", "model"),
    [
        ("predict/b5-0/predictions.csv", "out_of_fold", "b5-0 must .* on its own fold"),
        ("predict/b4-0/predictions.csv", "test", "b4-0 must .* on the test set"),
        ("ensemble/predictions.csv", "test", "the ensemble must .* on the test set"),
    ],
)
def test_model_that_was_told_the_answers_is_caught_and_nothing_written(
    tmp_path, path, split, model
):
    frame, _ = make_project(tmp_path)
    table = pd.read_csv(tmp_path / path)
    rows = (table.split == split).to_numpy()
    truth = np.eye(9)[frame.diagnosis.map(CLASSES.index)]
    columns = RANKS if path.startswith("ensemble") else CHANCES
    table.loc[rows, columns] = truth[rows]
    table.to_csv(tmp_path / path, index=False)

    with pytest.raises(TooGoodError, match=rf"^{model}\. Got: 1\.0000"):
        run(tmp_path)

    assert not (tmp_path / "report").exists()


def test_member_of_another_trained_fold_is_caught_too(tmp_path):
    frame, tables = make_project(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS.replace("[0]", "[0, 1]"))
    truth = np.eye(9)[frame.diagnosis.map(CLASSES.index)]
    for member in ("b4", "b5"):
        table = tables[member].assign(fold=1)
        if member == "b5":
            table[CHANCES] = truth
        folder = tmp_path / "predict" / f"{member}-1"
        folder.mkdir()
        table[(frame.fold == "test").to_numpy()].to_csv(folder / "predictions.csv", index=False)

    with pytest.raises(TooGoodError, match=r"^b5-1 must .* on the test set\. Got: 1\.0000"):
        run(tmp_path)


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    """Two folds whose networks are deployed together; a calibration part beside them."""
    folder = tmp_path_factory.mktemp("averaged")
    frame, _ = make_project(folder)
    text = PARAMS.replace("deploy: fold", "deploy: fold_average").replace("[0]", "[0, 1]")
    (folder / "params.yaml").write_text(text.replace("0.995", "0.9999"))  # the cases are few
    frame["fold"] = np.array(["0", "1", "test", "calibration"])[np.arange(90) // 3 % 4]
    manifest.write(frame, folder / "split" / "manifest.csv")
    tables = {}
    for seed, (member, fold) in enumerate((m, f) for m in ("b4", "b5") for f in (0, 1)):
        rows = frame[frame.fold.isin(["test", "calibration", str(fold)])].reset_index(drop=True)
        shutil.rmtree(folder / "predict" / f"{member}-{fold}", ignore_errors=True)
        shutil.rmtree(folder / "train" / f"{member}-{fold}", ignore_errors=True)
        tables[member, fold] = write_member(folder, rows, member, 20 + seed, fold)
        training = {"training_accuracy": 0.8 + 0.1 * fold, "training_images": 30 + fold}
        path = folder / "predict" / f"{member}-{fold}" / "summary.json"
        path.write_text(json.dumps(training))
    shutil.rmtree(folder / "ensemble")
    held_out = frame[frame.fold.isin(["test", "calibration"])].reset_index(drop=True)
    write_ensemble(folder / "ensemble", held_out)
    run(folder)
    return folder, frame, tables


def test_members_of_an_average_are_measured_by_their_mean_on_the_test_set_alone(averaged):
    folder, frame, tables = averaged

    found = read_metrics(folder)

    tested = frame.set_index("image_id")[(frame.fold == "test").to_numpy()]
    for member in ("b4", "b5"):
        own = [tables[member, fold].set_index("image_id").loc[tested.index] for fold in (0, 1)]
        mean = (own[0][CHANCES].to_numpy(np.float64) + own[1][CHANCES].to_numpy(np.float64)) / 2
        assert found[member]["n"] == len(tested)
        assert found[member]["macro_auroc"] == pytest.approx(macro_auroc(tested.diagnosis, mean))
        # Of its one network without the fold: in the mean, the other one trained on the case.
        assert found[f"{member}_out_of_fold"]["n"] == frame.fold.isin(["0", "1"]).sum()
    assert found["ensemble"]["n"] == len(tested)


def test_training_accuracy_of_an_average_is_the_mean_of_its_networks(averaged):
    table = pd.read_csv(averaged[0] / "report" / "recipe.csv")

    assert table.training_accuracy[:2].tolist() == pytest.approx([0.85, 0.85])
    assert table.training_images[:2].tolist() == [61, 61]


def test_network_that_was_told_the_calibration_part_is_caught(averaged, tmp_path):
    folder = shutil.copytree(averaged[0], tmp_path / "told")
    path = folder / "predict" / "b5-1" / "predictions.csv"
    table = pd.read_csv(path)
    rows = (table.split == "calibration").to_numpy()
    labels = averaged[1].set_index("image_id").diagnosis[table.image_id].map(CLASSES.index)
    table.loc[rows, CHANCES] = np.eye(9)[labels][rows]
    table.to_csv(path, index=False)

    with pytest.raises(TooGoodError, match=r"^b5-1 must .* on the calibration part\. Got: 1\.0000"):
        run(folder, "second")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            "{bootstrap_repeats: 0, interval: 0.95, seed: 1, too_good_auroc: 1, costs: COSTS}",
            "bootstrap_repeats must be at least 1",
        ),
        (
            "{bootstrap_repeats: 9, interval: 95, seed: 1, too_good_auroc: 1, costs: COSTS}",
            r"interval must be in \(0, 1\)\. Got: 95",
        ),
        (
            "{bootstrap_repeats: 9, interval: 0.95, seed: -1, too_good_auroc: 1, costs: COSTS}",
            "seed must be at least 0",
        ),
        (
            "{bootstrap_repeats: 9, interval: 0.95, seed: 1, too_good_auroc: 0.5, costs: COSTS}",
            "above 0.5",
        ),
        (
            "{bootstrap_repeat: 9, interval: 0.95, seed: 1, too_good_auroc: 1, costs: COSTS}",
            r"Unknown: \['bootstrap_repeat'\]",
        ),
        (
            "{bootstrap_repeats: 9, interval: 0.95, seed: 1, too_good_auroc: 1, costs: MINUS}",
            r"same_side must be at least 0 and finite\. Got: -1\.0",
        ),
    ],
)
def test_params_out_of_range_are_refused(tmp_path, section, message):
    costs = "{missed_malignant: 1.0, needless_referral: 1.0, same_side: 1.0}"
    section = section.replace("COSTS", costs).replace("MINUS", costs.replace("1.0}", "-1.0}"))
    (tmp_path / "params.yaml").write_text(f"evaluate: {section}\n")

    with pytest.raises(ParamsError, match=message):
        params.load("evaluate", EvaluateParams, tmp_path / "params.yaml")
