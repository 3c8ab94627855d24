"""The datastore and the app without a server: what they open, what they refuse, which labels they keep."""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from monai_app.errors import AppError, ConfigError, NotFoundError, StackError
from monai_app.label.app import StackApp
from monai_app.label.datastore.store import StackDatastore
from monai_app.label.datastore.temporary import called
from monai_app.label.datastore.volumes import Volumes
from monai_app.label.jobs.inference import Inference, infer
from monai_app.label.settings import Settings, Workspace
from monai_app.stack import Stack, annotate
from tests.label.conftest import app_in, as_nifti
from tests.stack.samples import become_another

SHAPE = (80, 96, 3)
"""Of case tiny_z0004, in x, y, z."""
PLACE = np.diag((-0.01, -0.01, 0.02, 1.0))
PLACE[2, 3] = 3 * 0.02
NEXT = PLACE + 0.02 * np.outer(np.eye(4)[2], np.eye(4)[3])
"""One slice further."""


@pytest.fixture
def path(tiny_stack: Stack, tmp_path: Path) -> Path:
    """Slices 1, 3 and 5 train and 6 tests."""
    return Path(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))


@pytest.fixture
def app(path: Path, trained: Path, tmp_path: Path) -> StackApp:
    return app_in(tmp_path / "tiny.label", path, trained)


@pytest.fixture
def store(path: Path, tmp_path: Path) -> StackDatastore:
    return StackDatastore(Settings(stack=str(path), bundles=("unet",)), Workspace(tmp_path / "tiny.label"))


def test_the_stack_is_opened_a_few_times_a_request_however_many_cases_there_are(
    app: StackApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = app.store.stack
    annotate(stack, {4: stack.read_annotation(3)}, source="tiny_z0005")
    opened = []

    def counted(path: Path, **options: str) -> Stack:
        opened.append(path)
        return original(path, **options)

    original = Stack.open
    monkeypatch.setattr(Stack, "open", counted)
    requests: tuple[Callable[[], object], ...] = (
        app.info,
        app.store.status,
        app.store.json,
        app.store.datalist,
        lambda: app.store.get_image_info("tiny_z0003"),
        lambda: app.store.get_label_info("tiny_z0003", "final"),
        lambda: app.next_sample({"strategy": "first"}),
        lambda: app.next_sample({"strategy": "least_sure"}),
    )
    for request in requests:
        opened.clear()
        request()
        assert 1 <= len(opened) <= 2
    assert app.store.get_labeled_images() == [f"tiny_z000{z}" for z in (1, 3, 4, 5, 6)]


def test_every_door_refuses_a_stack_that_was_replaced(app: StackApp) -> None:
    become_another(app.store.path)
    upload = app.store.cases.folder / "sent.nii.gz"
    store = app.store
    doors: tuple[Callable[[], object], ...] = (
        app.info,
        store.status,
        store.json,
        store.name,
        store.description,
        lambda: store.get_image_uri("tiny_z0003"),
        lambda: store.get_label_uri("tiny_z0003", "final"),
        lambda: store.remove_label("tiny_z0003", "final"),
        lambda: app.infer({"model": "trained", "image": "tiny_z0003"}),
        lambda: app.infer({"model": "trained", "image": str(upload)}),
        lambda: app.next_sample({"strategy": "first"}),
        lambda: app.next_sample({"strategy": "least_sure"}),
        lambda: app.scoring({"method": "slices"}),
        lambda: infer(Inference(Path("run"), store.path, app.settings.ingested, "cpu", None, Path("target"))),
        lambda: app.model("trained"),  # before work in the background is begun
    )
    for door in doors:
        with pytest.raises(StackError, match="was replaced since it was opened"):
            door()


def sent(folder: Path, content: bytes) -> str:
    """What a client sent, under the name that the server gives it."""
    (folder / "tmpabc.nii.gz").write_bytes(content)
    return str(folder / "tmpabc.nii.gz")


@pytest.mark.parametrize(
    ("pixels", "place", "text"),
    [
        (np.full(SHAPE, 0.5), PLACE, r"labels hold 0\.5 and must be integers"),
        (np.full(SHAPE, 300, np.int16), PLACE, "labels hold 300 and must be integers 0 to 255"),
        (np.ones(SHAPE, np.uint8), np.eye(4), "the labels' voxels are .* and the image's"),
        (np.ones(SHAPE[::-1], np.uint8), np.eye(4), "the labels' voxels are .* and the image's"),
        (np.ones((80, 96, 2), np.uint8), PLACE, r"cover \(2, 96, 80\) voxels .* and the image has \(3, 96, 80\)"),
        (np.ones(SHAPE, np.uint8), NEXT, r"cover \(3, 96, 80\) voxels .* from \(1, 0, 0\) and the image has"),
        (np.ones((*SHAPE, 2), np.uint8), PLACE, "must have three axes"),
    ],
)
def test_labels_that_are_files_are_checked_too(
    store: StackDatastore, tmp_path: Path, pixels: np.ndarray, place: np.ndarray, text: str
) -> None:
    store.add_image("mine", sent(tmp_path, as_nifti(np.ones((*SHAPE, 2), np.uint8), PLACE).getvalue()), {})
    for image, tag in (("tiny_z0004", "original"), ("mine", "final"), ("mine", "original")):
        with pytest.raises(AppError, match=text):
            store.save_label(image, sent(tmp_path, as_nifti(pixels, place).getvalue()), tag, {})
        good = as_nifti(np.ones(SHAPE, np.float32), PLACE).getvalue()
        assert store.save_label(image, sent(tmp_path, good), tag, {}) == image
        assert Path(store.get_label_uri(image, tag)).read_bytes() == good


def test_errors_call_files_and_tags_what_clients_call_them(store: StackDatastore, tmp_path: Path) -> None:
    content = as_nifti(np.ones(SHAPE, np.uint8), PLACE).getvalue()
    for tag, text in (
        ("final ", "tag 'final ': must contain only letters"),
        ("FINAL", "tag 'FINAL': checked labels have the tag 'final'"),
        ("Final", "tag 'Final': checked labels"),
    ):
        with pytest.raises(AppError, match=text):
            store.save_label("tiny_z0004", sent(tmp_path, content), tag, {})
    for tag in ("final", "original"):
        with pytest.raises(AppError, match=r"^the label cannot be read"):
            store.save_label("tiny_z0004", sent(tmp_path, content[:-40]), tag, {})
    with pytest.raises(AppError, match=r"^the image: it has 2 bytes|^the image cannot be read"):
        store.add_image("mine", sent(tmp_path, b"PK"), {})
    with pytest.raises(AppError, match=r"^the volume: it has 2 bytes|^the volume cannot be read"):
        store.add_session(Path(sent(tmp_path, b"PK")))
    with pytest.raises(AppError, match="label_info: 5 is not a list"):
        store.save_label("tiny_z0004", sent(tmp_path, content), "final", {"label_info": 5})
    assert not list((tmp_path / "tiny.label" / "labels").rglob("*.nii.gz"))


def test_a_label_that_comes_while_its_image_is_removed_is_refused_and_none_is_inherited(
    store: StackDatastore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = as_nifti(np.ones((*SHAPE, 2), np.uint8), PLACE).getvalue()
    label = as_nifti(np.ones(SHAPE, np.uint8), PLACE).getvalue()
    store.add_image("mine", sent(tmp_path, image), {"from": "the first"})
    source = sent(tmp_path, label)
    store.save_label("mine", source, "final", {})
    forget = store.records.forget
    with ThreadPoolExecutor(1) as pool:
        late: list[Future[str]] = []

        def save_meanwhile(image_id: str) -> None:
            assert store.uploads.path("mine"), "the image goes last"
            late.append(pool.submit(store.save_label, "mine", source, "late", {}))
            time.sleep(0.2)
            forget(image_id)

        monkeypatch.setattr(store.records, "forget", save_meanwhile)
        store.remove_image("mine")
        with pytest.raises(NotFoundError, match="there is no image 'mine'"):
            late[0].result(20)
    assert not list(store.workspace.labels.rglob("mine*"))
    store.add_image("mine", sent(tmp_path, image), {})
    assert store.json()["objects"]["mine"]["labels"] == {}
    assert "from" not in store.get_image_info("mine")


def test_a_volume_that_is_removed_while_its_inference_waits_is_labelled(
    app: StackApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, store = as_nifti(np.ones((*SHAPE, 2), np.uint8), PLACE).getvalue(), app.store
    session = store.add_session(Path(sent(tmp_path, content)))
    store.add_image("mine", sent(tmp_path, content), {})
    asked: list[bytes] = []

    def waited(_: object, inference: Inference, **__: object) -> dict[str, object]:
        if len(asked) == 0:
            store.sessions.remove_session(session)
        else:
            store.remove_image("mine")
        assert inference.volume is not None
        asked.append(inference.volume.read_bytes())
        inference.target.write_bytes(b"labels")
        return {}

    monkeypatch.setattr(app.worker, "do", waited)
    images = [store.sessions.get_session(session).image, "mine"]
    results = [app.infer({"model": "trained", "image": image}) for image in images]
    assert asked == [content] * 2
    kept = [Path(result["file"]) for result in results]
    assert sorted(app.workspace.temporary.iterdir()) == sorted(kept)
    for image in images:
        with pytest.raises(NotFoundError):
            app.infer({"model": "trained", "image": image})


def test_an_upload_is_removed_in_all_formats(tmp_path: Path) -> None:
    uploads = Volumes(tmp_path)
    for name in ("mine.nii", "mine.nrrd", "mine2.nrrd"):
        (tmp_path / name).touch()
    uploads.remove("mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine2.nrrd"]
    uploads.remove("mine")


def test_an_error_in_other_words_has_the_same_cause() -> None:
    with pytest.raises(StackError, match=r"^the label cannot be written") as told, called(Path("/a/b"), "the label"):
        raise StackError("/a/b cannot be written") from OSError(28, "No space left on device")
    assert isinstance(told.value.__cause__, OSError)


def test_a_label_is_not_kept_through_a_link(app: StackApp, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    app.workspace.labels.mkdir(parents=True, exist_ok=True)
    (app.workspace.labels / "mine").symlink_to(tmp_path / "elsewhere")
    case = app.store.case("tiny_z0004")
    assert case is not None
    with pytest.raises(ConfigError, match="tag 'mine': its folder is a link"):
        app.store.save_label(case.id, app.store.get_image_uri(case.id), "mine", {})
    assert not list((tmp_path / "elsewhere").iterdir())
    assert app.store.get_label_uri(case.id, "mine") == ""


def test_damaged_records_are_named_and_labels_stay(store: StackDatastore) -> None:
    store.update_image_info("tiny_z0003", {"note": "crack"})
    store.records.path.write_text("{")
    for door in (store.json, lambda: store.update_image_info("tiny_z0003", {})):
        with pytest.raises(ConfigError, match=r"records\.json is damaged; remove it"):
            door()
    store.records.path.unlink()
    assert store.get_label_uri("tiny_z0003", "final")


def test_methods_that_nobody_calls_are_refused(store: StackDatastore) -> None:
    for method in (store.refresh, store.get_image, store.set_name):
        with pytest.raises(NotImplementedError, match="no route, task or client"):
            method("tiny_z0003")
