"""Clients that go away while they are waited on: their inferences end, and those of others do not."""

import http.client
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import requests

from tests.label.conftest import Served, long_volume
from tests.label.servers import wait_for


def volumes(served: Served) -> list[Path]:
    """The volumes of requests that are not over."""
    return [path for path in served.of_requests() if path.name.endswith(".nii.gz")]


def sent(served: Served) -> http.client.HTTPConnection:
    """Send the long volume; the client goes away when it closes the connection."""
    request = requests.Request(
        "POST", f"{served.server.url}/infer/sensor3d", files={"file": ("v.nii.gz", long_volume())}
    ).prepare()
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(served.server.url).port)
    connection.request("POST", request.path_url, cast("bytes", request.body), dict(request.headers))
    return connection


def test_a_client_that_goes_away_cancels_its_inference_and_no_other(served: Served) -> None:
    log = served.folder / "logs" / "server.log"
    before = log.read_text()
    image = "/infer/trained?image=tiny_z0003&output=image"
    expected = served.ask("POST", image).content
    wait_for(lambda: not served.of_requests())

    def ask() -> "Future[requests.Response]":
        return pool.submit(served.ask, "POST", image)

    with ThreadPoolExecutor(3) as pool:
        running = sent(served)
        wait_for(lambda: len(volumes(served)) == 1)
        waiting = sent(served)
        wait_for(lambda: len(volumes(served)) == 2)
        asked = [ask(), ask()]  # one runs and two wait: for one of these there is no room
        wait_for(lambda: any(future.done() for future in asked))
        refused, first = sorted(asked, key=Future.done, reverse=True)
        assert refused.result().status_code == 503
        waiting.close()
        wait_for(lambda: len(volumes(served)) == 1)  # it waits no more, and its volume is gone
        second = ask()
        time.sleep(0.3)
        assert not first.done()
        assert not second.done()
        running.close()
        begin = time.monotonic()
        answers = [first.result(), second.result()]
        seconds = time.monotonic() - begin
        print(f"those that waited were answered after {seconds:.2f} s")
    assert [answer.content for answer in answers] == [expected] * 2
    assert seconds < 60  # about 7, on a machine that does nothing else: a process that loads its libraries
    wait_for(lambda: not served.of_requests())
    said = log.read_text().removeprefix(before)
    assert said.count("a client disconnected: POST /infer/sensor3d is cancelled") == 2
    assert "Traceback" not in said
