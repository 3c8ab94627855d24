"""rdf.yaml of a bioimage.io model: what goes in, what comes out, and whose it is."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from monai_app.domain.model_spec import KEY, ModelSpec
from monai_app.export.bioimageio.credits import Credits, citations
from monai_app.export.bioimageio.tensors import Sides

_TAGS = (
    "segmentation",
    "semantic-segmentation",
    "2d",
    "electron-microscopy",
    "fib-sem",
    "materials-science",
    "pytorch",
)

INPUT, OUTPUT = "image", "probabilities"

_FLOAT = {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}

_LONGEST_TEXT, _LONGEST_AXIS = 1024, 128


def description(
    name: str,
    files: Mapping[str, Path],
    spec: ModelSpec,
    sides: Sides,
    credits: Credits,
    metadata: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what `bioimageio.spec.model.v0_5.ModelDescr` is made of.

    Args:
        name: the model's.
        files: ``input``, ``output`` (.npy), ``weights`` (TorchScript) and ``documentation`` (.md).
        spec: what the model takes and gives.
        sides: rows and columns that it takes.
        credits: authors, licence and citations.
        metadata: the bundle's, whose description and references are used.
        provenance: of the weights; its voxel size is that of the axes.
    """
    torch_version = torch.__version__.split("+")[0]
    return {
        "name": f"{re.sub('[^A-Za-z0-9_+ ()-]', '-', name)} (FIB-SEM segmentation)",
        "description": str(metadata.get("description", ""))[:_LONGEST_TEXT],
        "authors": credits.author_entries(),
        "cite": citations([*credits.cite, *metadata.get("references", ())]),
        "license": credits.license,
        "tags": list(_TAGS),
        "version": metadata.get("version"),
        "documentation": {"source": files["documentation"]},
        "inputs": [_input(spec, sides, files["input"], provenance)],
        "outputs": [_output(spec, sides, files["output"], provenance)],
        "weights": {"torchscript": {"source": files["weights"], "pytorch_version": torch_version}},
        "config": {"monai_app": {KEY: spec.to_json(), "provenance": dict(provenance)}},
    }


def channel_ids(names: Sequence[str]) -> list[str]:
    """The channels by names that all versions of the format take: identifiers, each another one.

    Example:
        >>> channel_ids(["z-1:ICE", "z:ICE", "z+1:ICE", "z:C-S-H"])
        ['ICE_z_minus_1', 'ICE_z', 'ICE_z_plus_1', 'C_S_H_z']
    """
    made: list[str] = []
    for name in names:
        place, _, detector = name.rpartition(":")
        text = "_".join(filter(None, (detector, place.replace("-", "_minus_").replace("+", "_plus_"))))
        text = re.sub(r"\W", "_", text)
        text = text if text.isidentifier() else f"c_{text}"
        made.append(text if text not in made else f"{text}_{len(made)}")
    return made


def _input(spec: ModelSpec, sides: Sides, file: Path, provenance: Mapping[str, Any]) -> dict[str, Any]:
    highest = 255 if spec.dtype == "uint8" else 65535
    slab = f"{spec.slices} slices around the one to segment" if spec.slices > 1 else "the slice to segment"
    size = {"min": sides.least, "step": sides.step}
    along_channels = {"axis": "channel", "mean": list(spec.channel_mean), "std": list(spec.channel_std)}
    return {
        "id": INPUT,
        "description": f"Raw grey values of {slab}, in {', '.join(spec.detectors)}; slice-major"[:_LONGEST_AXIS],
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": channel_ids(spec.channel_name)},
            *({"type": "space", "id": axis, "size": size, **_scale(axis, provenance)} for axis in "yx"),
        ],
        "data": {"type": spec.dtype, "range": (0, highest)},
        "preprocessing": [
            _FLOAT,
            {"id": "fixed_zero_mean_unit_variance", "kwargs": along_channels},
            _FLOAT,  # without it bioimageio adds one with the type of the input
        ],
        "test_tensor": {"source": file},
    }


def _output(spec: ModelSpec, sides: Sides, file: Path, provenance: Mapping[str, Any]) -> dict[str, Any]:
    halo = {"halo": sides.halo} if sides.halo else {}
    return {
        "id": OUTPUT,
        "description": "Probability of every phase, softmax(logits / temperature); label = index of the maximum",
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": channel_ids(spec.phase_names)},
            *(
                {
                    "type": "space",
                    "id": axis,
                    "size": {"tensor_id": INPUT, "axis_id": axis},
                    **halo,
                    **_scale(axis, provenance),
                }
                for axis in "yx"
            ),
        ],
        "data": {"type": "float32", "range": (0.0, 1.0)},
        "test_tensor": {"source": file},
    }


def _scale(axis: str, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The size of a pixel that was trained on, where the stack is that one."""
    voxel = provenance["data"]["voxel_nm"]
    return {"unit": "nanometer", "scale": voxel["zyx".index(axis)]} if voxel else {}
