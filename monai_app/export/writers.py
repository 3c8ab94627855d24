"""Write a model in one of the formats, metadata inside."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from monai_app.export.formats import METADATA, Format, missing_package
from monai_app.export.networks import quiet_torchscript

_EXAMPLE = (2, 3, 5)
"""Batch, and rows and columns in strides, of the image that a program is recorded at; 0 and 1 would be fixed."""

IMAGE, LOGITS = "image", "pred"
"""Names of an ONNX model's input and output, as metadata.json has them."""


def write_torchscript(network: nn.Module, files: Mapping[str, Any], path: Path) -> None:
    """Write TorchScript, as MONAI's ``ckpt_export`` does.

    Args:
        network: in evaluation mode, its weights loaded.
        files: JSON values to write beside the program, by their names.
        path: the file.
    """
    texts = {name: json.dumps(value) for name, value in files.items()}
    content = BytesIO()  # torch ends the process where it cannot write a file
    with quiet_torchscript():
        torch.jit.save(torch.jit.script(network), content, texts)
    path.write_bytes(content.getbuffer())


def write_torch_export(network: nn.Module, channels: int, stride: int, metadata: Mapping[str, Any], path: Path) -> None:
    """Write a program of torch.export; batch, rows and columns are free.

    Args:
        network: in evaluation mode, its weights loaded.
        channels: S*C, of the images (B, S*C, H, W) that it takes.
        stride: what H and W are multiples of.
        metadata: the bundle's, written as ``metadata.json`` beside the program.
        path: the file.
    """
    program = torch.export.export(network, _images(channels, stride), dynamic_shapes=(_free_sides(stride),))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names folders of this machine
    content = BytesIO()  # torch ends the process where it cannot write a file
    torch.export.save(program, content, extra_files={METADATA: json.dumps(metadata)})
    path.write_bytes(content.getbuffer())


def write_onnx(network: nn.Module, channels: int, stride: int, metadata: Mapping[str, Any], path: Path) -> None:
    """Write an ONNX model as one file; batch, rows and columns are free. Arguments are `write_torch_export`'s.

    MONAI's own ``onnx_export`` fixes the shapes and leaves the metadata out.

    Raises:
        ConfigError: packages that it needs are not installed.
    """
    check_onnx()
    with _quiet_exporter():
        program = torch.onnx.export(
            network,
            _images(channels, stride),
            input_names=[IMAGE],
            output_names=[LOGITS],
            dynamic_shapes=(_free_sides(stride),),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    for node in program.model.graph:
        node.metadata_props.clear()  # it names folders of this machine
    program.model.metadata_props[METADATA] = json.dumps(metadata)
    program.save(path, external_data=False)


def check_onnx() -> None:
    """Check that the packages are there that writing and trying ONNX takes.

    Raises:
        ConfigError: one is not.
    """
    try:
        for name in ("onnx", "onnxscript", "onnxruntime"):
            import_module(name)
    except ImportError as error:
        raise missing_package(error) from error


Writer = Callable[[nn.Module, int, int, Mapping[str, Any], Path], None]

WRITERS: dict[Format, Writer] = {"torch-export": write_torch_export, "onnx": write_onnx}
"""Formats whose programs are recorded with free image sizes; TorchScript needs none."""


def _images(channels: int, stride: int) -> tuple[Tensor]:
    batch, rows, columns = _EXAMPLE
    return (torch.zeros(batch, channels, rows * stride, columns * stride),)


def _free_sides(stride: int) -> dict[int, Any]:
    batch, rows, columns = (torch.export.Dim(name, min=1) for name in ("batch", "rows", "columns"))
    return {0: batch, 2: stride * rows, 3: stride * columns}


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Leave out what the exporter says of packages that this network does not use."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
