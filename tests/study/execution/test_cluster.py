"""A study on a real scheduler with two workers, which are killed in the middle."""

import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import distributed
import psutil
import pytest
from typer.testing import CliRunner

from monai_app.cli import app
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from monai_app.study import Design, runs_of
from monai_app.study.baselines.process import train_and_score
from monai_app.study.design import read_design, validation_of
from monai_app.study.execution import run_all
from monai_app.study.execution.cluster import _Carrying, _complete
from monai_app.study.variants import read_study_variant
from tests.clusters import cluster_of_two, nodes_of
from tests.conftest import run_command
from tests.study.conftest import design_file

DESIGN = Design(variants=("otsu_ICE_1",), seeds=(0,))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with cluster_of_two() as address:
        yield address


def study(*words: object) -> str:
    return CliRunner().invoke(app, ["study", *map(str, words)], catch_exceptions=False).output


def kill_when_one_is_at_work(
    process: int | None, workers: Sequence[int]
) -> tuple[threading.Thread, list[psutil.Process]]:
    """Have a process killed as soon as a worker carries out a run; None kills that worker.

    Returns:
        A thread that ends then, and what the worker had started.
    """
    started = list[psutil.Process]()

    def watch() -> None:
        while not started:
            time.sleep(0.02)
            for worker in workers:
                if not started and (children := psutil.Process(worker).children()):
                    started.extend(children)
                    os.kill(process or worker, signal.SIGKILL)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread, started


def scores_in(folder: Path) -> list[dict[str, Any]]:
    """What the runs of a study found, which took how long they took."""
    documents = [json.loads(path.read_text()) for path in sorted(folder.rglob("scores.json"))]
    return [{**document, "seconds": 0} for document in documents]


def scores_here(stack: Stack, design: Design, folder: Path) -> list[dict[str, Any]]:
    """What the same runs find in this process."""
    for name in design.variants:
        variant = read_study_variant(name)
        for seed in design.seeds:
            train_and_score(stack, variant, seed, folder / f"seed_{seed}", validation_of(variant, design))
    return scores_in(folder)


def test_a_killed_worker_and_then_a_restarted_scheduler_lose_nothing(
    address: str, tiny_stack: Stack, tmp_path: Path
) -> None:
    scheduler, workers = nodes_of(address)
    design, folder = design_file(tmp_path, variants=["otsu_ICE_1"], seeds=[0, 1]), tmp_path / "s"
    words = (tiny_stack.path, folder, "--design", design, "--cluster", address)
    watching, started = kill_when_one_is_at_work(None, workers)
    said = study(*words)
    watching.join()
    _, workers = nodes_of(address, 1)
    assert len(workers) == 1
    assert not psutil.wait_procs(started, timeout=20)[1]  # it ends a moment after its worker
    assert "done: otsu_ICE_1" in said
    document = json.loads((folder / "results.json").read_text())
    assert (document["missing"], [row["seed"] for row in document["runs"]]) == ([], [0, 1])
    assert not [*folder.glob(".*")]

    expected = scores_here(tiny_stack, read_design(design), tmp_path / "here")
    assert scores_in(folder) == expected
    shutil.rmtree(folder)
    watching, started = kill_when_one_is_at_work(scheduler, workers)
    stopped = run_command("-m", "monai_app", "study", *words, check=False)  # tests/clusters.py says why not here
    watching.join()
    lost = f"cluster {address} was lost: no connection .* the same command again to"
    assert re.search(lost, stopped.stderr.splitlines()[-1])
    assert "Traceback" not in stopped.stderr
    assert not psutil.wait_procs(started, timeout=20)[1]
    assert not [*folder.glob(".*")]
    assert nodes_of(address).scheduler != scheduler
    study(*words)
    assert scores_in(folder) == expected


def test_workers_that_do_not_see_the_files_are_refused(
    address: str, tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = design_file(tmp_path, variants=["otsu_ICE_1"], seeds=[0])
    monkeypatch.setattr(
        "monai_app.study.execution.cluster._Carrying.__getstate__",
        lambda plugin: {"name": plugin.name, "shared": Path("/nowhere/s/.x"), "stores": plugin.stores},
    )
    with pytest.raises(ConfigError, match="has no access to /nowhere/s; put stacks and study on a file system"):
        study(tiny_stack.path, tmp_path / "s", "--design", design, "--cluster", address)


class Worker:
    """What plugins and runs know of a worker."""

    address = "tcp://late:1"
    state = SimpleNamespace(nthreads=1)

    def __init__(self, shared: Path, stores: Sequence[Path] = ()) -> None:
        self.plugins = {"x": _Carrying("x", shared, stores)}


def test_runs_get_the_cores_of_a_worker_whatever_dask_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    for name in names:
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr("monai_app.study.execution.cluster.os.sched_getaffinity", lambda pid: range(12))
    (tmp_path / "x").write_text("x")
    worker = Worker(tmp_path / "x")
    worker.state = SimpleNamespace(nthreads=3)
    worker.plugins["x"].setup(cast(Any, worker))
    worker.plugins["x"].commands.run(tmp_path / "log", ["env"])
    assert {f"{name}=4" for name in names} <= {*(tmp_path / "log").read_text().splitlines()}


def test_a_worker_that_joins_later_without_the_files_does_no_run(
    tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = runs_of(DESIGN, [tiny_stack], tmp_path)
    worker = Worker(tmp_path / "nowhere" / "x")
    with suppress(ConfigError):  # as Dask does
        worker.plugins["x"].setup(cast(Any, worker))
    monkeypatch.setattr("monai_app.study.execution.cluster.get_worker", lambda: worker)
    with pytest.raises(ConfigError, match=f"worker tcp://late:1 has no access to {tmp_path}/nowhere; put"):
        _complete(run, DESIGN, "x")


def test_a_cluster_without_workers_is_refused(tiny_stack: Stack, tmp_path: Path) -> None:
    (run,) = runs_of(DESIGN, [tiny_stack], tmp_path)
    silent: dict[str, Any] = {"dashboard_address": ":0", "processes": False, "protocol": "tcp"}
    with (
        distributed.LocalCluster(n_workers=0, **silent) as empty,
        pytest.raises(ConfigError, match=r"has no workers; start one on each machine: dask worker tcp://"),
    ):
        run_all([run], DESIGN, cluster=empty.scheduler_address)


def test_this_machine_and_others_are_not_given_together(tiny_stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--jobs 2 applies to this machine, and --cluster tcp://127.0.0.1:1 trains"):
        study(tiny_stack.path, tmp_path / "s", "--jobs", 2, "--cluster", "tcp://127.0.0.1:1")
