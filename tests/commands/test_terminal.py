"""What every command shares: lines of progress where nobody looks."""

from __future__ import annotations

import pytest

from stemcls.commands.terminal import SECONDS_VARIABLE, progress
from stemcls.errors import InputError


def test_progress_in_a_log_comes_as_often_as_the_environment_says(monkeypatch, capsys) -> None:
    monkeypatch.setenv(SECONDS_VARIABLE, "0")
    with progress("audit") as update:
        update(1, 2, "folds")
    assert capsys.readouterr().err == "audit: 1/2 folds\n"


@pytest.mark.parametrize("value", ["often", "-1", "nan", "inf"])
def test_what_is_no_number_of_seconds_is_bad_input(monkeypatch, value) -> None:
    monkeypatch.setenv(SECONDS_VARIABLE, value)
    said = f"is '{value}': expected a number of seconds"
    with pytest.raises(InputError, match=said), progress("audit"):
        pass
