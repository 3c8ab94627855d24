"""Segmenting loads what it needs and no more."""

from pathlib import Path

from monai_app.stack import Stack
from tests.conftest import run_command
from tests.export.conftest import Exported

OF_TRAINING = {"monai", "ignite", "tensorboard", "mlflow", "matplotlib", "pandas", "sklearn", "skimage", "h5py", "itk"}
"""MONAI, and what it loads."""

UNUSED = OF_TRAINING | {"dask", "fire", "onnx", "onnxruntime", "nibabel", "SimpleITK", "torch._dynamo", "sympy"}
UNUSED |= {"scipy.sparse.linalg", "scipy.stats", "scipy.optimize", "scipy.spatial"}


def loaded(stack: Stack, model: Path) -> set[str]:
    """The modules of a process that segmented a stack."""
    script = (
        "import sys\nfrom monai_app.cli import app\n"
        "try:\n    app(['segment', *sys.argv[1:], '--z', '0'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print(*sys.modules)\n"
    )
    done = run_command("-c", script, stack.path, model, fresh=True)
    assert [line for line in done.stderr.splitlines() if " INFO " not in line] == []  # no import warns of anything
    shown = done.stdout.splitlines()
    assert shown[-2].startswith("labels: ")
    return set(shown[-1].split())


def test_a_torchscript_file_needs_neither_monai_nor_what_trains(stack: Stack, exported: Exported) -> None:
    assert loaded(stack, exported("unet", "torchscript").file) & UNUSED == set()


def test_a_run_of_a_network_of_the_package_needs_no_monai_either(stack: Stack, runs: dict[str, Path]) -> None:
    assert loaded(stack, runs["sensor3d"]) & UNUSED == set()


def test_a_run_of_a_network_of_monai_loads_nothing_that_trains_beside_it(stack: Stack, runs: dict[str, Path]) -> None:
    trains = {"monai_app.training.handlers", "monai_app.training.seeding", "monai_app.pictures", "monai_app.metrics"}
    found = loaded(stack, runs["unet"])
    assert "monai" in found
    assert found & {*trains, "fire", "dask"} == set()
