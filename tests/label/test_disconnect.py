"""Clients that go away while they are waited on: their inferences end, and those of others do not."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests

from tests.label.conftest import Served, as_nifti, wait_for

LONG = as_nifti(np.zeros((80, 96, 1500, 2), np.uint8), np.eye(4)).getvalue()
"""A volume whose labelling takes longer than this test."""


def files_of_requests(served: Served) -> list[Path]:
    """What requests keep in the server's folder while they are answered."""
    return [path for path in (served.folder / "temporary").rglob("*") if path.is_file()]


def leaving(served: Served, seconds: float) -> None:
    """Send the long volume and close the connection before it is labelled."""
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{served.server.url}/infer/sensor3d", files={"file": ("v.nii.gz", LONG)}, timeout=seconds)


def test_a_client_that_goes_away_cancels_its_inference_and_no_other(served: Served) -> None:
    image = "/infer/trained?image=tiny_z0003&output=image"
    expected = served.ask("POST", image).content

    def ask() -> "Future[requests.Response]":
        return pool.submit(served.ask, "POST", image)

    with ThreadPoolExecutor(4) as pool:
        running = pool.submit(leaving, served, 3)
        wait_for(lambda: len(files_of_requests(served)) == 1)
        waiting = pool.submit(leaving, served, 1)
        wait_for(lambda: len(files_of_requests(served)) == 2)
        first = ask()
        time.sleep(0.3)
        assert served.ask("POST", image).status_code == 503  # one runs and two wait
        waiting.result()
        wait_for(lambda: len(files_of_requests(served)) == 1, 2)  # it waits no more, and its volume is gone
        second = ask()
        time.sleep(0.3)
        assert not first.done()
        assert not second.done()
        running.result()
        begin = time.monotonic()
        wait_for(lambda: not files_of_requests(served), 10)
        print(f"the long inference ended after {time.monotonic() - begin:.2f} s")
        answers = [first.result(), second.result()]
        seconds = time.monotonic() - begin
        print(f"those that waited were answered after {seconds:.2f} s")
    assert [answer.content for answer in answers] == [expected] * 2
    assert seconds < 15  # in a process that loads its libraries from nothing it would be more
    wait_for(lambda: not list((served.folder / "temporary").iterdir()), 5)  # also what was sent, after it was sent
    log = (served.folder / "logs" / "server.log").read_text()
    assert log.count("a client went away: POST /infer/sensor3d is cancelled") == 2
    assert "Traceback" not in log
