"""Clients that go away while they are waited on: their inferences end, and those of others do not."""

import http.client
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import requests

from tests.label.conftest import Served, as_nifti, wait_for

LONG = as_nifti(np.zeros((80, 96, 1500, 2), np.uint8), np.eye(4)).getvalue()
"""A volume whose labelling takes longer than this test."""


def files_of_requests(served: Served) -> list[Path]:
    """What requests keep in the server's folder while they are answered."""
    return [path for path in (served.folder / "temporary").rglob("*") if path.is_file()]


def sent(served: Served) -> http.client.HTTPConnection:
    """Send the long volume; the client goes away when it closes the connection."""
    request = requests.Request(
        "POST", f"{served.server.url}/infer/sensor3d", files={"file": ("v.nii.gz", LONG)}
    ).prepare()
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(served.server.url).port)
    connection.request("POST", request.path_url, request.body, dict(request.headers))
    return connection


def test_a_client_that_goes_away_cancels_its_inference_and_no_other(served: Served) -> None:
    image = "/infer/trained?image=tiny_z0003&output=image"
    expected = served.ask("POST", image).content

    def ask() -> "Future[requests.Response]":
        return pool.submit(served.ask, "POST", image)

    with ThreadPoolExecutor(3) as pool:
        running = sent(served)
        wait_for(lambda: len(files_of_requests(served)) == 1)
        waiting = sent(served)
        wait_for(lambda: len(files_of_requests(served)) == 2)
        asked = [ask(), ask()]  # one runs and two wait: for one of these there is no room
        wait_for(lambda: any(future.done() for future in asked))
        refused, first = sorted(asked, key=Future.done, reverse=True)
        assert refused.result().status_code == 503
        waiting.close()
        wait_for(lambda: len(files_of_requests(served)) == 1)  # it waits no more, and its volume is gone
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
    assert seconds < 15  # in a process that loads its libraries from nothing it would be more
    wait_for(lambda: not list((served.folder / "temporary").iterdir()))
    log = (served.folder / "logs" / "server.log").read_text()
    assert log.count("a client went away: POST /infer/sensor3d is cancelled") == 2
    assert "Traceback" not in log
