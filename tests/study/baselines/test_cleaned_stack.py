"""Cleaned copies of stacks."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from monai_app.stack import Stack, ingest
from monai_app.study.baselines import cleaned_stack as module
from monai_app.study.baselines import cleaning
from monai_app.study.baselines.cleaned_stack import cleaned_stack
from monai_app.study.baselines.cleaning import Cleaning, clean
from monai_app.yamlfile import read_yaml
from tests.conftest import write_tiny_sample


@pytest.fixture(scope="module")
def cleaned(tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cleaning, "CHOICES", {"destripe": (0.0, 1.0), "flatten": (0.0,), "denoise": (0.0, 1.0)})
        return cleaned_stack(tiny_stack, tmp_path_factory.mktemp("cleaned") / "clean.ome.zarr", (0.25, 32))


def test_a_copy_has_the_same_annotations_and_cleaned_pixels(cleaned: Stack, tiny_stack: Stack) -> None:
    assert (cleaned.shape, cleaned.voxel_nm, cleaned.detectors) == (
        tiny_stack.shape,
        tiny_stack.voxel_nm,
        tiny_stack.detectors,
    )
    assert (cleaned.roles, cleaned.phases) == (tiny_stack.roles, tiny_stack.phases)
    record = json.loads(cleaned.path.with_name("clean.json").read_text())
    for name, own in record["detectors"].items():
        chosen = Cleaning(**own["chosen"])
        (raw,), (pixels,) = (each.read_slab(2, [name], 1) for each in (tiny_stack, cleaned))
        np.testing.assert_array_equal(pixels, clean(raw, chosen))
        best = max(own["tried"], key=lambda tried: tried["mean_iou"])
        assert own["chosen"] == {key: best[key] for key in own["chosen"]}
    for z in tiny_stack.roles:
        np.testing.assert_array_equal(cleaned.read_annotation(z), tiny_stack.read_annotation(z))


def test_it_is_made_once(cleaned: Stack, tiny_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "clean", None)
    assert cleaned_stack(tiny_stack, cleaned.path, (0.25, 32)).identity == cleaned.identity


def test_slices_that_are_no_neighbours_are_none_in_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where a series begins, nor where numbers are left out."""
    description = read_yaml(write_tiny_sample(tmp_path / "sample", slices=8))
    for name in ("ICE", "TLD"):
        (tmp_path / "sample" / name / "slice_7.tif").rename(tmp_path / "sample" / name / "slice_9.tif")
    description |= {"breaks": [3], "numbers": {"gaps": "keep"}}
    (tmp_path / "sample" / "sample.yaml").write_text(yaml.safe_dump(description))
    stack = ingest(tmp_path / "sample" / "sample.yaml", tmp_path / "tiny.ome.zarr")
    assert stack.gaps == (3, 7)
    monkeypatch.setattr(cleaning, "CHOICES", {"destripe": (0.0,), "flatten": (0.0,), "denoise": (0.0,)})
    assert cleaned_stack(stack, tmp_path / "clean.ome.zarr", (0.25, 32)).gaps == stack.gaps
    assert sorted(path.name for path in tmp_path.iterdir() if "clean" in path.name) == ["clean.json", "clean.ome.zarr"]


def test_single_micrographs_whose_names_do_not_order_them_are_cleaned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    description = write_tiny_sample(tmp_path / "sample", slices=7)
    for path in tmp_path.glob("sample/*/*.tif"):
        number = int(path.stem.removeprefix("slice_"))
        path.rename(path.with_name(f"0{number * 5 % 7}#2_S{number}({number % 3}).tif"))
    content = read_yaml(description) | {"independent": True}
    content["annotations"] |= {"train": [1, 4, 5], "test": [2]}
    description.write_text(yaml.safe_dump(content))
    stack = ingest(description, tmp_path / "tiny.ome.zarr")
    monkeypatch.setattr(cleaning, "CHOICES", {"destripe": (0.0,), "flatten": (0.0,), "denoise": (0.0,)})
    copy = cleaned_stack(stack, tmp_path / "clean.ome.zarr", (0.25, 32))
    assert copy.gaps == stack.gaps == tuple(range(1, 7))
    assert copy.roles == stack.roles
    for z in range(7):
        np.testing.assert_array_equal(copy.read_slab(z, ["ICE"], 3), stack.read_slab(z, ["ICE"], 3))
    for z in stack.roles:
        np.testing.assert_array_equal(copy.read_annotation(z), stack.read_annotation(z))
