"""A study on a real scheduler with two workers, one of which is killed in the middle."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import distributed
import psutil
import pytest
from typer.testing import CliRunner

from monai_app.cli import app
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from tests.clusters import cluster_of_two
from tests.study.conftest import design_file


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[distributed.Client]:
    with cluster_of_two(tmp_path_factory.mktemp("dask")) as client:
        yield client


def study(*words: object) -> str:
    return CliRunner().invoke(app, ["study", *map(str, words)], catch_exceptions=False).stdout


def test_what_a_killed_worker_was_at_is_done_by_the_other(
    cluster: distributed.Client, tiny_stack: Stack, tmp_path: Path
) -> None:
    address, pids = cluster.scheduler_info()["address"], cluster.run(os.getpid).values()
    design, folder = design_file(tmp_path, variants=["otsu_ICE_1"], seeds=[0, 1]), tmp_path / "s"
    killed = list[psutil.Process]()

    def kill_one_at_work() -> None:
        while not killed:
            time.sleep(0.05)
            for pid in pids:
                worker = psutil.Process(pid)
                if worker.children() and not killed:
                    killed.extend(worker.children())
                    os.kill(pid, signal.SIGKILL)

    watching = threading.Thread(target=kill_one_at_work, daemon=True)
    watching.start()
    said = study(tiny_stack.path, folder, "--design", design, "--cluster", address)
    watching.join()
    assert len(cluster.run(os.getpid)) == 1
    assert not any(child.is_running() for child in killed)
    assert "done: otsu_ICE_1" in said
    document = json.loads((folder / "results.json").read_text())
    assert (document["missing"], [row["seed"] for row in document["runs"]]) == ([], [0, 1])
    assert not [*folder.glob(".*")]


def test_workers_that_do_not_see_the_files_are_refused(
    cluster: distributed.Client, tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = cluster.scheduler_info()["address"]
    design = design_file(tmp_path, variants=["otsu_ICE_1"], seeds=[0])
    monkeypatch.setattr(
        "monai_app.study.execution.cluster._Carrying.__getstate__",
        lambda plugin: {"name": plugin.name, "shared": Path("/nowhere/s/.x"), "stores": plugin.stores},
    )
    with pytest.raises(ConfigError, match="does not see /nowhere/s; put stacks and study on a file system"):
        study(tiny_stack.path, tmp_path / "s", "--design", design, "--cluster", address)


def test_this_machine_and_others_are_not_given_together(tiny_stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--jobs 2 is for this machine, and --cluster tcp://127.0.0.1:1 trains"):
        study(tiny_stack.path, tmp_path / "s", "--jobs", 2, "--cluster", "tcp://127.0.0.1:1")
