"""Many requests at once, or one that keeps the server busy: others are answered meanwhile."""

import gc
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from monai_app.label.http.security import _WITH_FILES, LARGEST_TEXT
from monai_app.stack import Stack
from tests.label.conftest import Served, app_in
from tests.label.http.test_disconnect import sent, volumes
from tests.label.servers import wait_for


def test_files_are_sent_to_the_paths_that_may_be_sent_much(served: Served) -> None:
    paths = served.ask("GET", "/openapi.json").json()["paths"]
    kinds = {
        path: {kind for told in operations.values() for kind in told.get("requestBody", {}).get("content", {})}
        for path, operations in paths.items()
    }
    files = {path for path, found in kinds.items() if "multipart/form-data" in found}
    hidden = {"/datastore/"}  # MONAI Label's client still sends images there
    assert files | hidden == {path for path in kinds if _WITH_FILES.fullmatch(path)}


def test_forms_hold_few_and_short_texts(served: Served) -> None:
    def ask(**fields: str) -> tuple[int, str]:
        parts = {name: (None, text) for name, text in fields.items()}
        answer = served.ask("POST", "/infer/trained?image=tiny_z0001&output=json", files=parts)
        return answer.status_code, answer.text

    assert ask(params=json.dumps({"a": "x" * 200_000}))[0] == 200
    for status, text in (ask(params=" " * (LARGEST_TEXT + 1)), ask(**{f"f{number}": "" for number in range(17)})):
        assert status in (400, 413)
        assert "maximum size" in text or "Too many fields" in text


@pytest.fixture(scope="module")
def app(tiny_stack: Stack, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An app that no server runs yet."""
    return app_in(tmp_path_factory.mktemp("app"), tiny_stack.path, trained)


def test_what_is_loaded_is_not_looked_through_for_garbage_while_requests_are_read(app: Any) -> None:
    from monai_app.label.http.security import Access
    from monai_app.label.http.server import create_api

    gc.unfreeze()  # another server of this process may have done it
    before = gc.get_freeze_count()
    try:
        with TestClient(create_api(app, Access())):
            pass
        assert gc.get_freeze_count() > before + 100_000  # and they stay so: the process ends sooner
    finally:
        gc.unfreeze()


def test_what_was_measured_with_weights_that_count_no_more_is_not_kept(
    app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monai_app.label.jobs.inference import measure
    from monai_app.label.models import ServedModel
    from monai_app.label.strategies import measure_uncertainty

    model, run = app.model("trained"), app.model("trained").run
    kept = app.workspace.scores / "trained.json"
    measured = partial(measure, run, app.store.path, None, "cpu")
    runs = iter([run, run])
    with monkeypatch.context() as patch:
        patch.setattr(ServedModel, "run", property(lambda _: next(runs, tmp_path)))
        assert len(measure_uncertainty(app.store, model, measured)) == 8
    assert not kept.exists()
    measure_uncertainty(app.store, model, measured)
    assert kept.is_file()


def test_scoring_that_is_waited_for_runs_like_any_other(served: Served) -> None:
    before = served.server.said()
    sync = "/scoring/uncertainty?run_sync=true"
    found = served.ask("POST", sync, json={"model": "trained"}).json()
    assert set(found) == {str(z) for z in range(8)}
    assert all(0 < value < 1 for value in found.values())
    last = served.ask("GET", "/scoring/").json()
    assert (last["status"], last["request"]) == ("DONE", {"method": "uncertainty", "model": "trained"})
    (served.folder / "scores" / "sensor3d.json").unlink(missing_ok=True)
    with ThreadPoolExecutor() as pool, closing(sent(served)):  # who keeps the worker busy
        wait_for(lambda: volumes(served))
        waits = pool.submit(served.ask, "POST", sync, json={"model": "sensor3d"})
        wait_for(lambda: served.ask("GET", "/scoring/?check_if_running=true").ok, 20)
        assert served.ask("POST", sync).status_code == 429
        assert served.ask("DELETE", "/scoring/").json()["status"] == "STOPPED"
        answer = waits.result()
    assert (answer.status_code, "stopped" in answer.json()["detail"]) == (409, True)
    assert served.ask("GET", "/scoring/").json()["status"] == "STOPPED"
    wait_for(lambda: not served.of_requests())
    assert "Traceback" not in served.server.said().removeprefix(before)


def test_slices_are_proposed_to_several_clients_at_once(served: Served) -> None:
    (served.folder / "scores" / "appearance.json").unlink(missing_ok=True)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: served.ask("POST", "/activelearning/least_sure"), range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.json()["id"] for answer in answers}) == 1
