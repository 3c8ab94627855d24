"""A network that the package does not ship, that of docs/explanation/extend.md: a config and a size, and every command
takes it.
"""

import re
import shutil
from pathlib import Path

import pytest

from monai_app.stack import Stack
from tests.conftest import CHECKOUT, run_command

NETWORK, SIZE = re.findall(
    r"^```yaml\n(.*?)^```", (CHECKOUT / "docs" / "explanation" / "extend.md").read_text(), re.DOTALL | re.MULTILINE
)
NAME = "fibsem_attentionunet_segmentation"

COMMANDS = f"""
import runpy, sys, warnings

warnings.simplefilter("ignore")
for name in [name for name in sys.modules if name.split(".")[0] == "monai_app"]:
    del sys.modules[name]
import monai_app

assert monai_app.__file__.startswith(sys.argv[1])
from monai_app.bundle.configs.templates import template_paths, tiny_settings
from monai_app.cli import app

def run(*words):
    app(words, standalone_mode=False)

for arguments in ([], ["--check"]):
    sys.argv = ["tools/make_bundles.py", *arguments]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        assert end.code == 0, arguments
assert tiny_settings("{NAME}") == {{"channels": [4, 8, 8]}}
assert "{NAME}" in [path.name for path in template_paths()]
run("train", "tiny.ome.zarr", "run", "--bundle", "{NAME}")
run("evaluate", "tiny.ome.zarr", "run")
run("segment", "tiny.ome.zarr", "run", "--labels", "third")
run("export", "run")
run("segment", "tiny.ome.zarr", "run/models/model.ts", "--labels", "again")
"""


@pytest.fixture
def checkout(tiny_stack: Stack, tmp_path: Path) -> Path:
    """A checkout with the third network, one file for it and one size, and a stack."""
    for folder in ("monai_app", "bundles", "configs", "tools"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "LICENSE", tmp_path)
    (tmp_path / "configs" / "networks" / "attentionunet.yaml").write_text(NETWORK)
    (tmp_path / "configs" / "sizes" / NAME).mkdir()
    (tmp_path / "configs" / "sizes" / NAME / "small.yaml").write_text(SIZE)
    shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr")
    return tmp_path


def files_of(bundle: Path) -> set[Path]:
    return {path.relative_to(bundle) for path in bundle.rglob("*") if path.is_file()}


def test_a_third_network_goes_all_the_way(checkout: Path) -> None:
    """In one process that imports the package of the other checkout, which lies in its folder."""
    run_command("-c", COMMANDS, checkout, cwd=checkout)
    bundles = checkout / "bundles"
    assert files_of(bundles / NAME) == files_of(CHECKOUT / "bundles" / "fibsem_unet_segmentation")
    page = (bundles / NAME / "docs" / "README.md").read_text().splitlines()[:6]
    assert not any("U-Net" in line and "attention" not in line for line in page)
    stack = Stack.open(checkout / "tiny.ome.zarr")
    for z in range(stack.shape[0]):
        assert (stack.read_labels("third", z) != stack.read_labels("again", z)).mean() < 1e-4
