"""Exported files as models: the run folder's labels, going on, and clean refusals."""

import io
import json
import logging
import pickle
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ckpt_export
from torch import Tensor
from typer.testing import CliRunner

from monai_app.bundle.configs import signatures
from monai_app.bundle.configs.signatures import FOLDER
from monai_app.cli import app
from monai_app.errors import ConfigError
from monai_app.export import networks, open_exported
from monai_app.export.formats import Format, format_of
from monai_app.export.networks import quiet_torchscript
from monai_app.export.trust import is_trusted, sign
from monai_app.files import file_sha256
from monai_app.inference import Model, Request, Segmentation
from monai_app.inference.compute import TileNetwork
from monai_app.inference.tiling.receptive_field import measure_halo
from monai_app.networks.weights import CHECKSUMS
from monai_app.stack import Stack
from tests.export.conftest import Exported, Opened
from tests.export.examples import FORMATS, NETWORKS, trusted
from tests.inference.models import assert_exact, labels_of
from tests.inference.test_segmentation import KilledError, kill_after


@NETWORKS
@FORMATS
def test_a_stack_gets_the_labels_of_the_run_folder(
    kind: str,
    name: Format,
    exported: Exported,
    opened: Opened,
    models: dict[str, Model],
    stack: Stack,
    caplog: pytest.LogCaptureFixture,
) -> None:
    Segmentation(opened(kind, name), str(stack.path), "net", request=Request(tile=(32, 48))).run()
    assert_exact(labels_of(stack, "net"), models[kind], stack)
    assert stack.label_attributes("net")["run"] == exported(kind, name).file.name
    assert opened(kind, name).temperature == models[kind].temperature == 2.5
    streamed = kind == "unet" and name != "onnx"
    assert ("runs on complete tiles" in caplog.text) is not streamed


def test_a_file_of_monais_own_export_segments_too(
    runs: dict[str, Path], models: dict[str, Model], stack: Stack, tmp_path: Path
) -> None:
    run = runs["unet"]
    with quiet_torchscript():
        ckpt_export(
            bundle_root=str(run), config_file=str(run / "configs/inference.yaml"), filepath=str(tmp_path / "m.ts")
        )
    model = open_exported(trusted(tmp_path / "m.ts"))
    assert model.temperature == 2.5
    Segmentation(model, str(stack.path), "net").run()
    assert_exact(labels_of(stack, "net"), models["unet"], stack)


def test_a_temperature_is_that_of_the_weights_in_the_file(
    exported: Exported, runs: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """MONAI's own export takes all that the metadata hold, that of earlier weights too."""
    model = open_exported(str(exported("unet", "torchscript").file))
    own = file_sha256(runs["unet"] / "models" / "model.pt")
    for hashes, temperature in (([own], 2.5), (["0" * 64], 1.0), (["0" * 64, own], 1.0)):
        assert isinstance(model.network, networks.ExportedNetwork)
        model.network.metadata[CHECKSUMS] = {"models/model.pt": hashes}
        assert replace(model).temperature == temperature
        assert ("probabilities are not calibrated; export the run folder" in caplog.text) is (temperature == 1)


class Written(torch.nn.Module):
    """TorchScript that writes a file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = str(path)

    def forward(self, image: Tensor) -> Tensor:
        torch.save(image, self.path)
        return image


class Unpickled:
    """What writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_program_runs_where_it_was_exported_or_trusted_alone(
    exported: Exported, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds is not even read before."""
    script, program, written = tmp_path / "a.ts", tmp_path / "a.pt2", tmp_path / "written"
    metadata = json.dumps(opened("unet", "torchscript").network.metadata)
    with quiet_torchscript():
        torch.jit.save(torch.jit.script(Written(written)), script, _extra_files={"metadata.json": metadata})
    _with_pickle(exported("unet", "torch-export").file, program, Unpickled(written))
    for path in (script, program):
        with pytest.raises(ConfigError, match=rf"neither exported nor trusted; .*`monai-app trust {path}`"):
            open_exported(str(path))
        assert not written.exists()
        told = CliRunner().invoke(app, ["trust", str(path)])
        assert "no terminal" in str(told.exception)
        assert not is_trusted(path.read_bytes(), format_of(path))
        assert CliRunner().invoke(app, ["trust", str(path), "--yes"]).exit_code == 0
        assert not written.exists()
        with pytest.raises(ConfigError, match=r"cannot be read as|returns"):
            open_exported(str(path))
        written.unlink()  # so it had to be asked for
    mine = exported("unet", "torchscript").file
    shutil.copy(mine, tmp_path / "elsewhere.ts")
    open_exported(str(tmp_path / "elsewhere.ts"))
    monkeypatch.setenv(FOLDER, str(tmp_path / "of another account"))
    for name in ("torchscript", "torch-export"):
        with pytest.raises(ConfigError, match="neither exported nor trusted"):
            open_exported(str(exported("unet", name).file))
    open_exported(str(exported("unet", "onnx").file))  # computes and does nothing else


def _with_pickle(source: Path, target: Path, content: object) -> None:
    """Copy a file of torch.export, its example input replaced by another pickle."""
    inside = io.BytesIO()
    torch.save(content, inside)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            new.writestr(name, inside.getvalue() if "sample_inputs" in name else old.read(name))


def test_a_stopped_run_resumes_only_with_the_same_file(
    exported: Exported, models: dict[str, Model], stack: Stack, tmp_path: Path
) -> None:
    file, request = exported("unet", "torchscript").file, Request(tile=(32, 80))

    def segmentation(path: Path) -> Segmentation:
        return Segmentation(open_exported(str(path)), str(stack.path), "net", request=request)

    with pytest.raises(KilledError):
        kill_after(3, segmentation(file).run)
    with pytest.raises(ConfigError, match=r'(?s)model.weights_sha256.*model.format: "torchscript" -> "torch-export"'):
        segmentation(exported("unet", "torch-export").file).run()
    shutil.copy(file, tmp_path / "moved.ts")
    segmentation(tmp_path / "moved.ts").run()
    assert_exact(labels_of(stack, "net"), models["unet"], stack)


@FORMATS
def test_workers_get_the_file_with_the_model(name: Format, exported: Exported, tmp_path: Path) -> None:
    file = shutil.copy(exported("unet", name).file, tmp_path)
    model = open_exported(str(file))
    message = pickle.dumps(model)
    Path(file).unlink()
    image = torch.randn(1, 6, 32, 48)
    with torch.no_grad():
        torch.testing.assert_close(pickle.loads(message).network(image), model.network(image), rtol=0, atol=0)


@FORMATS
def test_damaged_and_foreign_files_are_refused(
    name: Format, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(signatures.FOLDER, str(tmp_path / "trust"))  # a file of 0 bytes is trusted here alone
    whole = exported("unet", name).file
    path = tmp_path / f"net{whole.suffix}"
    for content in (whole.read_bytes()[:-500], b"", b"no model at all" * 100):
        path.write_bytes(content)
        sign(content)
        with pytest.raises(ConfigError, match=rf"net{whole.suffix} (cannot be read as {name}|.*no model_description)"):
            open_exported(str(path))
    path.unlink()
    with pytest.raises(ConfigError, match=f"net{whole.suffix} cannot be read .*`monai-app export`"):
        open_exported(str(path))


def test_torchscript_of_others_is_refused(tmp_path: Path) -> None:
    with quiet_torchscript():
        torch.jit.save(torch.jit.script(torch.nn.Identity()), tmp_path / "other.ts")
    with pytest.raises(ConfigError, match=r"other.ts has no model_description"):
        open_exported(trusted(tmp_path / "other.ts"))
    for name in ("model.pt", "slices"):
        with pytest.raises(ConfigError, match=r"ends in one of .ts \(torchscript\), .pt2 .*, .onnx"):
            format_of(Path(name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phases": [{"value": 1, "name": "pore", "rgb": [0, 0, 0]}]}, r"returns \(1, 3, 32, 48\) but its"),
        ({"slices": 1, **{f"channel_{n}": [1.0, 2.0] for n in ("mean", "std")}}, "channel_name"),
        (
            {"slices": 1, "channel_mean": [1.0] * 2, "channel_std": [1.0] * 2, "channel_name": ["z:ICE", "z:TLD"]},
            "does not accept the images that its metadata describe",
        ),
    ],
    ids=["phases", "names", "channels"],
)
def test_a_description_of_another_network_is_refused(
    change: dict[str, object], message: str, exported: Exported, tmp_path: Path
) -> None:
    network = networks.ExportedNetwork.read(exported("unet", "torchscript").file, "torchscript")
    metadata = {**network.metadata, "model_description": {**network.metadata["model_description"], **change}}
    with quiet_torchscript():
        torch.jit.save(network.function, tmp_path / "net.ts", _extra_files={"metadata.json": json.dumps(metadata)})
    with pytest.raises(ConfigError, match=message):
        open_exported(trusted(tmp_path / "net.ts"))


def test_the_halo_of_an_onnx_file_is_needed_and_checked(opened: Opened, stack: Stack) -> None:
    model = opened("unet", "onnx")
    assert measure_halo(model) == model.spec.halo == 96
    for halo, message in ((None, "has no halo in its metadata"), (32, "logits depend on the size of the image")):
        with pytest.raises(ConfigError, match=message):
            measure_halo(replace(model, spec=model.spec.model_copy(update={"halo": halo})))


def test_other_precisions_are_refused_and_missing_packages_named(
    exported: Exported, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(exported("unet", "onnx").file)
    with pytest.raises(ConfigError, match=r"precision bfloat16: .*unet.onnx computes in float32; .*run folder"):
        Segmentation(open_exported(file), str(stack.path), "net", precision="bfloat16").run()

    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(networks, "import_module", missing)
    with pytest.raises(ConfigError, match=r"No module named 'onnxruntime'.*pip install 'monai-app\[export\]'"):
        open_exported(file)


@FORMATS
def test_whole_tiles_are_planned_by_what_the_network_holds(
    name: Format, opened: Opened, models: dict[str, Model], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    counted = TileNetwork(models["sensor3d"], torch.device("cpu")).whole_maps
    planned = TileNetwork(opened("sensor3d", name), torch.device("cpu")).whole_maps
    assert counted > 50
    assert counted * (1.25 if name == "onnx" else 1) <= planned < 1.3 * counted
