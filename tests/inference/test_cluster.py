"""Real schedulers and workers, which are killed in the middle."""

import asyncio
import http.client
import os
import pickle
import re
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import distributed
import psutil
import pytest
from distributed.security import Security

from monai_app.background import cluster as module
from monai_app.errors import ConfigError, StackError, StoppedError
from monai_app.inference import Segmentation
from monai_app.inference.cluster import _own_cluster
from monai_app.stack import Stack, ingest
from monai_app.stack.label_images.resumable import Result
from tests import warm
from tests.clusters import cluster_of_two, nodes_of
from tests.conftest import CHECKOUT, write_tiny_sample
from tests.inference.models import model_of

TILES = 24
"""Slices, each of which is a tile."""

WIDTH = 16
"""Filters that make a tile take long enough for a worker to be killed over it."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("cluster")
    return ingest(write_tiny_sample(folder / "sample", slices=TILES, rows=192, columns=160), folder / "s.ome.zarr")


@pytest.fixture
def stack(source: Stack, tmp_path: Path) -> Stack:
    shutil.copytree(source.path, tmp_path / "own.ome.zarr")
    return Stack.open(tmp_path / "own.ome.zarr")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a scheduler with two workers."""
    with cluster_of_two() as address:
        yield address


def kill_when_tiles_are_done(process: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a process killed at the moment when so many tiles are recorded."""
    record, numbers = Result.record, list[int]()

    def watched(result: Result, tile: int, checksum: int) -> None:
        record(result, tile, checksum)
        numbers.append(tile)
        if len(numbers) == count:
            os.kill(process, signal.SIGKILL)

    monkeypatch.setattr(Result, "record", watched)


LOSING = """if True:
    import pickle, sys
    import pytest
    from monai_app.errors import StoppedError
    from tests.inference.test_cluster import kill_when_tiles_are_done
    segmentation, scheduler = pickle.load(sys.stdin.buffer)
    kill_when_tiles_are_done(scheduler, 3, pytest.MonkeyPatch())
    try:
        segmentation.run()
    except StoppedError as error:
        print(error)
"""
"""Segments until three tiles are recorded, when the scheduler is killed, and says what came of it."""


def lose(segmentation: Segmentation, scheduler: int) -> str:
    """Segment in a process of its own, whose scheduler is killed; return all that it says."""
    command, given = [warm.python(), "-c", LOSING], pickle.dumps((segmentation, scheduler))
    done = subprocess.run(command, input=given, capture_output=True, timeout=120, cwd=CHECKOUT, check=True)
    return (done.stdout + done.stderr).decode()


def files_of(stack: Stack, name: str) -> dict[Path, bytes]:
    """The files that hold the pixels of a finished label image, by path within it."""
    folder = stack.path / "labels" / name
    return {file.relative_to(folder): file.read_bytes() for file in folder.glob("[0-9]/**/*") if file.is_file()}


def test_workers_of_this_machine_talk_to_who_has_their_key_alone() -> None:
    """Who reaches a scheduler or a worker has it run code."""
    others = psutil.Process().children(recursive=True)  # of other tests
    with _own_cluster(1) as client:
        scheduler = client.scheduler_info()["address"]
        addresses = [scheduler, *client.scheduler_info()["workers"]]
        own = [each for each in psutil.Process().children(recursive=True) if each not in others]
        processes = [psutil.Process(), *own]
        listening = [each for process in processes for each in process.net_connections() if each.status == "LISTEN"]
        assert {each.laddr.ip for each in listening} == {"127.0.0.1"}
        for address in addresses:
            assert address.startswith("tls://127.0.0.1:")
            assert {_answer(address.replace("tls", "tcp"), None), _answer(address, Security.temporary())} == {None}
            assert _answer(address, client.security) is not None
        pages = [f"http://127.0.0.1:{each.laddr.port}/info/main/workers.html" for each in listening]
        assert not any(map(_is_shown, pages))


def test_what_a_worker_cannot_read_is_told(address: str, stack: Stack, tmp_path: Path) -> None:
    (chunk,) = (stack.path / "0" / "c" / "0" / "20").rglob("0/0")
    chunk.write_bytes(chunk.read_bytes()[:100])
    with pytest.raises(StackError, match=r"0\[0, 20, .*cannot be read"):
        Segmentation(
            model_of(tmp_path / "run", "sensor3d"),
            str(stack.path),
            "net",
            region={"slices": "18:22"},
            cluster=address,
        ).run()


def test_a_scheduler_that_is_not_there_is_told(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", "2s")
    with pytest.raises(StoppedError, match=r"tcp://127\.0\.0\.1:9 was lost"):
        Segmentation(model_of(tmp_path / "run"), str(stack.path), "net", cluster="tcp://127.0.0.1:9").run()
    for address in ("tls://127.0.0.1:9", "dusk://127.0.0.1:9"):  # no certificates are configured
        with pytest.raises(ConfigError, match=f"cluster {address}: .*Dask's configuration"):
            Segmentation(model_of(tmp_path / "run"), str(stack.path), "net", cluster=address).run()


def _answer(address: str, security: Security | None) -> object:
    """What a node says of itself to who asks with a key; None where it says nothing."""

    async def ask() -> object:
        arguments = {} if security is None else security.get_connection_args("client")
        async with distributed.rpc(address, connection_args=arguments, timeout=5) as node:
            return await node.identity()

    try:
        return asyncio.run(ask())
    except OSError:
        return None


def _is_shown(page: str) -> bool:
    try:
        with urllib.request.urlopen(page, timeout=5):
            return True
    except (OSError, http.client.HTTPException):
        return False


def test_a_killed_worker_and_then_a_restarted_scheduler_lose_nothing(
    address: str, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler, (worker, _) = nodes_of(address)
    model = model_of(tmp_path / "run", width=WIDTH)
    Segmentation(model, str(stack.path), "here").run()

    kill_when_tiles_are_done(worker, 2, monkeypatch)
    Segmentation(model, str(stack.path), "net", cluster=address).run()
    assert not psutil.pid_exists(worker)
    assert len(files_of(stack, "here")) >= TILES
    assert files_of(stack, "net") == files_of(stack, "here")

    again = Segmentation(model, str(stack.path), "net", cluster=address, overwrite=True)
    lost = f"the cluster {address} was lost: no connection to its scheduler; .* the same command again to .*\n"
    assert re.fullmatch(lost, lose(again, scheduler))
    journal = stack.path / "labels" / ".net.partial" / "journal.jsonl"
    assert 3 <= len(journal.read_text().splitlines()) < TILES

    assert nodes_of(address).scheduler != scheduler
    again.run()
    assert files_of(stack, "net") == files_of(stack, "here")
