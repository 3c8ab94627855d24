"""A study that is done, of trainings that take seconds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from monai_app.background.child import COMMAND
from monai_app.cli import app
from monai_app.stack import Stack
from monai_app.study.execution import completion
from tests import warm
from tests.conftest import TINY, made_once

STARTED = completion._BASELINE
"""Starts a Python for thresholds, as one run of these tests does."""

VARIANTS = ("unet_ICE_1", "unet_ICE+TLD_1", "otsu_ICE+TLD_1")


def design_file(folder: Path, **changes: Any) -> Path:
    settings = {name: value for name, value in TINY.items() if name != "max_epochs"}
    design = {"variants": [*VARIANTS], "seeds": [0], "epochs": 1, "settings": settings, **changes}
    path = folder / "design.yaml"
    path.write_text(yaml.safe_dump(design), encoding="utf8")
    return path


@pytest.fixture(scope="package", autouse=True)
def forked() -> Iterator[None]:
    """Runs are processes that are forked from one that has imported MONAI."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completion, "COMMAND", (warm.python(), *COMMAND[1:]))
        patch.setattr(completion, "_BASELINE", (warm.python(), *STARTED[1:]))
        yield


@pytest.fixture(scope="package")
def study(tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A study of two networks and thresholds with one seed, and what the command said."""

    def make(folder: Path) -> None:
        folder.mkdir()
        words = ["study", tiny_stack.path, folder / "s", "--design", design_file(folder), "--jobs", 2]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(completion, "_BASELINE", STARTED)
            found = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
        assert found.exit_code == 0
        (folder / "said").write_text(found.stdout, encoding="utf8")

    folder = made_once(tmp_path_factory, "study", make)
    return folder / "s", (folder / "said").read_text(encoding="utf8")
