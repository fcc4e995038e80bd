"""Tests of `tools.dvc`."""

import subprocess
from pathlib import Path

import pytest

from tools.dvc import GLIBC_TUNABLES, dvc


@pytest.mark.parametrize("given", [None, "", "glibc.malloc.hugetlb=0"])
def test_freed_memory_is_kept_unless_the_user_says_otherwise(given, monkeypatch):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if given is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", given)
    environments = []
    monkeypatch.setattr(subprocess, "run", lambda command, env, **_: environments.append(env))

    dvc(Path(), "status")

    (found,) = environments
    assert found["GLIBC_TUNABLES"] == (GLIBC_TUNABLES if given is None else given)
