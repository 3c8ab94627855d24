"""Models of bioimage.io, loaded, tested and run by bioimageio.core."""

import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from monai_app.errors import ConfigError
from monai_app.export.bioimageio.credits import Credits, citation
from monai_app.export.bioimageio.description import channel_ids
from monai_app.export.bioimageio.package import package_bioimageio
from monai_app.export.networks import quiet_torchscript
from monai_app.inference import Model
from monai_app.stack import Stack
from tests.conftest import made_once

if TYPE_CHECKING:
    from bioimageio.spec.model.v0_5 import ModelDescr

CREDITS = Credits(
    ("Ada Lovelace; Analytical Engines", "Charles Babbage"), "CC-BY-4.0", ("Them: It, doi 10.1234/abc.d",)
)
NAMES = {"unet": ["ICE_z_minus_1", "TLD_z_minus_1", "ICE_z", "TLD_z", "ICE_z_plus_1", "TLD_z_plus_1"]}
KINDS = ["unet", "sensor3d"]


@pytest.fixture(scope="session")
def made(runs: dict[str, Path], tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        folder.mkdir()
        for kind in KINDS:
            package_bioimageio(runs[kind], tiny_stack, folder / f"{kind}.zip", CREDITS, unscored=True)

    return made_once(tmp_path_factory, "bioimageio", make)


def described(path: Path) -> "ModelDescr":
    from bioimageio.core import load_description  # takes seconds, in every process that collects tests
    from bioimageio.spec.model.v0_5 import ModelDescr

    model = load_description(path)
    assert isinstance(model, ModelDescr)
    return model


def axes_of(tensor: Any) -> Mapping[str, Any]:
    return {str(axis.id): axis for axis in tensor.axes}


def test_bioimageio_core_accepts_the_model(made: Path) -> None:
    """Sensor-3D's as well: it was tested when it was made."""
    from bioimageio.core import test_model as check_model

    assert described(made / "sensor3d.zip").inputs
    with quiet_torchscript():
        summary = check_model(made / "unet.zip")
    assert summary.status == "passed", summary.format()
    done = " ".join(detail.name for detail in summary.details)
    assert "Reproduce test outputs from test inputs" in done
    assert "inference for inputs with batch_size: 2" in done


def test_the_description_says_what_the_model_takes_and_gives(made: Path, models: dict[str, Model]) -> None:
    model, spec = described(made / "unet.zip"), models["unet"].spec
    given: Any
    (given,), (made_of_it,) = model.inputs, model.outputs
    axes, out = axes_of(given), axes_of(made_of_it)
    assert list(axes) == list(out) == ["batch", "channel", "y", "x"]
    assert axes["channel"].channel_names == NAMES["unet"]
    assert out["channel"].channel_names == ["pore", "hydrate", "clinker"]
    assert (axes["y"].unit, axes["y"].scale, axes["x"].scale) == ("nanometer", 10, 10)
    assert axes["x"].size.step == spec.stride
    assert out["x"].halo % spec.stride == 0
    assert axes["x"].size.min == 2 * out["x"].halo + spec.stride
    assert (given.data.type, given.data.range) == ("uint8", (0, 255))
    (_, scaling, _) = given.preprocessing
    assert scaling.kwargs.mean == list(spec.channel_mean)
    assert scaling.kwargs.std == list(spec.channel_std)
    assert {step.id for step in made_of_it.postprocessing} == {"ensure_dtype"}  # core's own
    assert [(author.name, author.affiliation) for author in model.authors] == [
        ("Ada Lovelace", "Analytical Engines"),
        ("Charles Babbage", None),
    ]
    assert (model.license, str(model.cite[0].doi), model.cite[0].text) == ("CC-BY-4.0", "10.1234/abc.d", "Them: It")
    assert "10.1007/978-3-319-24574-4_28" in [str(entry.doi) for entry in model.cite]
    assert model.config.model_dump()["monai_app"]["provenance"]["weights_sha256"] == models["unet"].sha256


def test_the_test_tensors_are_pixels_of_the_stack_and_what_the_eager_network_makes_of_them(
    made: Path, models: dict[str, Model], tiny_stack: Stack
) -> None:
    model, spec = models["unet"], models["unet"].spec
    with zipfile.ZipFile(made / "unet.zip") as file:
        image, output = (np.load(file.open(f"test_{name}.npy")) for name in ("input", "output"))
        assert "## Validation" in file.read("README.md").decode()
    slab = tiny_stack.read_slab(tiny_stack.test_slices[0], spec.detectors, spec.slices)
    np.testing.assert_array_equal(image[0, :, : slab.shape[1], : slab.shape[2]], slab)
    scaled = (image - np.reshape(spec.channel_mean, (1, -1, 1, 1))) / np.reshape(spec.channel_std, (1, -1, 1, 1))
    with torch.no_grad():
        logits = model.network(torch.as_tensor(scaled, dtype=torch.float32))
    expected = (logits / 2.5).softmax(1)
    np.testing.assert_allclose(output, expected.numpy(), atol=1e-5)
    assert len(np.unique(output.argmax(1))) > 1


def test_tiles_of_bioimageio_core_give_the_labels_of_the_whole_slice(made: Path, models: dict[str, Model]) -> None:
    """So halo and step are right; at the edges of the slice core pads where the network sees zeros."""
    from bioimageio.core import Sample, Tensor, create_prediction_pipeline

    spec = models["unet"].spec
    descr = described(made / "unet.zip")
    halo, least = axes_of(descr.outputs[0])["x"].halo, axes_of(descr.inputs[0])["x"].size.min
    sides = (least + 2 * spec.stride, least + 9 * spec.stride)
    pixels = np.random.default_rng(0).integers(0, 255, (1, len(spec.channel_name), *sides), dtype=np.uint8)
    sample = Sample(members={descr.inputs[0].id: Tensor(pixels, ("batch", "channel", "y", "x"))}, stat={}, id="tiles")
    with quiet_torchscript(), create_prediction_pipeline(descr) as pipeline:
        found = pipeline.predict_sample_with_blocking(sample, ns=2).members[descr.outputs[0].id]
    tiled: npt.NDArray[np.float32] = found.data.transpose("batch", "channel", "y", "x").to_numpy()
    scaled = (pixels - np.reshape(spec.channel_mean, (1, -1, 1, 1))) / np.reshape(spec.channel_std, (1, -1, 1, 1))
    with torch.no_grad():
        whole = (models["unet"].network(torch.as_tensor(scaled, dtype=torch.float32)) / 2.5).softmax(1).numpy()
    inside = (..., slice(halo, -halo), slice(halo, -halo))
    assert whole[inside].size
    np.testing.assert_allclose(tiled[inside], whole[inside], atol=1e-4)


@pytest.mark.parametrize(
    ("credits", "says"),
    [
        (Credits((), "MIT"), "--author"),
        (Credits(("; Nowhere",), "MIT"), "--author"),
        (Credits(("A",), None), "--license"),
        (Credits(("A",), "MIT", ("a book",)), "'a book' contains neither a DOI nor a URL"),
        (Credits(("A",), "my own"), "--license .my own. breaks a rule"),
        (Credits(("A/B",), "MIT"), "--author .A/B."),
    ],
)
def test_credits_are_asked_for_and_checked(
    runs: dict[str, Path], tiny_stack: Stack, tmp_path: Path, credits: Credits, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        package_bioimageio(runs["unet"], tiny_stack, tmp_path / "new.zip", credits, unscored=True)
    assert not list(tmp_path.iterdir())


def test_a_package_that_is_missing_is_named(
    runs: dict[str, Path], tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bioimageio.core", None)
    with pytest.raises(ConfigError, match=r"pip install 'monai-app\[bioimageio\]'"):
        package_bioimageio(runs["unet"], tiny_stack, tmp_path / "new.zip", CREDITS, unscored=True)


def test_a_model_that_core_refuses_is_not_written(
    runs: dict[str, Path], tiny_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(*arguments: Any) -> Any:
        image, output = make(*arguments)
        return image, 1 - output

    package = sys.modules[package_bioimageio.__module__]
    make = package.make_test_tensors
    monkeypatch.setattr(package, "make_test_tensors", other)
    with pytest.raises(ConfigError, match=r"bioimageio\.core's test of the model fails"):
        package_bioimageio(runs["unet"], tiny_stack, tmp_path / "bioimageio.zip", CREDITS, unscored=True)
    assert not list(tmp_path.iterdir())


def test_channels_have_names_of_their_own() -> None:
    assert channel_ids(["C-S-H", "C S H", "1st", "z-2:a b"]) == ["C_S_H", "C_S_H_1", "c_1st", "a_b_z_minus_2"]


def test_citations_keep_their_addresses() -> None:
    assert citation("It, https://doi.org/10.1000/a") == {"text": "It", "doi": "10.1000/a"}
    assert citation("See https://example.org/it.") == {"text": "See", "url": "https://example.org/it"}
    assert citation("a book") is None
