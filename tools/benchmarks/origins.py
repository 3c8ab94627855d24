"""Are results ever named after inputs that did not make them? Inputs are replaced while commands read them.

Weights are replaced while a stack is segmented and while it is scored, a stack is ingested again while it is scored and
while a model is trained on it, and two exports and two packages of one run are made at once; each at moments spread
over the time that the command takes. Whatever a command leaves with exit code 0 is compared with what the inputs that
it names give. Commands run in processes forked from this one, which has imported all that they need.

    python tools/benchmarks/origins.py --work /tmp/origins
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import tifffile
import torch
from common import command, machine, read_scores, write_json

from monai_app import cli, files
from monai_app.bundle.configs.templates import tiny_settings
from monai_app.export import open_exported
from monai_app.stack import Stack, ingest

SAMPLE = """
name: {name}
voxel_nm: {{z: 20, y: 10, x: 10}}
detectors: {{ICE: ICE, TLD: TLD}}
phases: [{{value: 1, name: pore, colour: "#000000"}}, {{value: 2, name: solid, colour: "#ffffff"}}]
annotations: {{source: labels, mapping: {{1: pore, 2: solid}}, unlabelled: [0], train: [1, 3], test: [4]}}
"""
SETTINGS = {
    **tiny_settings("fibsem_unet_segmentation"),
    **{"crop": "[32, 32]", "window": "[64, 64]", "batch_size": 2, "steps_per_epoch": 2, "max_epochs": 4},
    **{"validation_block": 16, "patience": 10, "picture_interval": 10},
}
SHAPE = (6, 96, 80)

IMPORTED = (
    *("matplotlib.figure", "monai.bundle", "monai.engines", "monai.handlers", "monai.losses", "monai.networks.nets"),
    *("torch.utils.tensorboard", "monai_app.bundle.packages.package", "monai_app.bundle.packages.verify"),
    *("monai_app.bundle.run_folder", "monai_app.api.running", "monai_app.export", "monai_app.training"),
)
"""What forked processes need."""

Moment = Callable[[], object]


def main() -> None:
    """Run all experiments, print a table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for stacks, runs and results")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0, help="of the moments, for a quick look")
    parser.add_argument("--json", type=Path, default=None, help="result [default: origins.json in --work]")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in IMPORTED:
        import_module(name)
    bench = Bench(given.work.absolute(), given.seed)
    many, some, few = (max(1, round(given.share * moments)) for moments in (24, 10, 8))
    rows = {
        "weights replaced while segmenting": bench.weights(many, bench.segment, bench.judge_labels),
        "weights replaced while evaluating": bench.weights(many, bench.evaluate, bench.judge_scores),
        "stack replaced while evaluating": bench.stacks(few, bench.evaluate, bench.judge_scores),
        "stack replaced while training": bench.stacks(some, bench.train, bench.judge_training),
        "two exports at once": bench.at_once(some, bench.export, "net.ts"),
        "two packages at once": bench.at_once(some, bench.package, "net.zip"),
    }
    for name, counts in rows.items():
        print(f"{name:36}" + ", ".join(f"{key} {count}" for key, count in sorted(counts.items())))
    wrong = sum(counts["wrong"] for counts in rows.values())
    print(f"silent wrong origins: {wrong}")
    content = {"command": command(), "machine": machine(), "seed": given.seed, "wrong": wrong, "results": rows}
    write_json(given.json or bench.work / "origins.json", content)
    sys.exit(wrong > 0)


class Bench:
    """Two stacks, a run of each, a second file of weights, and what all of their combinations give."""

    def __init__(self, work: Path, seed: int) -> None:
        shutil.rmtree(work, ignore_errors=True)
        self.work, self.random = work, random.Random(seed)
        os.environ["MONAI_APP_TRUST"] = str(work / "trust")
        self.kept = {name: make_stack(work / name, number) for number, name in enumerate(("one", "two"))}
        self.stack, self.run, self.out = work / "stack.ome.zarr", work / "run", work / "out"
        self.trained: dict[str, str] = {}  # identity of the stack: SHA-256 of the weights that it gives
        self.weights_of: dict[str, bytes] = {}
        for name, store in self.kept.items():
            self.put(name)
            self.must(self.train)
            content = (self.run / "models" / "model.pt").read_bytes()
            self.trained[store.identity] = hashlib.sha256(content).hexdigest()
            self.weights_of[name] = content
            if name == "one":
                shutil.copytree(self.run, work / "run_one")
        self.labels: dict[str, bytes] = {}  # SHA-256 of the weights: labels of the first stack
        self.scores: dict[tuple[str, str], float] = {}
        for weights in self.weights_of:
            for name in self.kept:
                self.reset(name, weights)
                self.must(self.evaluate)
                self.remember_scores()
            self.reset("one", weights)
            self.must(self.segment)
            self.labels[self.sha256()] = self.read_labels()

    def put(self, name: str) -> None:
        """Give the stack's path to a copy of a store in one step, as ``ingest --overwrite`` does."""
        partial = files.partial_path(self.stack)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(self.kept[name].path, partial)
        files.commit(self.stack)

    def put_weights(self, name: str) -> None:
        """Replace the run's weights in one step."""
        with files.atomic_file(self.run / "models" / "model.pt") as path:
            path.write_bytes(self.weights_of[name])

    def reset(self, stack: str, weights: str) -> None:
        """Begin with a stack, a run of the first one with some weights, and nothing else."""
        self.put(stack)
        for folder in (self.run, self.out):
            shutil.rmtree(folder, ignore_errors=True)
        self.out.mkdir()
        shutil.copytree(self.work / "run_one", self.run)
        shutil.rmtree(self.run / "eval", ignore_errors=True)
        self.put_weights(weights)

    def sha256(self) -> str:
        """Of the run's weights."""
        return files.file_sha256(self.run / "models" / "model.pt")

    # ---- commands --------------------------------------------------------------------------------------------------

    def train(self) -> int:
        """Train from the start."""
        shutil.rmtree(self.run, ignore_errors=True)
        options = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
        return start("train", self.stack, self.run, "--seed", 1, *options)

    def evaluate(self) -> int:
        """Score the run on the stack."""
        return start("evaluate", self.stack, self.run)

    def segment(self) -> int:
        """Segment the stack by small tiles."""
        return start("segment", self.stack, self.run, "--labels", "net", "--tile", "32,32")

    def export(self) -> int:
        """Export the run."""
        return start("export", self.run, self.out / "net.ts", "--overwrite")

    def package(self) -> int:
        """Package the run."""
        return start("package", self.stack, self.run, self.out / "net.zip", "--overwrite", "--unscored")

    def must(self, begin: Callable[[], int]) -> float:
        """Run a command that nothing disturbs; return its seconds."""
        begun = time.monotonic()
        if (end := finish(begin()))[0]:
            raise RuntimeError(f"{begin.__name__} ended with {end}")
        return time.monotonic() - begun

    # ---- experiments -----------------------------------------------------------------------------------------------

    def weights(self, moments: int, begin: Callable[[], int], judge: Callable[[], bool]) -> Counter[str]:
        """Replace the weights at moments of a command."""
        return self._disturb(moments, begin, lambda: self.put_weights("two"), judge)

    def stacks(self, moments: int, begin: Callable[[], int], judge: Callable[[], bool]) -> Counter[str]:
        """Replace the stack at moments of a command."""
        return self._disturb(moments, begin, lambda: self.put("two"), judge)

    def _disturb(self, moments: int, begin: Callable[[], int], do: Moment, judge: Callable[[], bool]) -> Counter[str]:
        self.reset("one", "one")
        seconds, counts = self.must(begin), Counter[str](wrong=0)
        for number in range(moments):
            self.reset("one", "one")
            child = begin()
            time.sleep(seconds * (number + self.random.random()) / moments)
            do()
            code, text = finish(child)
            counts[verdict(code, text, judge)] += 1
        return counts

    def at_once(self, pairs: int, begin: Callable[[], int], name: str) -> Counter[str]:
        """Run a command twice at once; every one ends right or says that the other one is at it."""
        self.reset("one", "one")
        seconds, counts = self.must(begin), Counter[str](wrong=0)
        for _ in range(pairs):
            self.reset("one", "one")
            first = begin()
            time.sleep(seconds * self.random.random() * 0.8)
            for code, text in map(finish, (first, begin())):
                counts[verdict(code, text, lambda: self.is_whole(name))] += 1
            if {path.name for path in self.out.iterdir()} - {name, f"{name}.parity.json"}:
                counts["left something"] += 1
        return counts

    # ---- judgements ------------------------------------------------------------------------------------------------

    def read_labels(self) -> bytes:
        """All labels of the stack."""
        stack = Stack.open(self.stack)
        return b"".join(stack.read_labels("net", z).tobytes() for z in range(stack.shape[0]))

    def judge_labels(self) -> bool:
        """Whether the labels are those of the weights that they name."""
        named = Stack.open(self.stack).label_attributes("net")["weights_sha256"]
        return self.labels[named] == self.read_labels()

    def remember_scores(self) -> None:
        """Note what these weights score on this stack."""
        scores = read_scores(self.run)
        self.scores[scores["stacks"][0]["stack_identity"], scores["weights_sha256"]] = scores["confusion"]

    def judge_scores(self) -> bool:
        """Whether the scores are those of the stack and the weights that they name."""
        scores = read_scores(self.run)
        return self.scores[scores["stacks"][0]["stack_identity"], scores["weights_sha256"]] == scores["confusion"]

    def judge_training(self) -> bool:
        """Whether the weights are those of the stack that run.json names."""
        return self.trained[json.loads((self.run / "run.json").read_text())["stack"]] == self.sha256()

    def is_whole(self, name: str) -> bool:
        """Whether an export or a package can be read and is of these weights."""
        if name.endswith(".ts"):
            report = json.loads((self.out / f"{name}.parity.json").read_text())
            found = (open_exported(str(self.out / name)).sha256, self.sha256())
            return found == (report["sha256"], report["weights_sha256"])
        return finish(start("check", self.out / name))[0] == 0


def verdict(code: int, text: str, judge: Callable[[], bool]) -> str:
    """Name how a command ended."""
    if code == 0:
        return "right" if judge() else "wrong"
    last = (text.strip().splitlines() or ["nothing said"])[-1]
    told = last.startswith("monai-app: ") and "Traceback" not in text and "Errno" not in last
    return "refused" if told else f"error ({last[:80]})"


def make_stack(folder: Path, seed: int) -> Stack:
    """Write and ingest a little sample."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((SHAPE[0], SHAPE[1] // 8, SHAPE[2] // 8)) > 0.5
    truth = 1 + np.kron(coarse, np.ones((1, 8, 8))).astype(np.uint8)
    for name, contrast in (("ICE", 60), ("TLD", 90)):
        (folder / name).mkdir(parents=True)
        for z, plane in enumerate(truth):
            grey = np.clip(plane * contrast + rng.normal(0, 20, plane.shape), 0, 255).astype(np.uint8)
            tifffile.imwrite(folder / name / f"slice_{z}.tif", grey)
    (folder / "labels").mkdir()
    for z in (1, 3, 4):
        tifffile.imwrite(folder / "labels" / f"slice_{z}.tif", truth[z])
    (folder / "sample.yaml").write_text(SAMPLE.format(name=folder.name), encoding="utf8")
    return ingest(folder / "sample.yaml", folder / "store.ome.zarr")


def start(*words: object) -> int:
    """Begin a command in a forked process; return its number. What it says goes into a file of that name."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with said(os.getpid()).open("w") as out:
            for stream in (sys.stdout, sys.stderr):
                os.dup2(out.fileno(), stream.fileno())
            sys.argv = ["monai-app", *map(str, words)]
            try:
                cli.main()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException:
                import traceback

                traceback.print_exc()
    finally:
        os._exit(code)


def finish(child: int) -> tuple[int, str]:
    """Wait for a command; return its exit code and what it said."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    text = said(child).read_text()
    said(child).unlink()
    return code, text


def said(process: int) -> Path:
    """Return the file with what a process says."""
    return Path(f"/tmp/monai-app-origins-{process}.txt")


if __name__ == "__main__":
    main()
