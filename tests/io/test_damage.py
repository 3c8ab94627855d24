"""Damaged files of every format are read, or refused in a line that names the file."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_app.io import Request
from tests.io.damaging import FORMATS, damaged, outcome, write_all


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_all(tmp_path_factory.mktemp("written"))


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), labels=st.booleans())
def test_damaged_files_are_refused_or_read(
    written: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, form: str, seed: int, labels: bool
) -> None:
    assert outcome(written[form], Request(labels=labels)) == ""
    target = tmp_path_factory.getbasetemp() / "damaged"
    message = outcome(damaged(written[form], target, Random(seed)), Request(labels=labels))
    assert "\n" not in message
    assert not message or str(target) in message
