"""The stacks of the published studies, and their designs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import study_data
import tifffile
import yaml

from monai_app.bundle.configs.templates import config_names, config_path
from monai_app.metrics.blocks import LEAST_BLOCKS
from monai_app.stack import SampleDescription, Stack, ingest
from monai_app.study import default_design, read_design
from monai_app.study.design import check_design
from tests.conftest import CHECKOUT

DATA = CHECKOUT.parent / "shared" / "data"

OF = {"nine": "cement", "samples": "cement", "isbi2012": "isbi2012", "nasa": "nasa"}
"""Design -> the stack that it is for."""


def ingested(name: str, data: Path, folder: Path) -> Stack:
    source, text = study_data.REAL[name]
    description = yaml.safe_load(text.format(data=data / source))
    return ingest(SampleDescription.model_validate(description, context=folder), folder / f"{name}.ome.zarr")


def isbi2012(data: Path) -> None:
    """Write what stands in for the images of ISBI 2012."""
    rng, folder = np.random.default_rng(0), data / "isbi2012"
    folder.mkdir()
    tifffile.imwrite(folder / "train_image.tif", rng.integers(0, 256, (30, 64, 48), np.uint8))
    tifffile.imwrite(folder / "train_label.tif", rng.integers(0, 2, (30, 64, 48), np.uint8))


def nasa(data: Path) -> None:
    """Write what stands in for NASA's micrographs: those that are listed, and others."""
    rng, folder = np.random.default_rng(0), data / "nasa_ebc"
    folder.mkdir()
    lists = yaml.safe_load(study_data.NASA.format(data=data))["annotations"]
    for stem in (*lists["train"], *lists["test"], "train__010417#4_S2480023_image", "val__050317#3_S0440026_image"):
        tifffile.imwrite(folder / f"{stem}.tif", rng.integers(0, 256, (64, 64), np.uint8))
        label = stem.replace("_image", "_label")
        tifffile.imwrite(folder / f"{label}.tif", rng.integers(0, 3, (64, 64), np.uint8))


def test_every_design_is_for_one_of_the_stacks() -> None:
    assert config_names("studies") == sorted(OF)
    assert {stack for stack in OF.values() if stack != "cement"} == set(study_data.REAL)


@pytest.mark.parametrize("name", ["nine", "samples"])
def test_designs_of_simulated_samples_fit_two_detectors(name: str, tiny_stack: Stack) -> None:
    check_design(read_design(config_path("studies", name)), [tiny_stack])


def test_a_study_of_the_default_design_may_become_the_published_one(tiny_stack: Stack) -> None:
    """What is trained already is not trained again."""
    default, published = default_design(tiny_stack), read_design(config_path("studies", "nine"))
    assert set(default.variants) < set(published.variants)
    assert default == published.replaced(variants=default.variants, robustness=default.robustness)


@pytest.mark.parametrize(("name", "write"), [("isbi2012", isbi2012), ("nasa", nasa)])
def test_designs_of_real_images_fit_their_stacks(name: str, write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path)
    stack = ingested(name, tmp_path, tmp_path)
    check_design(read_design(config_path("studies", name)), [stack])
    label = tmp_path / study_data.REAL[name][0]
    (z, *_) = stack.test_slices
    if name == "isbi2012":
        truth = tifffile.imread(label / "train_label.tif")[z]
    else:
        truth = tifffile.imread(label / f"{stack.slice_names[z].replace('_image', '_label')}.tif")
        assert stack.gaps == tuple(range(1, stack.shape[0]))  # no slab reaches from one to another
        assert len(stack.test_slices) >= LEAST_BLOCKS  # each is one
    np.testing.assert_array_equal(stack.read_annotation(z), truth + 1)


@pytest.mark.skipif(not DATA.is_dir(), reason="the real images are not in ../shared/data")
@pytest.mark.parametrize("name", ["isbi2012", "nasa"])
def test_every_class_of_the_real_images_trains_and_tests(name: str, tmp_path: Path) -> None:
    stack = ingested(name, DATA, tmp_path)
    for z in (*stack.train_slices, *stack.test_slices):
        assert set(np.unique(stack.read_annotation(z))) == {phase.value for phase in stack.phases}, z
