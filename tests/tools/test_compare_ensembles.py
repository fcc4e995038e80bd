"""Tests of `tools.compare_ensembles`."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.scoring.bootstrap import resampling_units
from pipeline.scoring.metrics import auroc, every_case_once
from tools import compare_ensembles
from tools.compare_ensembles import count_units, differing_alone, join, name_units, read_table

pytestmark = pytest.mark.slow

REAL = Path(__file__).resolve().parents[3] / "shared/data/predictions/oof_melanoma_3_models.csv"


def drawn_table(count=240, models=3):
    rng = np.random.default_rng(0)
    target = (rng.random(count) < 0.3).astype(int)
    patients = [f"IP_{i // 4}" if i % 9 else "" for i in range(count)]
    table = pd.DataFrame(
        {
            "image_id": [f"ISIC_{i}" for i in range(count)],
            "patient_id": patients,
            "source": ["ISIC20", "ISIC19"] * (count // 2),
            "target": target,
        }
    )
    shared = rng.normal(size=count)
    for model in range(1, models + 1):
        logits = 1.5 * target + shared + rng.normal(size=count) - 1
        table[f"model_{model}"] = 1 / (1 + np.exp(-logits))
    return table


def written(folder, table):
    path = folder / "scores.csv"
    table.to_csv(path, index=False)
    return path


def models_of(table):
    return {name: table[name].to_numpy() for name in table if name.startswith("model_")}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder that one run of the command writes."""
    folder = tmp_path_factory.mktemp("compare")
    path = written(folder, drawn_table())
    compare_ensembles.main([str(path), "--repeats", "60", "--out", str(folder / "out")])
    return folder / "out"


def test_every_way_has_its_figures_with_interval_and_counts(run):
    table = pd.read_csv(run / "ensembles.csv")

    assert table.way.tolist() == [
        *("model_1", "model_2", "model_3"),
        *("mean", "rank_average", "mean_logits", "nested_weights"),
    ]
    assert (table.auroc_low < table.auroc).all()
    assert (table.auroc < table.auroc_high).all()
    assert (table.n == 240).all()
    assert (table.positives == drawn_table().target.sum()).all()
    assert table.auroc_above_80_sensitivity.between(0.18, 1).all()


def test_every_way_is_compared_with_the_rank_average_by_both_tests(run):
    table = pd.read_csv(run / "differences.csv")

    of_auroc = table[table.metric == "auroc"]
    assert of_auroc.test.value_counts().to_dict() == {"delong": 6, "bootstrap": 6}
    assert set(table.second) == {"rank_average"}
    by_test = of_auroc.pivot(index="first", columns="test", values="value")
    np.testing.assert_allclose(by_test.delong, by_test.bootstrap)
    assert of_auroc.p_value.between(0, 1).all()


def test_the_json_holds_the_tables_and_how_they_were_made(run):
    found = json.loads((run / "ensembles.json").read_text())

    assert {key: found[key] for key in ("repeats", "seed", "folds")} == {
        "repeats": 60,
        "seed": 20200601,
        "folds": 5,
    }
    assert found["differing_alone"] == 0
    assert len(found["ensembles"]) == 7
    assert np.sum(found["nested_weights"]["by_fold"], axis=1) == pytest.approx(np.ones(5))
    assert len(found["table_sha256"]) == 64


def test_figures_are_printed_and_nothing_differs_alone(tmp_path, capsys):
    path = written(tmp_path, drawn_table(80, models=2))

    compare_ensembles.main([str(path), "--repeats", "20", "--folds", "2"])

    text = capsys.readouterr().out
    assert "'n': 80" in text
    assert "nested weights of model_1, model_2 without fold 1: [" in text
    assert "0 of 80 cases differ" in text
    assert not list(tmp_path.glob("*.json"))


def test_two_models_that_say_the_same_have_a_dash_for_p(tmp_path, capsys):
    table = drawn_table(80, models=1)
    path = written(tmp_path, table.assign(model_2=table.model_1))

    compare_ensembles.main([str(path), "--repeats", "20"])

    lines = [line for line in capsys.readouterr().out.splitlines() if "delong" in line]
    assert [line.split()[2:] for line in lines] == [["+0.0000", "[-,", "-]", "-"]] * 5


def test_rank_average_of_a_case_alone_is_checked_case_by_case():
    models = models_of(drawn_table())
    ways, _ = join(models, drawn_table().target == 1, np.arange(240), folds=2, seed=0)

    assert differing_alone(models, ways["rank_average"]) == 0


def test_ranks_inside_the_batch_are_caught():
    """The planted fault: the usual rank average, which depends on who else is there."""
    table = drawn_table()
    models = models_of(table)
    ranks = [table[name].rank(pct=True).to_numpy() for name in models]

    assert differing_alone(models, np.mean(ranks, axis=0)) == 240


def test_unit_is_the_patient_else_the_lesion_else_the_image():
    table = pd.DataFrame(
        {
            "image_id": ["a", "b", "c", "d", "e", "f"],
            "patient_id": ["P1", "P1", "L1", "d", "", "P1"],
            "source": ["ISIC20", "ISIC20", "ISIC19", "ISIC19", "ISIC19", "ISIC19"],
        }
    )

    cases = name_units(table)

    assert count_units(cases) == {"patients": 1, "lesions": 2, "images_alone": 2}
    # A lesion that is called as a patient is none of his.
    assert len(np.unique(resampling_units(cases))) == 5


def without(column):
    return lambda table: table.drop(columns=column)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (without("target"), r"columns must be \['image_id', 'patient_id', 'source', 'target'\] "),
        (without(["model_1", "model_2"]), r"and two or more model_…\. Got: \['image_id', "),
        (lambda t: t.assign(sex="male"), r"columns must be .*'sex'\]\.$"),
        (lambda t: t.assign(image_id="a"), r"image_id must be unique\. Got: 239 again, first \['a"),
        (lambda t: t.assign(target=1), r"target must be 0 or 1, and both\. Got: \[1\]\.$"),
        (lambda t: t.assign(target=t.target * 2), r"target must be 0 or 1, and both\. Got: \["),
        (lambda t: t.assign(model_2="x"), r"scores must be in \[0, 1\]\. Got others for 240, "),
        (lambda t: t.assign(model_2=1.5), r"scores must be in \[0, 1\]\. Got others for 240, "),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, fault, message):
    path = written(tmp_path, fault(drawn_table()))

    with pytest.raises(ValueError, match=rf"^{path}: .*{message}"):
        read_table(path)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.csv").touch()

    with pytest.raises(ValueError, match=r"empty\.csv must be a table\. Got: an empty file\.$"):
        read_table(tmp_path / "empty.csv")


@pytest.mark.parametrize("option", [["--repeats", "0"], ["--interval", "95"], ["--seed", "-1"]])
def test_an_option_out_of_range_is_refused(option, capsys):
    with pytest.raises(SystemExit):
        compare_ensembles.main(["scores.csv", *option])

    assert "--repeats must be at least 1, --seed at least 0" in capsys.readouterr().err


@pytest.mark.data
@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared/data/predictions")
def test_real_scores_have_their_known_auroc():
    table = read_table(REAL)
    units, positive = resampling_units(name_units(table)), table.target.to_numpy() == 1
    models = models_of(table)

    ways, _ = join(models, positive, units, folds=5, seed=0)

    once = every_case_once(len(table))
    found = {name: round(float(auroc(positive, s, once)[0]), 4) for name, s in ways.items()}
    known = {"model_1": 0.9287, "model_2": 0.9048, "model_3": 0.9262}
    known |= {"mean": 0.9326, "rank_average": 0.9325}
    assert {name: found[name] for name in known} == known
    assert count_units(name_units(table)) == {
        "patients": 2056,
        "lesions": 11829,
        "images_alone": 2076,
    }
    ranks = [table[name].rank(pct=True).to_numpy() - 0.5 / len(table) for name in models]
    np.testing.assert_allclose(ways["rank_average"], np.mean(ranks, axis=0), atol=1e-12)
    assert differing_alone(models, ways["rank_average"]) == 0
