"""Exported files are the run folder's network, or are not written."""

import json
import shlex
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from monai_app.errors import BusyError, ConfigError, TargetExistsError
from monai_app.export import export_run, open_exported, writers
from monai_app.export.formats import Format
from monai_app.export.networks import ExportedNetwork, quiet_torchscript
from monai_app.export.parity import Parity, check
from monai_app.inference import Model
from monai_app.inference.tiling.activations import count_maps
from monai_app.inference.tiling.receptive_field import measure_field
from monai_app.networks.weights import save_weights
from tests.conftest import run_command
from tests.export.conftest import Exported, Opened
from tests.export.examples import FORMATS, NETWORKS, trusted


@NETWORKS
@FORMATS
def test_every_format_is_the_network_at_any_size(
    kind: str, name: Format, exported: Exported, opened: Opened, models: dict[str, Model]
) -> None:
    report, model = exported(kind, name), models[kind]
    assert [parity.differing for parity in report.parities] == [0, 0, 0]
    assert len({(parity.batch, parity.rows, parity.columns) for parity in report.parities}) == 3
    assert max(parity.phases for parity in report.parities) == 3
    assert max(parity.max_difference for parity in report.parities) <= (1e-5 if name == "onnx" else 0)
    content = json.loads(report.parity_file.read_text())
    assert (content["format"], content["weights_sha256"]) == (name, model.sha256)
    assert sum(size["pixels"] for size in content["sizes"]) == 307_200
    for sides in ((1, 1), (1, 5), (3, 2)):
        image = torch.randn(2, 6, *(side * model.spec.stride for side in sides))
        with torch.no_grad():
            torch.testing.assert_close(opened(kind, name).network(image), model.network(image), rtol=0, atol=1e-5)


@NETWORKS
@FORMATS
def test_the_metadata_inside_is_the_run_folders_with_what_was_measured(
    kind: str, name: Format, opened: Opened, models: dict[str, Model], runs: dict[str, Path]
) -> None:
    inside: Any = opened(kind, name).network.metadata
    inside = dict(inside)
    outside = json.loads((runs[kind] / "configs" / "metadata.json").read_text())
    description, model = dict(inside.pop("model_description")), models[kind]
    assert description.pop("halo") == measure_field(model.network, 6, model.spec.stride).halo
    assert description.pop("maps") == count_maps(model.network, 6, model.spec.stride)
    assert description == outside.pop("model_description")
    assert inside == outside


@NETWORKS
def test_the_printed_line_writes_the_same_file(kind: str, runs: dict[str, Path], tmp_path: Path) -> None:
    shown = list[str]()
    report = export_run(runs[kind], target=tmp_path / "net.ts", show=shown.append)
    (line,) = shown
    _, *words = shlex.split(line)
    words[words.index("--filepath") + 1] = str(tmp_path / "again.ts")
    run_command(*words)
    one, other = (open_exported(path) for path in (str(report.file), trusted(tmp_path / "again.ts")))
    files = [{"inference.json": ""} for _ in range(2)]
    for path, extra in zip((report.file, tmp_path / "again.ts"), files, strict=True):
        with quiet_torchscript():
            torch.jit.load(path, _extra_files=extra)
    image = torch.randn(2, 6, 32, 48)
    with torch.no_grad():
        assert torch.equal(one.network(image), other.network(image))
    assert one.network.metadata == other.network.metadata
    assert files[0] == files[1]


def test_metadata_that_says_something_else_is_not_exported(runs: dict[str, Path], tmp_path: Path) -> None:
    run = shutil.copytree(runs["unet"], tmp_path / "run")
    metadata = run / "configs" / "metadata.json"
    content = json.loads(metadata.read_text())
    content["model_description"]["channel_mean"] = [1.0, 2.0] * 3
    metadata.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"scaling is .*ICE.* but metadata\.json describes"):
        export_run(run, target=tmp_path / "net.ts")


def test_what_would_not_be_the_model_is_not_written(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(self: ExportedNetwork, image: Tensor) -> Tensor:
        logits: Tensor = self.function(image)
        logits[..., 0, 0] = logits[..., 0, 0].roll(1, 1)  # a pixel an image
        return logits

    monkeypatch.setattr(ExportedNetwork, "forward", forward)
    with pytest.raises(ConfigError, match=r"[1-6] of 307200 labels differ, .*nothing was written"):
        export_run(runs["unet"], target=tmp_path / "net.ts")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_replaced_meanwhile_are_not_exported(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(runs["unet"], tmp_path / "run"))

    def compare(*_: object) -> list[Parity]:
        (run / "models" / "model.pt").write_bytes(b"others")
        with pytest.raises(BusyError, match=r"net\.ts is being written by another process"):
            export_run(run, target=tmp_path / "net.ts", overwrite=True)
        return []

    monkeypatch.setattr("monai_app.export.publish.compare", compare)
    monkeypatch.setattr("monai_app.export.publish.check", lambda *_: None)
    with pytest.raises(ConfigError, match=r"model\.pt was replaced since it was read"):
        export_run(run, target=tmp_path / "net.ts")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_few_other_labels_are_allowed_to_onnx_alone() -> None:
    parities = [Parity(1, 1000, 1000, 3, 1e-6, 10)]
    check(parities, "onnx")
    for name in ("torchscript", "torch-export"):
        with pytest.raises(ConfigError, match="10 of 1000000 labels differ"):
            check(parities, name)
    for worse in (Parity(1, 1000, 1000, 3, 1e-6, 11), Parity(1, 1000, 1000, 3, float("nan"), 0)):
        with pytest.raises(ConfigError, match="the onnx file would not be the model"):
            check([worse], "onnx")


def test_what_does_not_fit_is_refused_before_anything_is_written(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"a file of format onnx must end in .onnx"):
        export_run(runs["unet"], "onnx", tmp_path / "net.ts")
    (tmp_path / "there.ts").write_text("precious")
    with pytest.raises(TargetExistsError, match=r"there.ts exists; .*--overwrite"):
        export_run(runs["unet"], target=tmp_path / "there.ts")
    weights = tmp_path / "run" / "models" / "model.pt"
    (tmp_path / "run" / "configs").mkdir(parents=True)
    weights.parent.mkdir()
    for name in ("inference.yaml", "metadata.json"):
        shutil.copy(runs["unet"] / "configs" / name, tmp_path / "run" / "configs")
    state = torch.load(runs["unet"] / "models" / "model.pt", weights_only=True)
    state.popitem()
    save_weights(state, weights)
    with pytest.raises(ConfigError, match=r"model.pt does not fit the network .*missing"):
        export_run(tmp_path / "run")
    monkeypatch.setattr(writers, "import_module", lambda name: import_module(f"not_installed_{name}"))
    with pytest.raises(ConfigError, match=r"not installed .*pip install 'monai-app\[export\]'"):
        export_run(runs["unet"], "onnx", tmp_path / "net.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "there.ts"]
    assert (tmp_path / "there.ts").read_text() == "precious"


def test_a_calibration_of_other_weights_is_not_exported(runs: dict[str, Path], tmp_path: Path) -> None:
    run = Path(shutil.copytree(runs["unet"], tmp_path / "run"))
    weights = run / "models" / "model.pt"
    save_weights({name: value * 2 for name, value in torch.load(weights, weights_only=True).items()}, weights)
    export_run(run, target=tmp_path / "net.ts")
    assert open_exported(str(tmp_path / "net.ts")).calibration is None
