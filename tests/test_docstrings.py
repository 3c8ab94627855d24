"""The examples in docstrings are true."""

import doctest
import importlib

import pytest

from tests.conftest import CHECKOUT

WITH_EXAMPLES = [
    ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)
    for path in sorted(CHECKOUT.glob("monai_app/**/*.py"))
    if any(">>> " in line and "+SKIP" not in line for line in path.read_text(encoding="utf8").splitlines())
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted > 0
    assert failed == 0
