"""The datastore and the app without a server: what they open, what they refuse, which labels they keep."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from monai_app.errors import StackError
from monai_app.label.app import StackApp
from monai_app.label.settings import Settings, Workspace
from monai_app.stack import Stack, annotate


@pytest.fixture
def app(tiny_stack: Stack, trained: Path, tmp_path: Path) -> StackApp:
    """Slices 1, 3 and 5 train and 6 tests."""
    stack = Path(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))
    return StackApp(Settings(str(stack), (str(trained),)), Workspace(tmp_path / "tiny.label"))


def test_the_stack_is_opened_a_few_times_a_request_however_many_cases_there_are(
    app: StackApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = app.store.stack
    annotate(stack, {4: stack.read_annotation(3)}, source="tiny_z0005")
    opened = []

    def counted(cls: type[Stack], path: Path, **options: str) -> Stack:
        opened.append(path)
        return original(cls, path, **options)

    original = Stack.open.__func__
    monkeypatch.setattr(Stack, "open", classmethod(counted))
    requests: tuple[Callable[[], object], ...] = (
        app.info,
        app.store.status,
        app.store.json,
        app.store.datalist,
        lambda: app.store.get_image_info("tiny_z0003"),
        lambda: app.store.get_labels_by_image_id("tiny_z0003"),
        lambda: app.next_sample({"strategy": "first"}),
        lambda: app.next_sample({"strategy": "least_sure"}),
    )
    for request in requests:
        opened.clear()
        request()
        assert 1 <= len(opened) <= 2
    assert app.store.get_labeled_images() == [f"tiny_z000{z}" for z in (1, 3, 4, 5, 6)]


def test_every_door_refuses_a_stack_that_was_replaced(app: StackApp) -> None:
    annotations = app.store.path / "labels" / "annotation"
    shutil.rmtree(annotations)
    file = app.store.path / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["monai_app"]["identity"] = "another"
    file.write_text(json.dumps(content))
    upload = app.store.cases.folder / "sent.nii.gz"
    store = app.store
    doors: tuple[Callable[[], object], ...] = (
        app.info,
        store.status,
        store.json,
        store.name,
        lambda: store.get_image_uri("tiny_z0003"),
        lambda: store.get_label_uri("tiny_z0003", "final"),
        lambda: store.remove_label("tiny_z0003", "final"),
        lambda: app.infer({"model": "trained", "image": "tiny_z0003"}),
        lambda: app.infer({"model": "trained", "volume": str(upload)}),
        lambda: app.next_sample({"strategy": "first"}),
        lambda: app.next_sample({"strategy": "least_sure"}),
        lambda: app.scoring({"method": "slices"}),
        lambda: app.model("trained"),  # before work in the background is begun
        lambda: StackApp(app.background.settings, app.workspace),  # as its process does
    )
    for door in doors:
        with pytest.raises(StackError, match="was replaced since it was opened"):
            door()
