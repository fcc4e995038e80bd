"""Tests of `pipeline.command`."""

import pytest

from pipeline.command import run_stage


def failing(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("epochs must be at least 1."), 1, "error: epochs must be at least 1.\n"),
        (OSError(28, "No space left on device"), 1, "error: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
    ],
)
def test_what_a_user_can_mend_ends_in_one_line(capsys, error, status, line):
    assert run_stage(failing(error)) == status
    assert capsys.readouterr().err == line


def test_success_is_silent(capsys):
    assert run_stage(lambda: None) == 0
    assert capsys.readouterr() == ("", "")


def test_bug_keeps_its_traceback():
    with pytest.raises(KeyError):
        run_stage(failing(KeyError("oops")))
