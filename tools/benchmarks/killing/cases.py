"""The commands that are killed, and the files that they begin with."""

import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tifffile

from killing import server
from tests.conftest import TINY, as_options, write_tiny_sample
from tests.test_earlier import MADE

STACK, OTHER, RUN = "tiny.ome.zarr", "other.ome.zarr", "unet"
SLICES, ROWS, COLUMNS = 8, 96, 80

_ANNOTATE = f"""
import numpy as np
from monai_app.stack import Stack, annotate
planes = np.random.default_rng(0).integers(0, 4, (2, {ROWS}, {COLUMNS}), np.uint8)
annotate(Stack.open("{STACK}"), {{0: planes[0], 3: planes[1]}}, source="somebody")
"""
_SNAPSHOT = f"""
import sys
from monai_app.errors import TargetExistsError
from monai_app.stack import Stack, snapshot
try:
    snapshot(Stack.open("{STACK}"), "copy.ome.zarr"%s)
except TargetExistsError as error:
    print(error)
    sys.exit(2)
"""

Run = Callable[..., object]


@dataclass(frozen=True)
class Case:
    """A command.

    Args:
        name: what it is called in the table.
        words: of its command line, or the code of a call of the library.
        before: what is made of the common files before it begins.
        needs: the common files that it begins with.
        client: what is asked of the command, which is a server.
    """

    name: str
    words: Sequence[str]
    needs: Sequence[str] = ()
    before: Callable[[Path], None] = field(default=lambda _: None)
    client: server.Client | None = None

    @property
    def python(self) -> list[str]:
        """The words after ``python``."""
        return ["-c", self.words[0]] if len(self.words) == 1 else ["-m", "monai_app", *self.words]


def train_words(run: str, epochs: int = 2, **more: object) -> list[str]:
    """The command line of a training."""
    return ["train", STACK, run, *as_options({**TINY, "max_epochs": epochs, **more})]


def cases() -> list[Case]:
    """Return all commands that write."""
    both = (STACK, RUN)
    segment = ["segment", STACK, RUN, "--labels", "net", "--tile", "96,80", "--z", "2:5"]
    exports = {"torchscript": "model.ts", "torch-export": "model.pt2", "onnx": "model.onnx"}
    serve = ["serve", STACK, "--bundle", RUN]
    quantify = ["quantify", "segmented.ome.zarr", "--labels", "net", "-o", "quantities"]
    sizes = ["--slices", "6", "--rows", "64", "--columns", "64"]
    return [
        Case("ingest", ["ingest", "sample/sample.yaml", STACK], ["sample"]),
        Case("ingest --overwrite", ["ingest", "sample/sample.yaml", STACK, "--overwrite"], ["sample", OTHER], _older),
        Case("train", train_words("new"), [STACK]),
        Case("train, resumed", train_words("half", 4), [STACK, "half"]),
        Case("train --overwrite", [*train_words(RUN), "--overwrite"], both),
        Case("train --processes 2", [*train_words("new"), "--processes", "2"], [STACK]),
        Case("evaluate", ["evaluate", STACK, RUN], both, _unscored),
        Case("segment", segment, both),
        Case("segment --overwrite", [*segment, "--overwrite"], ["segmented.ome.zarr", RUN, "other"], _segmented),
        Case("segment --tiff", [*segment, "--tiff", "tiffs"], both),
        Case("segment --workers 2", [*segment, "--workers", "2"], both),
        *(
            Case(f"export {Path(name).suffix}", ["export", RUN, name, "--format", kind], [RUN])
            for kind, name in exports.items()
        ),
        Case(
            "export --overwrite", ["export", RUN, "model.ts", "--overwrite"], [RUN, "model.ts", "model.ts.parity.json"]
        ),
        Case("package", ["package", STACK, RUN, "model.zip"], both),
        Case("package --overwrite", ["package", STACK, RUN, "model.zip", "--overwrite"], [*both, "model.zip"]),
        Case("unpack", ["unpack", "model.zip", "unpacked"], ["model.zip"]),
        Case("unpack --overwrite", ["unpack", "model.zip", "unpacked", "--overwrite"], ["model.zip", "unpacked"]),
        Case("check", ["check", "model.zip"], ["model.zip"]),
        Case("annotate", [_ANNOTATE], [STACK]),
        Case("annotate --from", ["annotate", STACK, "--from", "painted", "--overwrite"], [STACK, "painted"]),
        Case("quantify", quantify, ["segmented.ome.zarr"]),
        Case("quantify --overwrite", [*quantify, "--overwrite"], ["segmented.ome.zarr", "quantities"]),
        Case("snapshot", [_SNAPSHOT % ""], [STACK]),
        Case("snapshot, overwriting", [_SNAPSHOT % ", overwrite=True"], [STACK]),
        Case("simulate", ["simulate", "simulated", *sizes], []),
        Case("simulate --overwrite", ["simulate", "simulated", *sizes, "--overwrite"], ["simulated"]),
        Case("trust", ["trust", RUN, "--yes"], [RUN], _strange),
        Case("trust, earlier version", ["trust", "earlier", "--yes"], ["earlier"]),
        Case("serve --dry-run", ["serve", STACK, "--bundle", RUN, "--dry-run"], both),
        Case("server infers", serve, both, client=server.infer),
        Case("server saves a label", serve, both, client=server.save),
        Case("server trains", [*serve, *as_options(TINY)], both, client=server.train),
    ]


def prepare(base: Path, run: Run) -> None:
    """Make the common files in an empty folder.

    Args:
        base: the folder.
        run: runs a Python with words in it.
    """
    write_tiny_sample(base / "sample", SLICES, ROWS, COLUMNS)
    with zipfile.ZipFile(MADE) as archive:
        archive.extractall(base, [name for name in archive.namelist() if name.startswith("unet/")])
    (base / "unet").rename(base / "earlier")
    run("-m", "monai_app", "ingest", "sample/sample.yaml", STACK)
    shutil.copytree(base / "sample", base / "other_sample")
    yaml = base / "other_sample" / "sample.yaml"
    yaml.write_text(yaml.read_text().replace("train: [1, 3, 5]", "train: [1, 3]").replace("test: [6]", "test: [5, 6]"))
    run("-m", "monai_app", "ingest", "other_sample/sample.yaml", OTHER)
    run("-m", "monai_app", *train_words(RUN))
    run("-m", "monai_app", *train_words("other", seed=5))
    run("-m", "monai_app", "evaluate", STACK, RUN)
    run("-m", "monai_app", "package", STACK, RUN, "model.zip")
    run("-m", "monai_app", "unpack", "model.zip", "unpacked")
    run("-m", "monai_app", "export", RUN, "model.ts")
    run("-m", "monai_app", "simulate", "simulated", "--slices", "5", "--rows", "64", "--columns", "64")
    shutil.copytree(base / STACK, base / "segmented.ome.zarr")
    run("-m", "monai_app", "segment", "segmented.ome.zarr", "other", "--labels", "net")
    run("-m", "monai_app", "quantify", "segmented.ome.zarr", "--labels", "net", "-o", "quantities", "--z", "2:6")
    _paint(base / "painted")


def _paint(folder: Path) -> None:
    """Write labels of two slices, as another program would."""
    folder.mkdir()
    planes = np.random.default_rng(0).integers(0, 4, (2, ROWS, COLUMNS), np.uint8)
    for z, plane in zip((0, 3), planes, strict=True):
        tifffile.imwrite(folder / f"slice_{z}.tif", plane)


def _older(folder: Path) -> None:
    (folder / OTHER).rename(folder / STACK)


def _segmented(folder: Path) -> None:
    (folder / "segmented.ome.zarr").rename(folder / STACK)


def _unscored(folder: Path) -> None:
    shutil.rmtree(folder / RUN / "eval" / "test")


def _strange(folder: Path) -> None:
    """Let a run do what the package's bundles do not."""
    path = folder / RUN / "configs" / "inference.yaml"
    path.write_text(path.read_text() + '\nimports: ["$import json"]\n')
