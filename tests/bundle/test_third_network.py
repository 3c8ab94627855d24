"""The network of docs/extend.md, which the package does not ship: a config and a size, and every command takes it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from monai_app.stack import Stack
from tests.conftest import CHECKOUT

NETWORK, SIZE = re.findall(
    r"^```yaml\n(.*?)^```", (CHECKOUT / "docs" / "extend.md").read_text(), re.DOTALL | re.MULTILINE
)
NAME = "fibsem_attentionunet_segmentation"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the third network: one file for it, one size, and the bundle that is written from them."""
    root = tmp_path_factory.mktemp("third") / "checkout"
    for folder in ("monai_app", "bundles", "configs", "tools"):
        shutil.copytree(CHECKOUT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "LICENSE", root)
    (root / "configs" / "networks" / "attentionunet.yaml").write_text(NETWORK)
    (root / "configs" / "sizes" / NAME).mkdir()
    (root / "configs" / "sizes" / NAME / "small.yaml").write_text(SIZE)
    python(root, "tools/make_bundles.py")
    return root


def python(root: Path, *words: object) -> str:
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", *map(str, words)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_third_network_goes_all_the_way(checkout: Path, tiny_stack: Stack, tmp_path: Path) -> None:
    files = [path.relative_to(checkout) for path in (checkout / "bundles" / NAME).rglob("*") if path.is_file()]
    assert {str(path.relative_to(f"bundles/{NAME}")) for path in files} == {
        str(path.relative_to(CHECKOUT / "bundles" / "fibsem_unet_segmentation"))
        for path in (CHECKOUT / "bundles" / "fibsem_unet_segmentation").rglob("*")
        if path.is_file()
    }
    assert not any("U-Net" in line and "attention" not in line for line in readme(checkout))
    stack, run = shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"), tmp_path / "run"
    python(checkout, "-m", "monai_app", "train", stack, run, "--bundle", NAME)
    python(checkout, "-m", "monai_app", "evaluate", stack, run)
    python(checkout, "-m", "monai_app", "segment", stack, run, "--labels", "third")
    python(checkout, "-m", "monai_app", "export", run)
    python(checkout, "-m", "monai_app", "segment", stack, run / "models" / "model.ts", "--labels", "again")
    opened = Stack.open(stack)
    for z in range(opened.shape[0]):
        assert (opened.read_labels("third", z) != opened.read_labels("again", z)).mean() < 1e-4


def readme(checkout: Path) -> list[str]:
    return (checkout / "bundles" / NAME / "docs" / "README.md").read_text().splitlines()[:6]


def test_the_checks_of_the_model_zoo_find_it(checkout: Path) -> None:
    imports = "from monai_app.bundle.configs.locate import template_paths, tiny_settings"
    code = f"{imports}; print([tiny_settings(path.name) for path in template_paths()])"
    assert "{'channels': [4, 8, 8]}" in python(checkout, "-c", code)
    assert python(checkout, "tools/make_bundles.py", "--check") == ""
