"""Tests of `tools.benchmark_growth`."""

import pytest

from tools import benchmark_growth
from tools.benchmark_growth import measure


@pytest.mark.slow
def test_each_run_works_on_what_came_new():
    costs = {(cost.run, cost.stage): cost for cost in measure(40, 3)}

    worked_on = {
        "from nothing": 40,
        "nothing changed": 0,
        "3 added": 3,
        "3 added in a folder of their own": 3,
        "all from nothing": 46,
    }
    for stage in ("ingest", "crop", "resize"):
        assert {run: costs[run, stage].worked_on for run in worked_on} == worked_on
    assert costs["nothing changed", "crop"].changed_shards == 0
    assert costs["from nothing", "crop"].changed_shards == costs["from nothing", "crop"].shards > 0


@pytest.mark.slow
def test_bytes_that_depend_on_history_would_be_caught(monkeypatch):
    """The planted fault: a folder whose hash is another each time that it is asked for."""
    asked = iter(range(100))
    plain = benchmark_growth.digests
    monkeypatch.setattr(
        benchmark_growth, "digests", lambda folder: plain(folder) | {"x": str(next(asked))}
    )

    with pytest.raises(RuntimeError, match="must be those made from nothing"):
        measure(4, 1)
