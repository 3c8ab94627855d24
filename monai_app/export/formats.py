"""The formats of exported files."""

from pathlib import Path
from typing import Literal

from monai_app.errors import ConfigError

Format = Literal["torchscript", "torch-export", "onnx"]

SUFFIXES: dict[Format, str] = {"torchscript": ".ts", "torch-export": ".pt2", "onnx": ".onnx"}
"""What the names of their files end in."""

METADATA = "metadata.json"
"""Where a file of any format holds the bundle's metadata."""


def format_of(path: Path) -> Format:
    """Return the format of a file by its suffix.

    Raises:
        ConfigError: it has the suffix of none.
    """
    for name, suffix in SUFFIXES.items():
        if path.suffix == suffix:
            return name
    endings = ", ".join(f"{suffix} ({name})" for name, suffix in SUFFIXES.items())
    raise ConfigError(
        f"{path} does not have the name of an exported model, which ends in one of {endings}; give a run folder or "
        "such a file"
    )


def parity_path(path: Path) -> Path:
    """Where the comparison of an exported file with its original is, and the file's SHA-256."""
    return path.with_name(f"{path.name}.parity.json")


def missing_package(error: ImportError) -> ConfigError:
    """What to say where a package that only ONNX needs is not installed."""
    return ConfigError(f"ONNX needs a package that is not installed ({error}); pip install 'monai-app[export]'")
