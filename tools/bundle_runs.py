"""Checks that run a bundle: its workflows on a tiny stack that fits the model, its network, its export."""

import json
import os
import socket
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import ignite.distributed
import numpy as np
import scipy.ndimage
import tifffile
import torch
import yaml
from bundle_files import Bundle, CheckError
from monai.bundle import ConfigParser, ConfigWorkflow, ckpt_export, verify_net_in_out

from monai_app.stack import Stack, ingest

SLICES = 8
TRAIN, TEST = [1, 3, 5], [6]


def check_network(bundle: Bundle) -> str:
    """The network takes and gives what metadata says."""
    config = bundle.required_config("inference")
    meta = bundle.folder / "configs" / "metadata.json"
    verify_net_in_out(net_id="network_def", meta_file=str(meta), config_file=str(config), device="cpu", n=2)
    formats = bundle.metadata["network_data_format"]
    image, pred = formats["inputs"]["image"], formats["outputs"]["pred"]
    for tensor in (image, pred):
        if len(tensor.get("channel_def", {})) != tensor["num_channels"]:
            raise CheckError(
                f"channel_def names {len(tensor.get('channel_def', {}))} of {tensor['num_channels']} channels"
            )
    return f"{image['num_channels']} -> {pred['num_channels']} channels"


def check_export(bundle: Bundle) -> str:
    """The trained network becomes TorchScript that is read back and computes the same."""
    filepath = bundle.work / f"verify_{uuid.uuid4().hex}.ts"
    config = bundle.required_config("inference")
    ckpt_export(bundle_root=str(bundle.folder), config_file=str(config), filepath=str(filepath))
    scripts = [filepath, *([shipped] if (shipped := bundle.folder / "models" / "model.ts").is_file() else [])]
    network = trained_network(bundle)
    side = 2 * stride_of(config)
    image = torch.rand(1, bundle.metadata["network_data_format"]["inputs"]["image"]["num_channels"], side, side)
    with torch.no_grad():
        expected = network(image)
        for path in scripts:
            scripted = torch.jit.load(path).eval()  # type: ignore[no-untyped-call]
            difference = (scripted(image) - expected).abs().max().item()
            if not difference <= 1e-4:
                raise CheckError(f"{path.name} differs by {difference:.2g} from models/model.pt: export it again")
    filepath.unlink()
    return ", ".join(["exported", *(path.name for path in scripts[1:])])


def check_properties(bundle: Bundle, kind: str, names: Sequence[str]) -> str:
    """A workflow starts and has all properties that MONAI wants of its kind."""
    with one_process(), workflow(bundle, kind, names) as started:
        missing = started.check_properties()
    if missing:
        raise CheckError(f"{' + '.join(names)}: missing or under a wrong id: {', '.join(missing)}")
    return " + ".join(names)


def check_training(bundle: Bundle) -> str:
    """One epoch of training leaves weights."""
    with workflow(bundle, "train", ["train"]) as started:
        started.run()
        models = Path(started.parser.get_parsed_content("models_dir"))
    if not (models / "model.pt").is_file():
        raise CheckError("the training left no model.pt: val_interval or the BestModel handler prevents it")
    return "1 epoch"


def check_evaluation(bundle: Bundle) -> str:
    """The weights are scored on the test slice."""
    output = bundle.work / f"eval_{uuid.uuid4().hex}"
    with workflow(bundle, "train", ["train", "evaluate"], output_dir=str(output)) as started:
        started.run()
    scores = output / "test" / "scores.json"
    if not scores.is_file():
        raise CheckError("the evaluation left no scores.json: evaluate.yaml needs the ScoreWriter handler")
    return f"mean IoU {json.loads(scores.read_text())['mean_iou']:.3f} on a tiny stack"


def check_inference(bundle: Bundle) -> str:
    """A stack is segmented."""
    name = f"verify_{uuid.uuid4().hex}"
    with workflow(bundle, "infer", ["inference"], labels_name=name) as started:
        started.run()
    stack = Stack.open(stack_for(bundle))
    if name not in stack.label_names() or not stack.read_labels(name, SLICES - 1).all():
        raise CheckError("the inference left no complete label image: `run` must call @segmentation.run()")
    return f"{SLICES} slices"


@contextmanager
def workflow(bundle: Bundle, kind: str, names: Sequence[str], **overrides: Any) -> Iterator[ConfigWorkflow]:
    """Start a bundle's workflow on the tiny stack, and end it; everything is written into the work folder."""
    files = [str(bundle.required_config(name)) for name in names]
    known = {"bundle_root": str(bundle.folder), "dataset_dir": str(stack_for(bundle)), **overrides}
    if kind == "train":
        known = {**_short_training(bundle), **known}
    if kind == "train" and "evaluate" not in names:  # a finished training would be taken for one to resume
        known["models_dir"] = str(bundle.work / f"models_{uuid.uuid4().hex}")
    started = ConfigWorkflow(config_file=files, workflow_type=kind, logging_file=False, **known)
    started.initialize()
    try:
        yield started
    finally:
        started.finalize()


def _short_training(bundle: Bundle) -> dict[str, Any]:
    side = side_for(bundle)
    sizes = {"crop": [side, side], "window": [side, side], "validation_block": 32, "batch_size": 2, "workers": 0}
    return {**sizes, "max_epochs": 1, "steps_per_epoch": 3, "val_interval": 1, "output_dir": str(bundle.work / "eval")}


@contextmanager
def one_process() -> Iterator[None]:
    """What torchrun sets for one process, so that configs for several can start here too."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "LOCAL_WORLD_SIZE": 1, "MASTER_PORT": port}
    before = dict(os.environ)
    os.environ.update({name: str(value) for name, value in names.items()}, MASTER_ADDR="127.0.0.1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        ignite.distributed.sync()  # it remembers the group, and would look for it in the next workflow


def trained_network(bundle: Bundle) -> torch.nn.Module:
    """Return the network with the bundle's weights."""
    network: torch.nn.Module = parsed(bundle.required_config("inference")).get_parsed_content("network_def")
    network.load_state_dict(torch.load(bundle.weights, weights_only=True, map_location="cpu"))
    return network.eval()


def stride_of(config: Path) -> int:
    """Return what the network's rows and columns must be multiples of."""
    return int(parsed(config).get_parsed_content("stride"))


def side_for(bundle: Bundle) -> int:
    """Return the side of a crop: small, and a multiple of the network's stride."""
    stride = stride_of(bundle.required_config("inference"))
    return -(-48 // stride) * stride


def parsed(config: Path) -> ConfigParser:
    """Return a parser of a config."""
    return ConfigParser(ConfigParser.load_config_file(str(config)))


def stack_for(bundle: Bundle) -> Path:
    """Return a tiny stack that fits the model, made once for all bundles of the same detectors and phases."""
    config = ConfigParser.load_config_file(str(bundle.required_config("inference")))
    phases = tuple((phase["name"], tuple(phase["rgb"])) for phase in config["phases"])
    return write_stack(bundle.work, tuple(config["detectors"]), phases, config["dtype"], 2 * side_for(bundle))


@cache
def write_stack(work: Path, detectors: tuple[str, ...], phases: tuple[Any, ...], dtype: str, side: int) -> Path:
    """Write a stack of smooth random grains, each phase with a grey value of its own, four slices annotated."""
    folder = work / f"sample_{uuid.uuid4().hex}"
    rng = np.random.default_rng(0)
    field = scipy.ndimage.gaussian_filter(rng.standard_normal((SLICES, side, side)), (1.5, 5, 5))
    cuts = np.quantile(field, np.linspace(0, 1, len(phases) + 1)[1:-1])
    truth = (1 + np.digitize(field, cuts)).astype(np.uint8)
    white = np.iinfo(dtype).max
    for detector in detectors:
        greys = np.linspace(0.1, 0.9, len(phases)) + rng.normal(0, 0.05, truth.shape)[..., None]
        image = np.take_along_axis(greys, truth[..., None].astype(int) - 1, -1)[..., 0]
        _write_slices(folder / detector, (np.clip(image, 0, 1) * white).astype(dtype), range(SLICES))
    _write_slices(folder / "annotations", truth, TRAIN + TEST)
    (folder / "sample.yaml").write_text(yaml.safe_dump(_description(detectors, phases)), encoding="utf8")
    return ingest(folder / "sample.yaml", folder.with_suffix(".ome.zarr")).path


def _write_slices(folder: Path, images: np.ndarray, which: Sequence[int]) -> None:
    folder.mkdir(parents=True)
    for z in which:
        tifffile.imwrite(folder / f"slice_{z}.tif", images[z])


def _description(detectors: Sequence[str], phases: Sequence[Any]) -> dict[str, Any]:
    """Describe the sample as `ingest` reads it."""
    return {
        "name": "tiny",
        "voxel_nm": {"z": 20.0, "y": 10.0, "x": 10.0},
        "detectors": {name: name for name in detectors},
        "phases": [
            {"value": value, "name": name, "colour": "#{:02x}{:02x}{:02x}".format(*rgb)}
            for value, (name, rgb) in enumerate(phases, start=1)
        ],
        "annotations": {
            "source": "annotations",
            "mapping": {value: name for value, (name, _) in enumerate(phases, start=1)},
            "train": TRAIN,
            "test": TEST,
        },
    }
