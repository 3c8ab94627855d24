"""Exported files as networks, with a common interface for torch and ONNX Runtime."""

import hashlib
import inspect
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from monai_app.errors import ConfigError
from monai_app.export.formats import METADATA, Format, missing_package, parity_path

_Opened = tuple[Callable[[Tensor], Tensor], str | bytes]
"""What computes logits (B, K, H, W) of images (B, S*C, H, W), and the metadata as text."""


class ExportedNetwork(nn.Module):
    """A network that was read from a file; always in evaluation mode.

    It can be pickled, the file's content with it, so that workers on other machines need not see the file.

    Args:
        content: the file's bytes.
        kind: its format.
        source: its name, for messages.

    Raises:
        ConfigError: the file is damaged or of another format, or ONNX Runtime is not installed.
    """

    def __init__(self, content: bytes, kind: Format, source: str) -> None:
        super().__init__()
        self.content, self.kind, self.source = content, kind, source
        self.sha256 = hashlib.sha256(content).hexdigest()
        try:
            self.function, text = _OPENERS[kind](content)
        except ImportError as error:
            raise missing_package(error) from error
        except Exception as error:  # whatever the readers of the formats raise at foreign bytes
            first = str(error).strip().partition("\n")[0]
            raise ConfigError(
                f"{source} cannot be read as {kind} ({type(error).__name__}: {first}); it is damaged or was written by "
                "other versions: export the run folder again"
            ) from error
        self.metadata = _parsed(text, source)
        self.train(False)

    @classmethod
    def read(cls, path: Path, kind: Format) -> "ExportedNetwork":
        """Read a file; ConfigError if it does not exist, or as of the class."""
        return cls(read_file(path), kind, str(path))

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, K, H, W) of images (B, S*C, H, W)."""
        return self.function(image)

    def train(self, mode: bool = True) -> "ExportedNetwork":
        """Stay in evaluation mode: programs of torch.export cannot change it."""
        for module in self.modules():
            module.training = False
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return ExportedNetwork, (self.content, self.kind, self.source)


def read_file(path: Path) -> bytes:
    """Read an exported file; ConfigError if that cannot be done, or it is not what was exported."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error}); name a file that `monai-app export` wrote") from error
    _check_unchanged(path, hashlib.sha256(content).hexdigest())
    return content


def _open_torchscript(content: bytes) -> _Opened:
    files: dict[str, Any] = {METADATA: ""}
    with quiet_torchscript():
        network = torch.jit.load(BytesIO(content), map_location="cpu", _extra_files=files)  # type: ignore[no-untyped-call]
    return network, files[METADATA]


def _open_torch_export(content: bytes) -> _Opened:
    files: dict[str, Any] = {METADATA: ""}
    log = logging.getLogger("torch.export")  # which logs a long traceback for unexpected bytes
    before, log.disabled = log.disabled, True
    try:
        program = torch.export.load(BytesIO(content), extra_files=files)
    finally:
        log.disabled = before
    # The guards refuse sides of a single stride, at which the program is as right as at any other.
    guarded = "check_guards" in inspect.signature(program.module).parameters
    return program.module(**({"check_guards": False} if guarded else {})), files[METADATA]


def _open_onnx(content: bytes) -> _Opened:
    """Open an ONNX model in ONNX Runtime, on the CPU; logits come back to the images' device."""
    session = import_module("onnxruntime").InferenceSession(content, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(image: Tensor) -> Tensor:
        (logits,) = session.run(None, {name: image.detach().cpu().contiguous().numpy()})
        return torch.from_numpy(logits).to(image.device)

    return run, session.get_modelmeta().custom_metadata_map.get(METADATA, "")


_OPENERS: dict[Format, Callable[[bytes], _Opened]] = {
    "torchscript": _open_torchscript,
    "torch-export": _open_torch_export,
    "onnx": _open_onnx,
}


def _check_unchanged(path: Path, sha256: str) -> None:
    """Compare a file with what was written beside it when it was exported, if that is there."""
    beside = parity_path(path)
    try:
        exported = json.loads(beside.read_text(encoding="utf8"))["sha256"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{beside} is damaged ({error}); export the run folder again, or remove it") from None
    if sha256 != exported:
        raise ConfigError(
            f"{path} is not the file that was exported: its SHA-256 is {sha256[:12]}... and {beside.name} says "
            f"{exported[:12]}...; export the run folder again, or restore it from a copy"
        )


def _parsed(text: str | bytes, source: str) -> dict[str, Any]:
    try:
        metadata = json.loads(text or "{}")
    except ValueError as error:
        raise ConfigError(f"{source}: its {METADATA} is damaged ({error}); export the run folder again") from error
    if not isinstance(metadata, dict):
        raise ConfigError(f"{source}: its {METADATA} is not a JSON object; export the run folder again")
    return metadata


@contextmanager
def quiet_torchscript() -> Iterator[None]:
    """Leave out torch's warnings that TorchScript is deprecated, one a submodule; the page on export says so once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.", category=FutureWarning)
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.", category=DeprecationWarning)
        yield
