"""A test tile: raw pixels of a stack with the labels predicted by a model, to verify that it still predicts them.

It is a small sample in the form that ``monai-app ingest`` reads, so that anyone can inspect it and try the model.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
import torch
from monai.transforms import NormalizeIntensity
from ruamel.yaml import YAML

from monai_app.bundle.configs.applied import Applied, Part
from monai_app.bundle.configs.settings import read_json
from monai_app.bundle.model import load_model
from monai_app.bundle.segment import segment
from monai_app.domain.region import Rect
from monai_app.errors import ConfigError
from monai_app.inference import Model
from monai_app.names import check_file_name
from monai_app.stack import SampleDescription, Stack, ingest
from monai_app.stack.ingestion.description import FINDINGS
from monai_app.temporary import temporary_folder
from monai_app.transforms import phase_labels

FOLDER = "test_tile"
"""Folder of a package that holds the tile."""

SAMPLE, LABELS, RECORD = "sample.yaml", "labels.tif", "tile.json"

_EARLIER = ("golden", "golden.json")
"""Folder and record in packages of earlier versions."""

SIDE = 256
"""Largest number of rows and columns of the tile."""

MARGIN = 1e-4
"""Minimum difference in probability between the two most likely phases for a label to be compared.

Below it, rounding decides, which differs between machines: these pixels are stored as unlabelled.
"""


@dataclass(frozen=True)
class TileCheck:
    """How the labels predicted here compare with those of the test tile.

    Attributes:
        compared: labelled pixels of the test tile.
        differing: number of those whose label differs here.
    """

    compared: int
    differing: int


def write_test_tile(folder: Path, model: Model, stack: Stack) -> None:
    """Write the test tile of a model.

    Args:
        folder: folder to create, with one folder of TIFFs per detector, ``sample.yaml``, ``labels.tif`` (rows, columns;
            uint8, 1..K, 0 where labels are not compared) and ``tile.json``, which records where the tile was cut out.
        model: the model with its weights loaded, on the CPU.
        stack: source of the tile, which is cut out of `example_slice` where most phases are annotated.

    Raises:
        ConfigError: the stack lacks a detector.
        StackError: its pixel type differs.
    """
    spec = model.spec
    spec.check_stack(stack)
    z = stack.example_slice
    window = _choose_window(stack, z, spec.stride)
    slab = stack.read_slab(z, spec.detectors, spec.slices, window)
    labels = _expected_labels(model, slab)
    folder.mkdir(parents=True)
    images = slab.reshape(spec.slices, len(spec.detectors), *slab.shape[1:])
    for channel, detector in enumerate(spec.detectors):
        (folder / check_file_name(detector, "detector")).mkdir()
        for number, image in enumerate(images[:, channel]):
            tifffile.imwrite(folder / detector / f"slice_{number}.tif", image, compression="zlib")
    tifffile.imwrite(folder / LABELS, labels, compression="zlib")
    sample = {
        "name": FOLDER,
        "voxel_nm": dict(zip("zyx", stack.voxel_nm, strict=True)),
        "detectors": {name: name for name in spec.detectors},
        "phases": [phase.sample_entry() for phase in spec.phases],
        "accept": list(FINDINGS),
    }
    YAML().dump(sample, folder / SAMPLE)
    record = {
        "stack": stack.name,
        "stack_identity": stack.identity,
        "slice": z,
        "rows": [window.y.start, window.y.stop],
        "columns": [window.x.start, window.x.stop],
        "target": spec.slices // 2,
        "margin": MARGIN,
        "compared_pixels": int((labels > 0).sum()),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf8")


def check_test_tile(bundle: Path) -> TileCheck:
    """Segment a bundle's test tile and compare the labels.

    Raises:
        ConfigError: the bundle has no test tile, or the tile has no labels.
    """
    is_earlier = (bundle / _EARLIER[0]).is_dir() and not (bundle / FOLDER).is_dir()
    name, record_name = _EARLIER if is_earlier else (FOLDER, RECORD)
    folder = bundle / name
    record = folder / record_name
    if not (folder / SAMPLE).is_file():
        raise ConfigError(f"{bundle} has no test tile ({FOLDER}/{SAMPLE}); create a package with monai-app package")
    expected = _read_labels(folder / LABELS)
    if not expected.any():
        raise ConfigError(f"{folder / LABELS} contains no label and so verifies nothing; package the model again")
    target = read_json(record, ("target",))["target"]
    if type(target) is not int:
        raise ConfigError(f"{record}: target {target!r} must be a slice's number; unpack it again")
    with temporary_folder("tile") as temporary:
        # Packages of earlier versions do not record that the slab at a stack's end repeats the end slice.
        sample = SampleDescription.from_yaml(folder / SAMPLE).model_copy(update={"accept": FINDINGS})
        if not all(entry.source.resolve().is_relative_to(folder.resolve()) for entry in sample.detectors.values()):
            raise ConfigError(f"{folder / SAMPLE} names images outside the package; package the model again")
        stack = ingest(sample, temporary / "tile.ome.zarr")
        model = load_model(bundle)
        model = model.described_by(model.spec.replaced(training_stacks=()))  # a part need not resemble complete slices
        segment(model, stack.path, "tile", Applied(region=Part(slices=str(target))))
        labels = stack.read_labels("tile", target)
    if expected.shape != labels.shape:
        raise ConfigError(
            f"{folder / LABELS} has {expected.shape} pixels, but its slice {labels.shape}; unpack it again"
        )
    known = expected > 0
    return TileCheck(int(known.sum()), int((labels != expected)[known].sum()))


def _read_labels(path: Path) -> npt.NDArray[np.uint8]:
    try:
        labels: npt.NDArray[np.uint8] = tifffile.imread(path)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); unpack the package again") from None
    return labels


def _choose_window(stack: Stack, z: int, stride: int) -> Rect:
    """Return the tile of a grid with the most phases and, among these, the most pixels of its rarest phase."""
    _, rows, columns = stack.shape
    height, width = (max(min(SIDE, side) // stride * stride, min(stride, side)) for side in (rows, columns))
    windows = [cell for cell in Rect.whole(stack.shape).split(height, width) if cell.shape == (height, width)]
    if z not in stack.roles:
        return windows[len(windows) // 2]

    def shown(window: Rect) -> tuple[int, int]:
        counts = np.bincount(stack.read_annotation(z, window).ravel())[1:]
        return int((counts > 0).sum()), int(counts[counts > 0].min(initial=height * width))

    return max(windows, key=shown)


def _expected_labels(model: Model, slab: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """Return the labels of one forward pass, 0 where two phases are almost equally likely."""
    spec = model.spec
    normalised = NormalizeIntensity(spec.channel_mean, spec.channel_std, channel_wise=True)(slab)
    with torch.no_grad():
        probability = model.network(normalised[None])[0].softmax(0)
    best, second = probability.topk(2, 0).values
    labels: npt.NDArray[np.uint8] = (phase_labels(probability)[0] * (best - second >= MARGIN)).numpy()
    return labels
