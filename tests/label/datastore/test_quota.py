"""What clients send: it lies in the server's folder, takes no more than it may, and goes when nobody uses it."""

import errno
import os
import shutil
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
from starlette.requests import Request
from starlette.testclient import TestClient

from monai_app.errors import InsufficientSpaceError, NotFoundError, StackError
from monai_app.io import Grid, write_volume
from monai_app.label.datastore.quota import Quota
from monai_app.label.datastore.sessions import SECONDS, Sessions
from monai_app.stack import Stack, annotate
from tests.label.conftest import STORED, Served, app_in, as_nifti, import_quietly, open_files, process_of
from tests.label.servers import wait_for

NOISE = np.random.default_rng(0).integers(0, 256, (80, 96, 100, 2), dtype=np.uint8)
VOLUME = as_nifti(NOISE, np.eye(4)).getvalue()
"""About 1.5 MB: more than is kept in memory, and less than a request may send."""


def test_clients_stay_within_the_quota_and_expired_sessions_free_it(served: Served) -> None:
    def session(volume: bytes = VOLUME) -> requests.Response:
        return served.ask("PUT", "/session/", files={"files": ("v.nii.gz", volume)})

    def image(name: str) -> requests.Response:
        return served.ask("PUT", f"/datastore/image?image={name}", files={"file": ("v.nii.gz", VOLUME)})

    assert image("kept").ok
    ids = [session(as_nifti(NOISE[:, :, :2], np.eye(4)).getvalue()).json()["session_id"]]  # is labelled soon
    while (answer := session()).ok:
        ids.append(answer.json()["session_id"])
        assert len(ids) <= STORED / len(VOLUME)
    for refused in (answer, image("other")):
        assert refused.status_code == 507
        assert "--max-stored" in refused.json()["detail"]
        assert f"{len(VOLUME)} bytes" in refused.json()["detail"]
        assert f"of the {STORED} " in refused.json()["detail"]
    label = as_nifti(NOISE[..., 0], np.eye(4)).getvalue()
    sent = {"files": {"label": ("l.nii.gz", label)}}
    while (answer := served.ask("PUT", f"/datastore/label?image=kept&tag=t{time.monotonic_ns()}", **sent)).ok:
        pass
    assert answer.status_code == 507
    wait_for(lambda: not served.of_requests(), 20)
    files = {name: served.folder / "sessions" / f"{name}.nii.gz" for name in ids}
    ago = time.time() - SECONDS
    for path in files.values():
        os.utime(path, (ago + 600, ago + 600))
    assert served.ask("GET", f"/session/{ids[0]}").json()["last_access_ts"] == int(ago + 600)  # to look is not a use
    assert served.ask("POST", f"/infer/trained?session_id={ids[0]}&output=json").ok
    assert served.ask("GET", f"/session/{ids[0]}").json()["last_access_ts"] > time.time() - 600
    os.utime(files[ids[1]], (ago - 1, ago - 1))
    assert image("other").ok  # in its place
    assert not files[ids[1]].exists()
    gone = served.ask("POST", f"/infer/trained?session_id={ids[1]}")
    assert (gone.status_code, f"{SECONDS} s after its last use" in gone.json()["detail"]) == (404, True)
    for name in (ids[0], *ids[2:]):
        assert served.ask("DELETE", f"/session/{name}").ok
    for name in ("kept", "other"):
        assert served.ask("DELETE", f"/datastore/image?id={name}").ok


def test_a_body_lies_in_the_servers_folder_while_it_is_received(served: Served) -> None:
    process = process_of(served)
    host, port = urlsplit(served.server.url).netloc.split(":")
    begin = b'--x\r\nContent-Disposition: form-data; name="files"; filename="v.nii.gz"\r\n\r\n'
    head = (
        f"PUT /session/ HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        f"Content-Length: {len(begin) + len(VOLUME) + 100}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as client:
        client.sendall(head.encode() + begin + VOLUME)  # and never the end
        wait_for(lambda: any(is_in(served.folder / "temporary", path) for path in open_files(process)), 10)
        assert not any(is_in(served.folder.parent / "home" / "tmp", path) for path in open_files(process))
    wait_for(lambda: not any(is_in(served.folder / "temporary", path) for path in open_files(process)), 10)


def is_in(folder: Path, path: Path) -> bool:
    """Whether a file lies in a folder."""
    return path.is_relative_to(folder)


def test_simultaneous_files_do_not_use_the_same_quota(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path / "sessions", 5)
    assert sessions.seconds == SECONDS  # as MONAI Label takes what is too short
    quota = Quota([tmp_path], 100, sessions.forget_unused)
    (tmp_path / "old").write_bytes(bytes(60))
    with quota.taken(30):
        (tmp_path / ".new.partial").write_bytes(bytes(30))  # counts once
        with quota.taken(10):
            pass
        with pytest.raises(InsufficientSpaceError, match=r"11 bytes.*take 90 of the 100"), quota.taken(11):
            pass
        with quota.taken(-5), quota.taken(10):  # a smaller file in the place of another
            pass
    with quota.taken(40):
        pass
    with pytest.raises(NotFoundError):
        sessions.get_session("none")


def test_a_session_may_be_forgotten_sooner_and_not_later(served: Served) -> None:
    def session(expiry: int) -> dict[str, Any]:
        files = {"files": ("v.nii.gz", VOLUME)}
        told: dict[str, Any] = served.ask("PUT", f"/session/?expiry={expiry}", files=files).json()["session_info"]
        return told

    usual, soon, late = (session(seconds) for seconds in (0, 100, 10 * SECONDS))
    assert [told["expiry"] for told in (usual, soon, late)] == [SECONDS, 100, SECONDS]
    ago = time.time() - 200
    for told in (usual, soon):
        os.utime(served.folder / "sessions" / f"{told['name']}.nii.gz", (ago, ago))
    assert served.ask("GET", f"/session/{soon['name']}").status_code == 404
    for told in (usual, late):
        assert served.ask("DELETE", f"/session/{told['name']}").ok


def test_a_full_disk_is_507_whoever_finds_it_full(
    tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_quietly()
    from monai_app.label.http.server import answer_error

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    stack = Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))
    monkeypatch.setattr("monai_app.io.writers.volumes._write", full)
    monkeypatch.setattr("monai_app.stack.ngff.layout.write_slice", full)
    labels = np.ones((1, *stack.shape[1:]), np.uint8)
    grid = Grid(labels.shape, (0.02, 0.01, 0.01), (0.0, 0.0, 0.0))
    for write in (
        lambda: write_volume(tmp_path / "a.nii.gz", labels, grid),
        lambda: annotate(stack, {2: labels[0]}),
    ):
        with pytest.raises(StackError) as found:
            write()
        answer = answer_error(Request({"type": "http"}), found.value)
        assert (answer.status_code, b"disk is full" in answer.body) == (507, True)
    assert answer_error(Request({"type": "http"}), StackError("damaged")).status_code == 422


def test_a_server_that_nobody_asks_forgets_sessions_too(
    tiny_stack: Stack,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import_quietly()
    from monai_app.label.http.security import Access
    from monai_app.label.http.server import create_api

    monkeypatch.setattr("monai_app.label.datastore.sessions.EVERY", 0.05)
    failed: list[object] = []

    def forget(self: Sessions) -> None:
        if not failed:
            failed.append(self)
            raise OSError(errno.EIO, "Input/output error")
        forget_unused(self)

    forget_unused = Sessions.forget_unused
    volume = tmp_path / "v.nii.gz"
    volume.write_bytes(VOLUME)
    app = app_in(tmp_path / "served", tiny_stack.path, trained)
    with TestClient(create_api(app, Access())):
        ids = [app.store.add_session(volume) for _ in range(2)]
        paths = [Path(app.store.sessions.get_session(name).image) for name in ids]
        monkeypatch.setattr(Sessions, "forget_unused", forget)
        wait_for(lambda: "expired sessions cannot be removed: [Errno 5]" in caplog.text, 10)
        os.utime(paths[0], (0, 0))
        wait_for(lambda: not paths[0].exists(), 10)
        assert paths[1].exists()
