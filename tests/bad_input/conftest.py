"""Good inputs of the rows, made once."""

from pathlib import Path

import pytest

from monai_app.stack import Stack
from tests.bad_input.goods import make_goods
from tests.bad_input.running import States, run_line, states
from tests.conftest import made_once
from tests.label.conftest import import_quietly


@pytest.fixture(scope="session")
def goods(tiny_stack: Stack, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, States]:
    """Folder of the good inputs, and the states that they must keep."""

    def make(folder: Path) -> None:
        make_goods(folder, tiny_stack.path.with_name("sample"), tiny_stack.path, trained)

    import_quietly()
    run_line(["settings"], tmp_path_factory.getbasetemp())  # imports what commands import, which is not a row's time
    folder = made_once(tmp_path_factory, "bad_input", make)
    return folder, states(folder)
