"""A server that ends: those who wait are told, and it does not wait for what clients may never send."""

import asyncio
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import uvicorn
from fastapi import FastAPI, UploadFile

from monai_app.label.errors import STOPS
from monai_app.label.http.security import Access, AccessMiddleware
from tests.label.servers import wait_for

api = FastAPI()


@api.get("/soon")
async def soon() -> str:
    await asyncio.sleep(0.5)
    return "soon"


@api.get("/cut")
async def cut() -> None:
    await asyncio.sleep(60)


@api.post("/body")
def body(file: UploadFile) -> str:
    return str(file.filename)


def half_an_upload(port: int) -> bytes:
    """What the server answers when half of a request is there."""
    head = b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(head + b"content-type: multipart/form-data; boundary=x\r\n\r\n--")
        return client.recv(12)


def test_who_waits_gets_an_answer_in_time_and_the_log_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as bound, ThreadPoolExecutor(3) as pool, caplog.at_level(logging.INFO):
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        config = uvicorn.Config(
            AccessMiddleware(api, Access()), log_config=None, lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        wait_for(lambda: server.started, 10)
        waiting = [pool.submit(requests.get, f"http://127.0.0.1:{port}/{name}", timeout=20) for name in ("soon", "cut")]
        upload = pool.submit(half_an_upload, port)
        wait_for(lambda: len(server.server_state.tasks) == 3, 20)
        begin = time.monotonic()
        server.should_exit = True
        answers = [future.result() for future in waiting]
        assert upload.result() in (b"", b"HTTP/1.1 503")
        thread.join(20)
        assert time.monotonic() - begin < 15  # about 1, on a machine that does nothing else
    assert [answer.status_code for answer in answers] == [200, 503]
    assert answers[1].json() == {"detail": STOPS}
    assert not [record for record in caplog.records if record.exc_info]
