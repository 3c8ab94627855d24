"""What MONAI's verbs make of a trained bundle computes what the bundle computes.

docs/reference/bundles.md has each verb as a command, which tests/test_docs.py runs.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser, ckpt_export, load

from tests.conftest import run_command

ONNX = """
import sys
import onnxruntime, torch
from monai.bundle import ConfigParser, onnx_export

def check(run, shapes, **options):
    config, weights = f"{run}/configs/inference.yaml", f"{run}/models/model.pt"
    onnx_export("network_def", "model.onnx", weights, f"{run}/configs/metadata.json", config, **options)
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    network = ConfigParser(ConfigParser.load_config_file(config)).get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    for shape in shapes:
        image = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        (found,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(found), network(image), atol=1e-5, rtol=1e-4)

unet, sensor3d = sys.argv[1:]
axes = {"image": {0: "batch", 2: "rows", 3: "columns"}}
names = {"input_names": ["image"], "output_names": ["pred"], "dynamic_axes": axes}
check(unet, [(1, 6, 48, 32)], input_shape=[1, 6, 48, 32])
shapes = [(2, 6, 64, 64), (1, 6, 16, 16), (3, 6, 96, 80)]
check(sensor3d, shapes, input_shape=[2, 6, 64, 64], converter_kwargs=names)
"""


def test_onnx_computes_the_same_logits(trained: Path, trained_sensor3d: Path, tmp_path: Path) -> None:
    """The U-Net at the one shape of a plain export, Sensor-3D at any with free axes.

    In one process of its own: the exporter loads much that other tests do without.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    run_command("-c", ONNX, trained, trained_sensor3d, cwd=tmp_path)


@pytest.mark.parametrize("which", ["trained", "trained_sensor3d"])
@pytest.mark.filterwarnings("ignore:`torch.jit", "ignore:Cannot find the config file.*train.json")
def test_load_gives_weights_a_network_and_torchscript(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """MONAI 1.6.1 builds no network from YAML: without `model` the state dict comes back."""
    bundle = tmp_path / "a_segmentation"
    shutil.copytree(request.getfixturevalue(which), bundle)
    config = bundle / "configs" / "inference.yaml"
    network = ConfigParser(ConfigParser.load_config_file(config)).get_parsed_content("network_def")
    place: dict[str, Any] = {"bundle_dir": tmp_path, "device": "cpu"}

    weights: Any = load(bundle.name, **place)
    loaded: Any = load(bundle.name, model=network, **place)
    loaded.eval()
    assert list(weights) == list(loaded.state_dict())
    assert all(torch.equal(weights[name], value) for name, value in loaded.state_dict().items())

    ckpt_export(bundle_root=str(bundle), config_file=str(config))
    parts: Any = load(bundle.name, load_ts_module=True, config_files=("inference.json",), **place)
    script, metadata, configs = parts
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"]["2"] == "clinker"
    assert b"network_def" in configs["inference.json"]
    image = torch.rand(2, 6, 32, 48)
    with torch.no_grad():
        torch.testing.assert_close(script.eval()(image), loaded(image))
