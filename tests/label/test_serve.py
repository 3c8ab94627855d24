"""Starting and ending the server: what is refused, what is said, what is left behind."""

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests
import torch
from typer.testing import CliRunner

from monai_app.cli import app as command_line
from monai_app.errors import AppError
from monai_app.stack import Stack
from tests import warm
from tests.conftest import TINY, as_options, write_tiny_sample
from tests.label.conftest import (
    Served,
    begin_training,
    finished,
    import_quietly,
    long_volume,
    open_files,
    process_of,
    serving,
)
from tests.label.servers import answers, free_port, wait_for


def refused(*words: object) -> str:
    """The message with which ``monai-app serve`` ends before it listens."""
    import_quietly()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monai_app.label.serve._run", lambda *_: pytest.fail("it serves"))
        result = CliRunner().invoke(command_line, ["serve", *map(str, words)])
    assert isinstance(result.exception, AppError), result.output
    return str(result.exception)


def test_what_cannot_be_served_is_refused_before_anything_listens(
    tiny_stack: Stack, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MONAI_APP_TOKEN", raising=False)
    studies = ("--studies", tmp_path / "studies")
    usual = (tiny_stack.path, "--bundle", trained, *studies)
    assert "--token-file" in refused(*usual, "--host", "0.0.0.0")
    short = tmp_path / "token"
    short.write_text("secret")
    assert "at least 16" in refused(*usual, "--host", "0.0.0.0", "--token-file", short)
    assert "does not exist" in refused(*usual, "--token-file", tmp_path / "none")
    for content in (b"\xff\xfe" * 20, "schlüssel mit umlauten".encode(), b"two lines\nof a token"):
        short.write_bytes(content)
        assert "ASCII" in refused(*usual, "--token-file", short)
    assert "device 'nonsense'" in refused(*usual, "--device", "nonsense")
    assert "--max-upload" in refused(*usual, "--max-upload", "-5")
    assert "--max-stored" in refused(*usual, "--max-stored", "nothing")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "--port" in refused(*usual, "--port", taken.getsockname()[1])
    beyond = CliRunner().invoke(command_line, ["serve", *map(str, usual), "--port", "70000"])
    assert (beyond.exit_code, "'--port'" in beyond.output) == (2, True)
    assert "--host" in refused(*usual, "--host", "localhost:8000")
    for bundle in (trained, "fibsem_unet_segmentation"):
        begin = (tiny_stack.path, "--bundle", bundle, *studies)
        assert "no setting 'nonsense'" in refused(*begin, "--set", "nonsense=1")
        assert "an integer" in refused(*begin, "--set", "max_epochs=x")
        assert "cannot contain" in refused(*begin, "--set", "amp=$print(1)")
        assert "no size 'huge'" in refused(*begin, "--size", "huge")
    assert "does not exist; give a run folder" in refused(tiny_stack.path, "--bundle", tmp_path / "nothing", *studies)
    assert "two bundles" in refused(*usual, "--bundle", trained)
    assert "--slices" in refused(*usual, "--slices", "1;2")
    assert "slices 0 to 7" in refused(*usual, "--slices", "9")
    assert "odd" in refused(*usual, "--thickness", "2")
    assert "channels" in refused(*usual, "--layout", "channels", "--format", "nrrd")
    assert "not a stack store" in refused(tmp_path, "--bundle", trained)
    inside = shutil.copytree(tiny_stack.path, tmp_path / "copy.ome.zarr")
    assert "lies in the store" in refused(inside, "--bundle", trained, "--studies", inside / "label")
    assert not (inside / "label").exists()
    dotted = shutil.copytree(trained, tmp_path / "run.1")
    assert "rename the folder" in refused(tiny_stack.path, "--bundle", dotted, *studies)


def test_bundles_must_fit_the_stack(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    studies = ("--studies", tmp_path / "studies")
    sample = write_tiny_sample(tmp_path / "other")
    sample.write_text(sample.read_text().replace("pore", "void").replace("TLD: TLD", "SE: TLD"))
    command_line(["ingest", str(sample), str(tmp_path / "other.ome.zarr")], standalone_mode=False)
    message = refused(tmp_path / "other.ome.zarr", "--bundle", trained, *studies)
    assert "['pore', 'hydrate', 'clinker']" in message
    assert "'void'" in message


def test_nothing_of_a_served_bundle_is_run(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    strange = shutil.copytree(trained, tmp_path / "strange")
    for name in ("inference", "train"):
        config = strange / "configs" / f"{name}.yaml"
        config.write_text(config.read_text() + f"\nimports: [\"$open('{tmp_path}/ran', 'w')\"]\n")
    words = ["serve", str(tiny_stack.path), "--bundle", str(strange), "--studies", str(tmp_path / "studies")]
    import_quietly()
    result = CliRunner().invoke(command_line, [*words, "--slices", "1", "--prepare-only"])
    assert result.exit_code == 0, result.output
    assert "--prepare-only will be removed in a later version; write --dry-run" in result.stderr
    assert not (tmp_path / "ran").exists()


def test_cases_are_written_for_a_stock_server(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    words = ["serve", str(tiny_stack.path), "--bundle", str(trained), "--studies", str(tmp_path / "studies")]
    import_quietly()
    result = CliRunner().invoke(command_line, [*words, "--slices", "1,3", "--format", "nrrd", "--dry-run"])
    assert result.exit_code == 0, result.output
    cases = tmp_path / "studies" / "cases"
    assert sorted(path.name for path in cases.glob("[a-z]*.nrrd")) == ["tiny_z0001.nrrd", "tiny_z0003.nrrd"]
    assert sorted(path.name for path in (cases / "TLD").glob("[a-z]*")) == ["tiny_z0001.nrrd", "tiny_z0003.nrrd"]


def test_a_server_says_how_to_connect_asks_for_its_token_and_ends_cleanly(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    token = "long enough to be no guess"
    (tmp_path / "token").write_text(f"{token}\n")
    port = free_port()
    words = ["--bundle", trained, "--studies", tmp_path / "studies", "--token-file", tmp_path / "token"]
    command = [sys.executable, "-m", "monai_app", "serve", tiny_stack.path, *words, "--host", "0.0.0.0", "--port", port]
    log = tmp_path / "log"
    with log.open("wb") as handle:
        process = subprocess.Popen(
            [str(word) for word in command], stdout=handle, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(url))
        assert requests.get(f"{url}/info/", timeout=10).status_code == 401
        told = requests.get(f"{url}/auth/", timeout=10).json()
        assert told["enabled"]
        wrong = {"username": "me", "password": "guess"}
        assert requests.post(f"{url}/auth/token", data=wrong, timeout=10).status_code == 401
        right = requests.post(f"{url}/auth/token", data={**wrong, "password": token}, timeout=10).json()
        headers = {"Authorization": f"{right['token_type']} {right['access_token']}"}
        assert requests.get(f"{url}/auth/token/valid", headers=headers, timeout=10).ok
        assert requests.get(f"{url}/info/", headers=headers, timeout=10).ok
        inferred = requests.post(f"{url}/infer/trained?image=tiny_z0001", headers=headers, timeout=120)
        assert inferred.ok
        children = psutil.Process(process.pid).children(recursive=True)
        assert children  # the process that applies models
        with ThreadPoolExecutor(2) as pool:
            inference = pool.submit(long_inference, url, headers)
            upload = pool.submit(endless_upload, url, headers)
            wait_for(lambda: at_work(process.pid) and receives(process.pid, tmp_path / "studies" / "temporary"), 60)
            assert not any(future.done() for future in (inference, upload))
            os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
            assert process.wait(60) == 0  # about 2, on a machine that does nothing else; the upload has no end
            assert inference.result().status_code == 503
            assert "the server is shutting down" in inference.result().json()["detail"]
            assert isinstance(upload.exception(), requests.ConnectionError) or upload.result().status_code == 503
        psutil.wait_procs(children, timeout=10)
        assert not [child for child in children if child.is_running() and child.status() != "zombie"]
        said = log.read_text()
        assert "3D Slicer" in said
        assert f"http://0.0.0.0:{port}" in said
        assert "Traceback" not in said
        assert said.splitlines()[-1] == "the server has stopped"  # and no warning of Python's
        assert token not in said
    finally:
        process.kill()


def test_a_killed_server_leaves_nothing_running_the_last_good_model_and_a_training_to_go_on_with(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    stack = Path(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))
    words = ("--bundle", trained, *as_options({**TINY, "max_epochs": 5000}))
    labels = {path: path.read_bytes() for path in (stack / "labels").rglob("*") if path.is_file()}
    with serving(stack, tmp_path / "home", *words) as served:
        before = served.ask("POST", "/infer/trained?image=tiny_z0003&output=image").content
        answer = killed_in_an_inference(served)
        assert answer.status_code == 500
        assert "process that runs inferences died" in answer.json()["detail"]
        assert served.ask("POST", "/infer/trained?image=tiny_z0003&output=image").content == before
        begin_training(served)
        assert served.ask("POST", "/train/trained").status_code == 429
        assert served.ask("POST", "/infer/trained?image=tiny_z0003&output=image").content == before
        server = process_of(served)
        family = [server, *server.children(recursive=True)]
        assert len(family) >= 3  # inference and training
        os.kill(server.pid, signal.SIGKILL)
        psutil.wait_procs(family, timeout=20)
        assert not [p for p in family if p.is_running() and p.status() != "zombie"]
    run = served.folder / "models" / "trained" / "0001"
    nearly_done(run / "models" / "last.ckpt", 4999)
    with serving(stack, tmp_path / "again", *words, python=warm.python()) as served:
        assert served.ask("POST", "/infer/trained?image=tiny_z0003&output=image").content == before
        assert served.client.info()["models"]["trained"]["run"] == "trained"
        reached = {"epoch": 4999, "total_epochs": 5000}
        assert served.client.info()["train_stats"]["trained"] == {"run": "trained", "unfinished": "0001", **reached}
        assert served.client.info()["trainers"]["trained"]["config"]["resume"] is True
        assert served.ask("POST", "/train/trained", json={"resume": "no"}).status_code == 422
        assert served.ask("POST", "/train/trained").json()["request"]["resume"] is True
        assert finished(served, "/train/")["status"] == "DONE"
        said = max((served.folder / "logs").glob("train_*.log")).read_text()
        assert "resumed after epoch 4999 from" in said
        assert "epoch 5000/5000" in said
        assert served.client.info()["train_stats"]["trained"] == {"run": "0001"}
        assert (run / "models" / "model.pt").is_file()
        assert sorted(path.name for path in run.parent.iterdir()) == ["0001", "0001.ome.zarr", "current.json"]
    assert {path: path.read_bytes() for path in (stack / "labels").rglob("*") if path.is_file()} == labels


def nearly_done(checkpoint: Path, epoch: int) -> None:
    """Let a training that was killed early be one that was killed late, so that nobody waits for it."""
    state = torch.load(checkpoint, weights_only=True)
    assert 1 <= state["epoch"] < epoch
    torch.save({**state, "epoch": epoch, "iteration": epoch * TINY["steps_per_epoch"]}, checkpoint)


def killed_in_an_inference(served: Served) -> requests.Response:
    """Kill the process that applies models in the midst of its work, as the system does where the memory is used up."""
    server = process_of(served)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(long_inference, served.server.url, {})
        wait_for(lambda: at_work(server.pid), 60)
        assert not answer.done()
        for process in workers(server.pid):
            process.kill()
        return answer.result()


def workers(server: int) -> list[psutil.Process]:
    """The processes that do a server's work."""
    return psutil.Process(server).children(recursive=True)


def at_work(server: int) -> bool:
    """Whether a process of the server computes."""
    return any(found.cpu_percent(0.2) > 10 for found in workers(server))


def receives(server: int, temporary: Path) -> bool:
    """Whether the server writes what a client sends into its folder: a file that has no name yet."""
    return any(path.parent == temporary and not path.exists() for path in open_files(psutil.Process(server)))


def long_inference(url: str, headers: dict[str, str]) -> requests.Response:
    """Ask for labels of a volume that take a while."""
    files = {"file": ("v.nii.gz", long_volume())}
    return requests.post(f"{url}/infer/trained", files=files, headers=headers, timeout=120)


def endless_upload(url: str, headers: dict[str, str]) -> requests.Response:
    """Send a volume that does not come to an end."""

    def body() -> Iterator[bytes]:
        yield b'--x\r\ncontent-disposition: form-data; name="file"; filename="v.nii"\r\n\r\n'
        yield bytes(2 * 2**20)  # more than is kept in memory
        while True:
            yield bytes(1000)
            time.sleep(0.1)

    sent = {**headers, "content-type": "multipart/form-data; boundary=x"}
    return requests.put(f"{url}/datastore/image?image=endless", data=body(), headers=sent, timeout=120)


def test_the_log_of_the_server_has_one_record_a_line(tmp_path: Path) -> None:
    import_quietly()
    from monai_app.label.serve import logged_to

    with logged_to(tmp_path / "server.log"):
        logging.getLogger("x").info("label %s", "a\x1b[31m\n2026-01-01 00:00:00,000 ERROR forged: record")
    first, second = (tmp_path / "server.log").read_text().splitlines()
    assert first.endswith("INFO x: label a\\x1b[31m")
    assert second.startswith("  2026")
