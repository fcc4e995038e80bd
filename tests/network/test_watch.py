"""Tests of `pipeline.network.watch`: the bar, DVCLive's folder and the speed of an epoch."""

import time

import pandas as pd
import pytest

from pipeline.network.watch import Speed, Watch
from pipeline.storage import read_json


def watch(folder, history=(), epochs=3):
    return Watch("b4-0", epochs=epochs, epoch_images=32, history=list(history), folder=folder)


def row(epoch):
    return {"epoch": epoch, "loss": 1 / epoch, "held_out_accuracy": epoch / 10}


def test_live_folder_holds_every_epoch_those_of_an_earlier_process_too(tmp_path):
    """DVC deletes a stage's outs before it runs: a resumed run writes what was there again."""
    with watch(tmp_path / "live", history=[row(1), row(2)]) as seen:
        seen.epoch(row(3))

    losses = pd.read_csv(tmp_path / "live" / "plots" / "metrics" / "loss.tsv", sep="\t")
    assert losses.loss.tolist() == pytest.approx([1, 1 / 2, 1 / 3])
    assert losses.step.tolist() == [0, 1, 2]
    last = read_json(tmp_path / "live" / "metrics.json")
    assert last["held_out_accuracy"] == pytest.approx(0.3)


def test_nothing_is_written_but_the_live_folder(tmp_path, monkeypatch):
    """DVCLive would write the project's own dvc.yaml."""
    monkeypatch.chdir(tmp_path)

    with watch(tmp_path / "live") as seen:
        seen.epoch(row(1))

    assert [path.name for path in tmp_path.iterdir()] == ["live"]
    assert not list(tmp_path.rglob("dvc.yaml"))


def test_bar_shows_epoch_mean_loss_rate_and_how_much_is_left(tmp_path, capsys):
    with watch(None, history=[row(1)]) as seen:
        seen.step(1, 16, [], 1e-4)
        seen.step(1, 16, [2.0, 1.0], 2.5e-4)

    shown = capsys.readouterr().err
    assert "64/96" in shown  # images: one epoch restored, one taken
    assert "epoch=2/3" in shown
    assert "loss=1.500" in shown
    assert "rate=2.5e-04" in shown
    assert "nan" not in shown


def test_speed_is_images_per_second_the_median_step_and_the_share_of_waiting(monkeypatch):
    now = iter([0.0, 2.0, 2.5, 3.0, 4.0])  # begin, three steps, end
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    speed = Speed()
    for waited in (0.5, 0.1, 0.2):
        speed.step(8, waited)

    found = speed.row()

    assert found == {
        "images_per_s": pytest.approx(24 / 4),
        "step_ms": pytest.approx(500),
        "wait_share": pytest.approx(0.2),
        "seconds": pytest.approx(4),
    }
