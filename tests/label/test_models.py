"""Which weights count, and what is said where they are damaged or gone."""

import json
import re
import shutil
from pathlib import Path

import pytest

from monai_app.bundle.runs import CURRENT, WEIGHTS
from monai_app.errors import ConfigError, NotTrainedError
from monai_app.label.app import StackApp
from monai_app.label.models import ServedModel
from monai_app.label.settings import Workspace
from monai_app.stack import Stack
from tests.label.conftest import app_in
from tests.label.test_serve import refused


def damage(run: Path) -> None:
    content = (run / WEIGHTS).read_bytes()
    (run / WEIGHTS).write_bytes(content[:2000])


@pytest.fixture
def app(tiny_stack: Stack, trained: Path, tmp_path: Path) -> StackApp:
    """An app whose model "trained" was trained here once, as run 0001."""
    workspace = Workspace(tmp_path / "served")
    shutil.copytree(trained, workspace.models / "trained" / "0001")
    (workspace.models / "trained" / CURRENT).write_text(json.dumps({"run": "0001"}))
    return app_in(workspace.folder, tiny_stack.path, trained)


def test_damaged_weights_are_refused_before_anything_listens(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    damage(run)
    message = refused(tiny_stack.path, "--bundle", run, "--studies", tmp_path / "studies")
    assert message.startswith(f"model run cannot be applied: {run / WEIGHTS} is damaged")
    assert CURRENT not in message


def test_the_message_of_a_damaged_run_says_how_to_do_without_it(app: StackApp) -> None:
    model: ServedModel = app.model("trained")
    model.check(app.store.stack)
    damage(model.runs.folder / "0001")
    with pytest.raises(ConfigError, match=rf"damaged.* remove {model.runs.folder / CURRENT}"):
        model.check(app.store.stack)
    (model.runs.folder / CURRENT).unlink()
    model.check(app.store.stack)


def test_a_run_that_was_trained_here_on_other_phases_is_refused(app: StackApp) -> None:
    model: ServedModel = app.model("trained")
    for name in ("inference.yaml", "metadata.json"):
        config = model.runs.folder / "0001" / "configs" / name
        config.write_text(re.sub(r'(name"?: "?)pore', r"\1void", config.read_text()))
    with pytest.raises(ConfigError, match=rf"must agree in name and order.* remove {model.runs.folder / CURRENT}"):
        model.check(app.store.stack)


def test_a_missing_run_is_named_when_needed_and_the_server_keeps_running(app: StackApp, trained: Path) -> None:
    model = app.model("trained")
    shutil.rmtree(model.runs.folder / "0001")
    model.check(app.store.stack)  # the server starts: another training mends it
    assert app.info()["models"]["trained"]["run"] == "0001"
    assert app.info()["train_stats"]["trained"]["run"] == "0001"
    for ask in (
        lambda: app.infer({"model": "trained", "image": "tiny_z0001"}),
        lambda: model.run,
        lambda: app.next_sample({"strategy": "least_sure"}),
    ):
        with pytest.raises(NotTrainedError, match=r'run 0001 of model trained .* are missing.*"pretrained": false'):
            ask()
    (model.runs.folder / CURRENT).unlink()
    assert model.run == trained
