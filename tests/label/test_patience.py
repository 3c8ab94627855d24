"""Connections that say nothing: they end, make room for others, and do not fill the log."""

import asyncio
import logging
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from monai_app.label import logs, patience
from monai_app.label.logs import Repeats, logged_to
from monai_app.label.patience import connection_class, connections_at_a_time
from tests.label.servers import wait_for

MOST = 8
PATIENT = 15.0
"""Seconds that a connection is watched: many more than the server's patience, whatever else the machine does."""

LARGE = 2**26
"""Bytes that are more than systems hold for a connection."""


async def slow(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[dict[str, Any]], Any]) -> None:
    """Read the body, and answer after a while."""
    assert scope["type"] == "http"
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    await asyncio.sleep(1.5 if scope["path"] == "/slow" else 0)
    body = bytes(LARGE) if scope["path"] == "/large" else b"ok"
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where a server listens that has little patience."""
    monkeypatch.setattr(patience, "REQUEST_SECONDS", 0.5)
    monkeypatch.setattr(patience, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(patience, "_LOOK", 0.05)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(slow, http=connection_class(MOST), log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        wait_for(lambda: server.started, 10)
        yield bound.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def seconds_until_closed(port: int, *sent: bytes) -> float:
    """How long the server keeps a connection over which these parts are sent, one every 0.1 s, and then nothing."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        begin = time.monotonic()
        client.settimeout(0.1)
        parts = iter(sent)
        while time.monotonic() - begin < PATIENT:
            try:
                client.sendall(next(parts, b""))
                if not client.recv(100):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        return time.monotonic() - begin


@pytest.mark.parametrize(
    ("sent", "least"),
    [
        ((), 0.4),
        ((b"GET / HTTP/1.1\r\n", *[b"x: y\r\n"] * 200), 0.4),  # headers that never end
        ((b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n",), 0.9),
        ((b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n", *[b""] * 7, b"1", *[b""] * 7, b"2"), 2.0),
        ((b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",), 0.4),  # and no other request after the answer
    ],
)
def test_who_sends_no_request_or_half_of_one_is_left(port: int, sent: tuple[bytes, ...], least: float) -> None:
    assert least <= seconds_until_closed(port, *sent) < PATIENT


def test_who_waits_for_an_answer_gets_it(port: int) -> None:
    assert requests.get(f"http://127.0.0.1:{port}/slow", timeout=10).text == "ok"


def test_an_answer_that_nobody_takes_ends_with_its_connection(port: int) -> None:
    with connected(port) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(3 * patience.SILENT_SECONDS)
        received = sum(map(len, iter(lambda: take(client), b"")))
    assert 0 < received < LARGE


def test_what_the_system_holds_for_a_slow_client_counts_as_not_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound, connected(bound.getsockname()[1]) as client:
        server, _ = bound.accept()
        with server:
            server.setblocking(False)
            server.send(bytes(LARGE))
            held = patience._unsent(server.fileno())
            assert held > 0
            for _ in range(8):
                take(client)
            wait_for(lambda: patience._unsent(server.fileno()) < held)


def connected(port: int) -> socket.socket:
    """A client for which its system holds little."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
    client.settimeout(5)
    client.connect(("127.0.0.1", port))
    return client


def take(client: socket.socket) -> bytes:
    """Some of an answer; nothing where the connection was closed."""
    try:
        return client.recv(2**16)
    except ConnectionError:
        return b""


def test_silent_connections_make_room_for_a_request(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "REQUEST_SECONDS", 60)
    silent = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(5 * MOST)]
    try:
        assert requests.get(f"http://127.0.0.1:{port}/", timeout=10).text == "ok"
        for client in silent[: 4 * MOST]:
            assert client.recv(1) == b""
    finally:
        for client in silent:
            client.close()


@pytest.mark.parametrize(
    ("limits", "raised", "connections"),
    [
        ((256, 256), (256, 256), 64),
        ((256, 1024), (1024, 1024), 256),
        ((256, 10**6), (2048, 10**6), 256),
        ((1024, resource.RLIM_INFINITY), (2048, resource.RLIM_INFINITY), 256),
        ((10**6, 10**6), None, 256),
    ],
)
def test_file_descriptors_are_those_that_the_system_allows(
    limits: tuple[int, int], raised: tuple[int, int] | None, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: now.append(wanted))
    assert connections_at_a_time() == connections
    assert (now[-1] if now else None) == raised


def test_the_log_has_an_end_and_a_message_that_comes_again_and_again_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "logs" / "server.log"
    monkeypatch.setattr(logs, "LARGEST", 2000)
    with logged_to(log):
        for _ in range(1000):
            logging.getLogger("asyncio").error("socket.accept() out of system resource")
        assert log.read_text().count("accept") == logs.OFTEN
        monkeypatch.setattr(logs, "PERIOD", 0.0)
        logging.getLogger("asyncio").error("socket.accept() out of system resource")
        assert "accept() out of system resource [995 times more since]\n" in log.read_text()
        for number in range(1000):
            logging.getLogger("any").info("message %d", number)
    assert sum(path.stat().st_size for path in log.parent.iterdir()) <= 2000 * (logs.KEPT + 1)
    assert len(list(log.parent.iterdir())) == logs.KEPT + 1
    assert capsys.readouterr().err.count("accept") == logs.OFTEN + 1


def test_messages_are_told_apart_by_what_they_say() -> None:
    repeats = Repeats()
    records = [logging.makeLogRecord({"msg": "%d", "args": (number % 10,)}) for number in range(50)]
    assert all(map(repeats.filter, records))
    assert not repeats.filter(records[0])
