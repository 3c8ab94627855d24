"""The stack of quarters, which no test may change."""

import pytest

from monai_app.stack import Stack
from tests.proposals.samples import ingest_quarters


@pytest.fixture(scope="package")
def quarters(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return ingest_quarters(tmp_path_factory.mktemp("quarters"))
