"""The examples of docs/explanation/extend.md run; tests/bundle/test_third_network.py runs that of a network."""

import re
import shutil
from pathlib import Path

import pytest

from monai_app.stack import Stack
from tests.conftest import CHECKOUT, TINY, as_options, run_command

PAGE = (CHECKOUT / "docs" / "explanation" / "extend.md").read_text()
EXAMPLES: list[tuple[str, str]] = re.findall(
    r"^## (?:An? )(.*?)\n(?:(?!^## ).*\n)*?```python\n((?:.*\n)*?)```", PAGE, re.MULTILINE
)


def example(name: str) -> str:
    return dict(EXAMPLES)[name]


def test_every_part_that_is_code_has_an_example_of_at_most_30_lines() -> None:
    names = ["loss", "augmentation", "format", "per-pixel output", "streamed operation"]
    assert [name for name, _ in EXAMPLES] == names
    assert max(len(code.splitlines()) for _, code in EXAMPLES) <= 30


@pytest.mark.parametrize("name", ["loss", "format", "per-pixel output", "streamed operation"])
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    run_command("-c", example(name), cwd=tmp_path)


def test_the_loss_and_the_augmentation_are_trained_with(tiny_stack: Stack, tmp_path: Path) -> None:
    shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr")
    (tmp_path / "my_package.py").write_text(example("loss").split("loss = ")[0])
    loss = re.findall(r'--set "(loss::[^"]*)"', PAGE)
    train = ["-m", "monai_app", "train", "sample.ome.zarr", "runs/contrast", *as_options({**TINY, "max_epochs": 1})]
    train += [word for setting in loss for word in ("--set", setting)]
    untrusted = run_command(*train, check=False, cwd=tmp_path)
    assert "--trust" in untrusted.stderr
    run_command(*train, "--trust", "--dry-run", cwd=tmp_path)
    run_command("-c", example("augmentation"), cwd=tmp_path)
    assert "contrast: {_target_: RandAdjustContrastd" in (tmp_path / "runs/contrast/configs/train.yaml").read_text()
    assert "monai-app trust" in run_command(*train, check=False, cwd=tmp_path).stderr
    told = run_command("-m", "monai_app", "trust", "runs/contrast", "--yes", cwd=tmp_path).stdout
    assert "augmentation::contrast is added: {'_target_': 'RandAdjustContrastd'" in told
    assert "epoch 1/1" in run_command(*train, cwd=tmp_path).stderr
