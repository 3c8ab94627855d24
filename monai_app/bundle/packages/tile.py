"""A test tile: raw pixels of a stack with the labels that a model gave them, to verify that it still does.

It is a little sample of the kind that ``monai-app ingest`` reads, so that a stranger can look at it and try the model
on it by hand.
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
"""Rows and columns of the tile, where the stack has as many."""

MARGIN = 1e-4
"""Least distance of the two most likely phases, in probability, at which a label is compared.

Closer ones are decided by the rounding of the machine at hand, which is another one elsewhere: they are stored as
unlabelled.
"""


@dataclass(frozen=True)
class TileCheck:
    """How the labels that a model gives here compare with those of the test tile.

    Attributes:
        compared: labelled pixels of the test tile.
        differing: those of them that have another label here.
    """

    compared: int
    differing: int


def write_test_tile(folder: Path, model: Model, stack: Stack) -> None:
    """Write the test tile of a model.

    Args:
        folder: folder to make, with one folder of TIFFs per detector, ``sample.yaml``, ``labels.tif`` (rows, columns;
            uint8, 1..K, 0 where labels are not compared) and ``tile.json``, which says where the tile was cut out.
        model: the model with its weights loaded, on the CPU.
        stack: where the tile is cut out: of its `example_slice`, there, where most phases are annotated.

    Raises:
        ConfigError: the stack lacks a detector.
        StackError: its pixels are of another type.
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
        ConfigError: the bundle has no test tile, or the tile no labels.
    """
    is_earlier = (bundle / _EARLIER[0]).is_dir() and not (bundle / FOLDER).is_dir()
    name, record_name = _EARLIER if is_earlier else (FOLDER, RECORD)
    folder = bundle / name
    record = folder / record_name
    if not (folder / SAMPLE).is_file():
        raise ConfigError(f"{bundle} has no test tile ({FOLDER}/{SAMPLE}); make a package with monai-app package")
    expected = _read_labels(folder / LABELS)
    if not expected.any():
        raise ConfigError(f"{folder / LABELS} holds no label, so it verifies nothing; package the model again")
    target = read_json(record, ("target",))["target"]
    if type(target) is not int:
        raise ConfigError(f"{record}: target {target!r} must be a slice's number; unpack it again")
    with temporary_folder("tile") as temporary:
        # Packages of earlier versions do not say that the slab of a stack's end holds the end slice twice.
        sample = SampleDescription.from_yaml(folder / SAMPLE).model_copy(update={"accept": FINDINGS})
        if not all(entry.source.resolve().is_relative_to(folder.resolve()) for entry in sample.detectors.values()):
            raise ConfigError(f"{folder / SAMPLE} names images outside the package; package the model again")
        stack = ingest(sample, temporary / "tile.ome.zarr")
        model = load_model(bundle)
        model = model.described_by(model.spec.replaced(training_stacks=()))  # a piece need not look like whole slices
        segment(model, stack.path, "tile", Applied(region=Part(slices=str(target))))
        labels = stack.read_labels("tile", target)
    if expected.shape != labels.shape:
        raise ConfigError(f"{folder / LABELS} has {expected.shape} pixels, its slice {labels.shape}; unpack it again")
    known = expected > 0
    return TileCheck(int(known.sum()), int((labels != expected)[known].sum()))


def _read_labels(path: Path) -> npt.NDArray[np.uint8]:
    try:
        labels: npt.NDArray[np.uint8] = tifffile.imread(path)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); unpack the package again") from None
    return labels


def _choose_window(stack: Stack, z: int, stride: int) -> Rect:
    """Return the tile of a grid that shows most phases, and of these most of its rarest."""
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
    """Return the labels of one plain forward pass, 0 where two phases are almost equally likely."""
    spec = model.spec
    normalised = NormalizeIntensity(spec.channel_mean, spec.channel_std, channel_wise=True)(slab)
    with torch.no_grad():
        probability = model.network(normalised[None])[0].softmax(0)
    best, second = probability.topk(2, 0).values
    labels: npt.NDArray[np.uint8] = (phase_labels(probability)[0] * (best - second >= MARGIN)).numpy()
    return labels
