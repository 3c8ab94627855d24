"""Every command in README and docs runs: as it stands, or made small."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from monai_app.stack import Stack
from tests.conftest import CHECKOUT, TINY, as_options, run_command, write_tiny_sample

PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
SMALL = {
    "train": as_options(TINY),
    "simulate": ["--slices", "5", "--rows", "64", "--columns", "64"],
}


def commands(page: Path, start: str) -> list[list[str]]:
    """The lines of a page's code blocks that begin with a word, joined over backslashes, as argument lists."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.strip().startswith(f"{start} ")]


def test_the_tasks_of_the_readme_run_in_their_order(tmp_path: Path) -> None:
    write_tiny_sample(tmp_path / "tiff")
    for path in (tmp_path / "tiff").iterdir():
        path.rename(tmp_path / path.name)
    tasks = commands(CHECKOUT / "README.md", "monai-app")
    assert [task[0] for task in tasks] == ["--help", "ingest", "train", "evaluate", "segment", "export"]
    for task in tasks:
        run_command("-m", "monai_app", *task, *SMALL.get(task[0], []), cwd=tmp_path)
    assert (tmp_path / "runs" / "unet" / "models" / "model.ts").is_file()
    assert Stack.open(tmp_path / "sample.ome.zarr").label_names() == ("unet",)
    assert len(list((tmp_path / "labels").glob("*.tif"))) == 8


def test_the_commands_of_the_segmentation_page_run_in_their_order(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "unet")
    shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr")
    page = CHECKOUT / "docs" / "segmentation.md"
    for words in commands(page, "monai-app"):
        run_command("-m", "monai_app", *words, cwd=tmp_path)
    code = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    run_command("-c", next(block for block in code if "ConfigParser" in block), cwd=tmp_path)
    names = {"unet", "part", "masked", "unet_preview", "sure", "together", "from_python"}
    stack = Stack.open(tmp_path / "sample.ome.zarr")
    assert set(stack.label_names()) == names
    for z in range(stack.shape[0]):
        for name in ("sure", "together", "from_python"):
            np.testing.assert_array_equal(stack.read_labels(name, z), stack.read_labels("unet", z))
        np.testing.assert_array_equal(stack.read_labels("masked", z), stack.read_labels("part", z))


def test_the_commands_of_the_export_page_run_in_their_order(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "unet")
    shutil.copytree(tiny_stack.path, tmp_path / "sample.ome.zarr")
    (tmp_path / "docs").symlink_to(CHECKOUT / "docs")
    page = CHECKOUT / "docs" / "export.md"
    for words in commands(page, "monai-app"):
        run_command("-m", "monai_app", *words, cwd=tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    run_command("-c", code, cwd=tmp_path)
    stack = Stack.open(tmp_path / "sample.ome.zarr")
    expected, scripts = stack.read_labels("exported", 4), commands(page, "python")
    assert len(scripts) == 3
    for words in scripts:
        run_command(*words, cwd=tmp_path)
        given = np.fromfile(tmp_path / "labels.raw", np.uint8).reshape(stack.shape[1:])
        assert (given != expected).mean() <= 1e-4  # ties
        (tmp_path / "labels.raw").unlink()


def test_the_commands_of_the_bundles_page_run_in_a_run_folder(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    shutil.copytree(tiny_stack.path, tmp_path / "stack.ome.zarr")
    lines = commands(tmp_path / "run" / "docs" / "README.md", "python")
    assert len(lines) == 4
    for line in lines:
        run_command(*[word.replace("STACK", "../stack.ome.zarr") for word in line], cwd=tmp_path / "run")
    assert Stack.open(tmp_path / "stack.ome.zarr").label_names() == ("segmentation",)
    assert (tmp_path / "run" / "models" / "model.ts").is_file()


def test_the_bundles_pages_name_the_same_commands() -> None:
    unet, sensor3d = (
        commands(CHECKOUT / "bundles" / f"fibsem_{network}_segmentation" / "docs" / "README.md", "python")
        for network in ("unet", "sensor3d")
    )
    assert unet == sensor3d != []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts_that_pages_name_exist_and_know_their_options(page: Path) -> None:
    for script, *words in (line for line in commands(page, "python") if line[0] != "-m"):
        shown = run_command(CHECKOUT / script, "--help").stdout
        for option in (word for word in words if word.startswith("--")):
            assert option in shown, f"{page.name}: {script} has no option {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_waits_for_a_number(page: Path) -> None:
    assert re.findall(r"@[A-Z_]+@|TODO|TBD", page.read_text()) == []


@pytest.mark.parametrize("page", [*PAGES, CHECKOUT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_of_pages_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
