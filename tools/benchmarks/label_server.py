"""How long `/info/` waits while a label server is busy: MONAI Label's own app beside `monai-app serve`, in one run.

    python tools/benchmarks/label_server.py sample.ome.zarr runs/unet --target docs/results/label_server.json

Both servers get the same run folder and the same 4-D volume of the stack's first slices. While it is segmented,
another client asks for `/info/` again and again. The servers take turns. Ours is asked during a training too. Prints a
table and writes JSON.
"""

import argparse
import gzip
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel
import numpy as np
import requests
import torch
from common import command, machine, write_json

from monai_app.stack import Stack

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.label.servers import STOCK_PATH, Server, free_port, monailabel, running

MODEL = "model"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path)
    parser.add_argument("run", type=Path, help="trained run folder of this stack")
    parser.add_argument("--target", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--slices", type=int, default=8, help="slices of the volume")
    parser.add_argument("--repeats", type=int, default=3)
    words = parser.parse_args()
    with TemporaryDirectory() as name:
        results = measure(words.stack.absolute(), words.run.absolute(), words.slices, words.repeats, Path(name))
    for row in results:
        print(f"{row['server']:<22}{row['during']:<11}", end="")
        print(
            f"/info/ {row['median_ms']:>8.0f} ms median {row['longest_ms']:>8.0f} ms longest, {row['asked']} asked",
            end="",
        )
        print(f", {row['seconds']:.1f} s" if row["seconds"] else "")
    write_json(words.target, {"command": command(), "machine": machine(), "results": results})


def measure(stack: Path, run: Path, slices: int, repeats: int, folder: Path) -> list[dict[str, Any]]:
    """Ask both servers in turn; rows of the table."""
    volume = as_volume(Stack.open(stack), slices)
    shutil.copytree(run, folder / "runs" / MODEL)
    (folder / "studies").mkdir()
    subprocess.run(monailabel("apps", "--download", "--name", "monaibundle", "--output", folder / "apps"), check=True)
    app = folder / "apps" / "monaibundle"
    shutil.copytree(run, app / "model" / MODEL)
    ports = free_port(), free_port()
    listen = ("--host", "127.0.0.1", "--port", ports[0])
    conf = ("--conf", "models", MODEL, "--conf", "zoo_source", "local", "--conf", "sam2", "false")
    stock = monailabel("start_server", "--app", app, "--studies", folder / "studies", *listen, *conf)
    place = ("--studies", folder / "ours", "--port", ports[1])
    ours = [sys.executable, "-m", "monai_app", "serve", stack, "--bundle", folder / "runs" / MODEL, *place]
    waits: dict[tuple[str, str], list[float]] = {}
    took: dict[str, list[float]] = {}
    labels: dict[str, bytes] = {}
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    with (
        running(stock, ports[0], folder / "a", **threads, PYTHONPATH=STOCK_PATH) as first,
        running(ours, ports[1], folder / "b", **threads) as second,
    ):
        servers = {"monaibundle (stock)": first, "monai-app serve": second}
        for server in servers.values():
            infer(server, volume)  # loads the model
        for _ in range(repeats):
            for name, server in servers.items():
                waits.setdefault((name, "idle"), []).extend(asked(server, lambda: time.sleep(2)))
                begin = time.perf_counter()
                waits.setdefault((name, "inference"), []).extend(
                    asked(server, lambda server=server, name=name: labels.update({name: infer(server, volume)}))
                )
                took.setdefault(name, []).append(time.perf_counter() - begin)
        requests.post(f"{second.url}/train/{MODEL}", json={"max_epochs": 1000}).raise_for_status()
        time.sleep(10)
        waits["monai-app serve", "training"] = asked(second, lambda: time.sleep(20))
        requests.get(f"{second.url}/train/?check_if_running=true").raise_for_status()
        requests.delete(f"{second.url}/train/").raise_for_status()
    check_equal(list(labels.values()))
    return [
        {
            "server": name,
            "during": during,
            "median_ms": round(1000 * float(np.median(found)), 1),
            "longest_ms": round(1000 * max(found), 1),
            "asked": len(found),
            "seconds": round(float(np.median(took[name])), 2) if during == "inference" else None,
        }
        for (name, during), found in waits.items()
    ]


def as_volume(stack: Stack, slices: int) -> bytes:
    """The first slices as a 4-D NIfTI, columns, rows, slices, detectors."""
    pixels = np.stack([stack.read_slab(z, stack.detectors, 1) for z in range(slices)])
    image = nibabel.Nifti1Image(pixels.transpose(3, 2, 0, 1), np.diag([-0.01, -0.01, 0.02, 1]))
    return gzip.compress(image.to_bytes(), 1)


def infer(server: Server, volume: bytes) -> bytes:
    """Send the volume, and return the file of labels."""
    answer = requests.post(
        f"{server.url}/infer/{MODEL}?output=image", files={"file": ("volume.nii.gz", volume)}, timeout=3600
    )
    answer.raise_for_status()
    return answer.content


def asked(server: Server, work: Callable[[], object]) -> list[float]:
    """Seconds that every `/info/` waits while work is done."""
    waits = []
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        while not done.done():
            begin = time.perf_counter()
            requests.get(f"{server.url}/info/", timeout=3600).raise_for_status()
            waits.append(time.perf_counter() - begin)
            time.sleep(0.05)
        done.result()
    return waits


def check_equal(files: list[bytes]) -> None:
    """Both servers must give the same labels, or the comparison means nothing."""
    first, second = (nibabel.Nifti1Image.from_bytes(gzip.decompress(file)).get_fdata() for file in files)
    differing = int((first != second).sum())
    print(f"{first.size} labels, {differing} differ")
    if differing:
        sys.exit("the servers' labels differ")


if __name__ == "__main__":
    main()
