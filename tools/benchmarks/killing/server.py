"""The label server: what a client asks of it, again and again, until it has been answered."""

import gzip
import io
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import nibabel
import numpy as np
import requests

from killing.processes import ARMED, LONGEST, Ended, Moment, Processes
from tests.label.servers import answers, free_port, wait_for

CASE = "tiny_z0001"
PHASES = ("pore", "hydrate", "clinker")

Client = Callable[[str, Path], None]
"""Asks something of the server at an address, and keeps the answer in a folder."""


def infer(url: str, folder: Path) -> None:
    """Let a case be labelled."""
    answer = _ask("POST", f"{url}/infer/unet?image={CASE}&output=image")
    (folder / "answer.nii").write_bytes(gzip.decompress(answer.content))


def save(url: str, _: Path) -> None:
    """Save a label as a person's."""
    case = nibabel.Nifti1Image.from_bytes(gzip.decompress(_ask("GET", f"{url}/datastore/image?image={CASE}").content))
    labels = np.random.default_rng(0).integers(0, 4, case.shape, np.uint8)
    file = gzip.compress(nibabel.Nifti1Image(labels, case.affine).to_bytes(), 1)
    info = [f'{{"name": "{name}", "idx": {number}}}' for number, name in enumerate(PHASES, 1)]
    _ask(
        "PUT",
        f"{url}/datastore/label?image={CASE}&tag=final",
        data={"params": f'{{"label_info": [{", ".join(info)}]}}'},
        files={"label": ("label.nii.gz", io.BytesIO(file))},
    )


def train(url: str, _: Path) -> None:
    """Train the model, unless that was done."""
    if _ask("GET", f"{url}/info/").json()["train_stats"]["unet"].get("run") == "0001":
        # A training ends with this; where it was killed then, whoever asks for the scores has them computed.
        _ask("POST", f"{url}/scoring/uncertainty?run_sync=true", json={"model": "unet"})
        return
    _ask("POST", f"{url}/train/unet")
    while (told := _ask("GET", f"{url}/train/").json())["status"] in ("SUBMITTED", "RUNNING"):
        time.sleep(0.05)
    if told["status"] != "DONE":
        raise RuntimeError(f"the training ended as {told['status']}: {told['details'][-3:]}")


def _ask(method: str, url: str, **options: object) -> requests.Response:
    answer = requests.request(method, url, timeout=LONGEST, **options)  # type: ignore[arg-type]
    answer.raise_for_status()
    return answer


def run_served(
    processes: Processes,
    words: Sequence[str],
    client: Client,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    moment: Moment | None,
) -> Ended:
    """Start the server and be its client; kill it at a moment after the client begins, or end it when all is done."""
    port, armed = free_port(), log.with_suffix(".armed")
    armed.unlink(missing_ok=True)
    process = processes.start([*words, "--port", str(port)], folder, {**environment, ARMED: str(armed)}, log, moment)
    url, failed = f"http://127.0.0.1:{port}", list[str]()

    def ask() -> None:
        try:
            client(url, folder)
        except (requests.RequestException, RuntimeError) as error:
            failed.append(str(error))

    with suppress(AssertionError):
        wait_for(lambda: answers(url) or process.poll() is not None, LONGEST)
    armed.touch()
    begin = time.perf_counter()
    asking = threading.Thread(target=ask)
    asking.start()
    if moment is not None and moment.kind == "time":
        asking.join(moment.value)
    else:
        while asking.is_alive() and process.poll() is None and time.perf_counter() - begin < LONGEST:
            asking.join(0.02)
        if process.poll() is None:
            process.terminate()
            with suppress(Exception):
                process.wait(30)
    processes.kill(lambda: process.poll() is None)
    asking.join()
    said = "\n".join([log.read_text(errors="replace"), *failed])
    code = process.returncode or (1 if failed and moment is None else 0)
    return Ended(code, said, time.perf_counter() - begin, processes.changes(log))
