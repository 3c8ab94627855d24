"""A server that ends: those who wait are told, and threads do not keep it."""

import asyncio
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import uvicorn
from fastapi import FastAPI, UploadFile

from monai_app.label.ending import Ending, Server
from monai_app.label.errors import STOPS
from monai_app.label.patience import Connection
from tests.label.servers import wait_for

api = FastAPI()
closed, begun = threading.Event(), threading.Event()


@api.get("/closed")
def until_closed() -> str:
    assert closed.wait(20)
    return "closed"


@api.get("/cut")
async def cut() -> None:
    await asyncio.sleep(60)


@api.get("/thread")
def thread() -> None:
    begun.set()
    time.sleep(60)


@api.post("/body")
def body(file: UploadFile) -> str:
    return str(file.filename)


def served(bound: socket.socket, last: float | None = None) -> Server:
    config = uvicorn.Config(Ending(api), http=Connection, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = Server(config, closed.set, last)
    threading.Thread(target=server.run, kwargs={"sockets": [bound]}).start()
    wait_for(lambda: server.started, 10)
    return server


def half_an_upload(url: str) -> bytes:
    """What the server answers when half of a request is there."""
    head = b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n"
    with socket.create_connection(("127.0.0.1", int(url.split(":")[-1])), timeout=10) as client:
        client.sendall(head + b"content-type: multipart/form-data; boundary=x\r\n\r\n--")
        try:
            return client.recv(1)
        except ConnectionError:
            return b""


def test_who_waits_gets_an_answer_in_time_and_the_log_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as bound, ThreadPoolExecutor(3) as pool, caplog.at_level(logging.INFO):
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        server = served(bound)
        waiting = [pool.submit(requests.get, f"{url}/{name}", timeout=20) for name in ("closed", "cut")]
        upload = pool.submit(half_an_upload, url)
        wait_for(lambda: len(server.server_state.tasks) == 3, 20)
        begin = time.monotonic()
        server.should_exit = True
        answers = [future.result() for future in waiting]
        assert upload.result() == b""
        assert time.monotonic() - begin < 15  # about 1, on a machine that does nothing else
    assert [answer.status_code for answer in answers] == [200, 503]
    assert answers[1].json() == {"detail": STOPS}
    assert not [record for record in caplog.records if record.exc_info]


def test_a_thread_does_not_keep_the_server() -> None:
    program = """
import socket, threading, time, urllib.request
from tests.label.test_ending import begun, served
bound = socket.socket()
bound.bind(("127.0.0.1", 0))
url = f"http://127.0.0.1:{bound.getsockname()[1]}"
server = served(bound, 2.0)
threading.Thread(target=urllib.request.urlopen, args=(f"{url}/thread",), daemon=True).start()
assert begun.wait(20)
print(time.time(), flush=True)
server.should_exit = True
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, timeout=60, check=True)
    assert time.time() - float(done.stdout.split()[0]) < 30  # about 3; the thread takes 60


def test_a_second_signal_does_not_break_off_the_end_that_the_first_began() -> None:
    server = Server(uvicorn.Config(api), closed.set)
    for _ in range(2):
        server.handle_exit(signal.SIGTERM, None)
    assert server.should_exit
    assert server._captured_signals == [signal.SIGTERM]  # which uvicorn raises again at the end
