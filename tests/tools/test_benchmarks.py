"""What the benchmarks share."""

import sys

import pytest
from common import command

from tests.conftest import CHECKOUT


def test_results_name_the_command_that_a_person_gives_in_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/interval_coverage.py", "--work", "/tmp/work", "--stacks", "4"])
    tool, *words = command()
    assert (CHECKOUT / tool).is_file()
    assert words == ["--work", "work", "--stacks", "4"]
