"""The good inputs, which rows copy and bend."""

import shutil
from pathlib import Path

from monai_app.bundle.packages.archive import unpack
from monai_app.bundle.packages.package import package
from monai_app.export import export_run
from monai_app.stack import Stack
from tests.bad_input.row import GOODS
from tests.bad_input.running import run_line
from tests.conftest import TINY, as_options, write_tiny_sample


def make_goods(folder: Path, sample: Path, stack: Path, run: Path) -> None:
    """Gather the good inputs in a folder: copies of a sample, its stack and a run, and what is made of the run."""
    for word, made in (("SAMPLE", sample), ("STACK", stack), ("RUN", run)):
        shutil.copytree(made, folder / GOODS[word])
    stack, run = folder / GOODS["STACK"], folder / GOODS["RUN"]
    export_run(run, "torchscript", folder / GOODS["EXPORTED"])
    package(run, Stack.open(stack), folder / GOODS["ZIP"], unscored=True)
    unpack(folder / GOODS["ZIP"], folder / GOODS["UNPACKED"])


def make_everything(folder: Path) -> None:
    """Make the good inputs without any test's help."""
    made = folder / "made"
    description = write_tiny_sample(made / "sample")
    stack, run = made / "tiny.ome.zarr", made / "run"
    for words in (["ingest", description, stack], ["train", stack, run, *as_options(TINY)]):
        ending = run_line([str(word) for word in words], folder)
        assert ending.code == 0, ending.errors
    make_goods(folder / "goods", made / "sample", stack, run)
