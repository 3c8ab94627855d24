"""What the tests of this folder share."""

from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from monai_app.export.trust import sign
from monai_app.inference import Model

NETWORKS = pytest.mark.parametrize("kind", ["unet", "sensor3d"])
FORMATS = pytest.mark.parametrize("name", ["torchscript", "torch-export", "onnx"])


def described_model(run: Path) -> Model:
    """The model of a run folder as its inference.yaml has it, without weights."""
    parser = ConfigParser()
    parser.read_config(str(run / "configs" / "inference.yaml"))
    parser["bundle_root"] = str(run)
    model: Model = parser.get_parsed_content("model")
    return model


def trusted(path: Path) -> str:
    """The path of an exported file that the user trusts."""
    sign(path.read_bytes())
    return str(path)
