"""Segmenting: regions, tiles, masks, names, models."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from monai_app.stack import Stack
from tests.bad_input.row import Make, Place, Row, edit_json, edit_text, in_turn, refused, taken
from tests.bad_input.rows.descriptions import file_at, folder_at
from tests.bad_input.rows.train import another, without_annotations

LINE = "segment STACK RUN --labels new"


def option(text: str, *says: str) -> Row:
    return refused(f"`{text}`", f"{LINE} {text}", *says)


def named(name: str, *says: str) -> Row:
    return refused(f"`--labels {name!r}`", f"segment STACK RUN --labels '{name}'", *says)


def mask(write: Any) -> Make:
    return lambda place: write(place.folder / "mask.tif")


def picture(shape: tuple[int, ...], dtype: str = "uint8", **options: Any) -> Make:
    return mask(lambda path: tifffile.imwrite(path, np.ones(shape, dtype), **options))


def labelled(name: str, slices: int = 8) -> Make:
    def check(place: Place) -> None:
        stack = Stack.open(place.folder / "tiny.ome.zarr")
        assert name in stack.label_names()
        assert np.count_nonzero([stack.read_labels(name, z).any() for z in range(8)]) == slices

    return check


def own_stack(place: Place) -> None:
    place.copy("STACK")


def in_run(name: str, change: Any) -> Make:
    """Make a run folder in which something was done to a file."""
    return lambda place: change(place.copy("RUN") / name)


def metadata(change: Any) -> Make:
    return lambda place: edit_json(place.copy("RUN") / "configs" / "metadata.json", change)


def described(**values: Any) -> Make:
    """Make a run folder whose model is described otherwise."""
    return metadata(lambda content: content["model_description"].update(values))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def inference(text: str) -> Make:
    """Make a run folder whose ``inference.yaml`` says more."""

    def make(place: Place) -> None:
        path = place.copy("RUN") / "configs" / "inference.yaml"
        path.write_text(f"{path.read_text()}\n{text}\n")

    return make


def one_detector(place: Place) -> None:
    another(("detectors: {ICE: ICE, TLD: TLD}", "detectors: {TLD: TLD}"))(place)


def broken(did: str, make: Make, *says: str, line: str = LINE) -> Row:
    return refused(did, line, *says, make=make)


ROWS = [
    option("--detector ICE", "'ICE'", "HAADF=SE"),
    option("--detector HAADF=SE", "'HAADF'", "ICE, TLD"),
    option("--detector ICE=SE", "'SE'", "tiny.ome.zarr"),
    option("--detector ICE=TLD", "'TLD' would replace two detectors"),
    option("--detector ICE=TLD --detector ICE=ICE", "ICE=ICE"),
    option("--z 9:12", "--z 9:12"),
    option("--z 5:5", "5:5"),
    option("--z 6:2", "6:2"),
    option("--z=-1", "-1"),
    option("--z 99", "99"),
    option("--z first", "first"),
    option("--z 1.5", "1.5"),
    option("--z ''", "--z"),
    option("--y 0:97", "--y 0:97"),
    option("--x 80:81", "--x 80:81"),
    option("--x 100000000000000000000:200000000000000000000", "--x"),
    option("--tile 0", "tile '0'"),
    option("--tile -64", "-64"),
    option("--tile 30", "30"),
    option("--tile 64,", "64,"),
    option("--tile 64,64,64", "64,64,64"),
    option("--tile large", "large"),
    option("--tile 1e3", "1e3"),
    option("--tile 16000000000", "16000000000"),
    option("--memory much", "much"),
    option("--memory 0", "memory '0'"),
    option("--memory -4GiB", "-4GiB"),
    option("--memory nan", "nan"),
    option("--mask nowhere.tif", "nowhere.tif"),
    option("--mask ''", "mask"),
    option("--mask .", "mask"),
    option("--mask SAMPLE/sample.yaml", "sample.yaml"),
    option("--mask SAMPLE/annotations", "annotations"),
    refused("a mask of other rows", f"{LINE} --mask mask.tif", "mask.tif", make=picture((95, 80))),
    refused(
        "a mask of fewer slices than the stack",
        f"{LINE} --mask mask.tif",
        "mask.tif",
        make=picture((3, 96, 80), photometric="minisblack"),
    ),
    refused("a mask in colours", f"{LINE} --mask mask.tif", "mask.tif", make=picture((96, 80, 3), photometric="rgb")),
    refused(
        "a mask that is 0 everywhere",
        f"{LINE} --mask mask.tif",
        "mask.tif",
        make=mask(lambda path: tifffile.imwrite(path, np.zeros((96, 80), "uint8"))),
    ),
    refused("a mask of 0 bytes", f"{LINE} --mask mask.tif", "mask.tif", make=mask(lambda path: path.write_bytes(b""))),
    refused(
        "a mask that ends too early",
        f"{LINE} --mask mask.tif",
        "mask.tif",
        make=mask(in_turn(lambda path: tifffile.imwrite(path, np.ones((96, 80), "uint8")), cut)),
    ),
    refused(
        "a mask with NaN",
        f"{LINE} --mask mask.tif",
        "mask.tif",
        make=mask(lambda path: tifffile.imwrite(path, np.full((96, 80), np.nan, "float32"))),
    ),
    option("--confidence sure", "sure"),
    option("--confidence ''", "confidence"),
    option("--precision float16", "float16"),
    option("--preview -1", "preview"),
    option("--preview two", "--preview"),
    option("--preview 99", "99"),
    option("--preview 1e21", "--preview"),
    option("--workers -1", "workers"),
    option("--workers 5000", "workers"),
    option("--workers 1.5", "--workers"),
    option("--workers 2 --cluster tcp://127.0.0.1:1", "--workers 2"),
    option("--cluster nowhere", "nowhere"),
    option("--cluster ''", "cluster"),
    option("--device gpu", "gpu"),
    option("--device cuda:99", "cuda:99"),
    option("--device ''", "''"),
    named("annotation", "annotation"),
    named("a/b", "a/b"),
    named("../x", "../x"),
    named("..", ".."),
    named(".hidden", ".hidden"),
    named("a b", "a b"),
    named("a#b", "a#b"),
    named("n" * 300, "nnn"),
    named("", "label name"),
    refused("`--tiff` into the store", f"{LINE} --tiff STACK/tiffs", "tiny.ome.zarr"),
    refused("`--tiff` into the store's labels", f"{LINE} --tiff STACK/labels/new", "tiny.ome.zarr"),
    refused("`--tiff` where a file is", f"{LINE} --tiff file", "file", make=file_at("file")),
    refused("`--tiff` into a folder with other files", f"{LINE} --tiff mine", "mine", make=folder_at("mine")),
    refused("`--tiff` into the folder of images", f"{LINE} --tiff SAMPLE/ICE", "ICE"),
    refused("a stack that does not exist", "segment nowhere.ome.zarr RUN", "nowhere.ome.zarr"),
    refused("a stack that is a file", "segment EXPORTED RUN", "model.ts"),
    refused("stack and model exchanged", "segment RUN STACK", "run"),
    refused("a model that does not exist", "segment STACK nowhere", "nowhere"),
    refused("a package that was not unpacked", "segment STACK ZIP", "model.zip"),
    refused("a TIFF as the model", "segment STACK SAMPLE/ICE/slice_0.tif", "slice_0.tif"),
    refused("weights in place of the run folder", "segment STACK RUN/models/model.pt", "model.pt"),
    refused("a bundle that was not trained", "segment STACK SAMPLE", "sample"),
    refused("a stack without one of the model's detectors", LINE, "ICE", make=one_detector),
    refused("a model of another pixel type", LINE, "uint16", make=described(dtype="uint16")),
    broken("a run without weights", in_run("models/model.pt", Path.unlink), "model.pt"),
    broken("weights of 0 bytes", in_run("models/model.pt", lambda path: path.write_bytes(b"")), "model.pt"),
    broken("weights that are a text", in_run("models/model.pt", lambda path: path.write_text("weights")), "model.pt"),
    broken("weights that end too early", in_run("models/model.pt", cut), "model.pt"),
    broken("metadata of 0 bytes", in_run("configs/metadata.json", lambda path: path.write_text("")), "metadata.json"),
    broken("metadata that end too early", in_run("configs/metadata.json", cut), "metadata.json"),
    broken(
        "metadata that are a list", in_run("configs/metadata.json", lambda path: path.write_text("[]")), "metadata.json"
    ),
    broken("metadata that are missing", in_run("configs/metadata.json", Path.unlink), "metadata.json"),
    broken(
        "metadata whose model is a text",
        metadata(lambda content: {**content, "model_description": "U-Net"}),
        "model_description",
    ),
    refused(
        "a calibration whose temperature is 0",
        f"{LINE} --confidence max",
        "temperature",
        make=metadata(lambda content: content["calibration"].update(temperature=0.0)),
    ),
    refused(
        "a calibration that is a number",
        f"{LINE} --confidence max",
        "calibration",
        make=metadata(lambda content: {**content, "calibration": 1.5}),
    ),
    broken("`slices` of the model: -3", described(slices=-3), "slices"),
    broken("`slices` of the model: a text", described(slices="three"), "slices"),
    broken("`stride` of the model: 0", described(stride=0), "stride"),
    broken("`stride` of the model: 7", described(stride=7), "network fails"),
    broken("`detectors` of the model: a text", described(detectors="ICE"), "detectors"),
    broken("`detectors` of the model: one twice", described(detectors=["ICE", "ICE"]), "detectors"),
    broken("`detectors` of the model exchanged", described(detectors=["TLD", "ICE"]), "channel_name"),
    broken("`phases` of the model: none", described(phases=[]), "phases"),
    broken("`phases` of the model: numbers", described(phases=[1, 2, 3]), "phases"),
    broken("`channel_std` of the model: 0", described(channel_std=[0.0] * 6), "channel_std"),
    broken("`channel_mean` of the model: a text", described(channel_mean="none"), "channel_mean"),
    broken("`channel_mean` of the model: too few", described(channel_mean=[1.0, 2.0]), "channel_mean"),
    broken("`dtype` of the model: float32", described(dtype="float32"), "float32"),
    broken("`network` of the model: a number", described(network=5), "network"),
    broken("`network` of the model: a mapping", described(network={"_target_": "os.system"}), "os.system"),
    broken(
        "`definition` of the model: another class",
        described(definition={"name": "os.system", "arguments": {"command": "true"}}),
        "neither this package",
    ),
    broken(
        "`definition` of the model: other arguments",
        described(definition={"name": "UNet", "arguments": {"zoom": 5}}),
        "network_def",
    ),
    broken("`definition` of the model: a text", described(definition="UNet"), "definition"),
    broken(
        "`inference.yaml` of 0 bytes",
        in_run("configs/inference.yaml", lambda path: path.write_text("")),
        "inference.yaml",
    ),
    broken("`inference.yaml` that is not YAML", inference("a: ["), "inference.yaml"),
    broken(
        "`inference.yaml` that is a list",
        in_run("configs/inference.yaml", lambda path: path.write_text("[1]")),
        "inference.yaml",
    ),
    broken("`inference.yaml` that is missing", in_run("configs/inference.yaml", Path.unlink), "inference.yaml"),
    broken("`inference.yaml` with an expression for `tile`", inference('tile: "$2 ** 9"'), "tile"),
    broken(
        "`inference.yaml` with `workers: many`",
        in_run("configs/inference.yaml", lambda path: edit_text(path, "workers: 0", "workers: many")),
        "workers",
    ),
    broken(
        "an exported file of 0 bytes",
        lambda place: place.copy("EXPORTED").write_bytes(b""),
        "model.ts",
        line="segment STACK EXPORTED",
    ),
    broken(
        "an exported file that ends too early",
        lambda place: cut(place.copy("EXPORTED")),
        "model.ts",
        line="segment STACK EXPORTED",
    ),
    broken(
        "an exported file that is a text",
        lambda place: place.copy("EXPORTED").write_text("model"),
        "model.ts",
        line="segment STACK EXPORTED",
    ),
    broken(
        "a text called `.onnx`",
        lambda place: (place.folder / "model.onnx").write_text("model"),
        "model.onnx",
        line="segment STACK model.onnx",
    ),
    broken(
        "a text called `.pt2`",
        lambda place: (place.folder / "model.pt2").write_text("model"),
        "model.pt2",
        line="segment STACK model.pt2",
    ),
    taken("a stack that nobody annotated", LINE, labelled("new"), make=without_annotations),
    taken("one slice", f"{LINE} --z 3", labelled("new", 1), make=own_stack),
    taken(
        "a stack with spaces, umlauts and `#`",
        "segment 'Süd #3.ome.zarr' RUN --labels new --z 0",
        lambda place: (place.folder / "Süd #3.ome.zarr/labels/new").stat(),
        make=lambda place: place.copy("STACK").rename(place.folder / "Süd #3.ome.zarr"),
    ),
    taken(
        "links to stack and run",
        "segment link/ model/ --labels new --z 0:2",
        labelled("new", 2),
        make=in_turn(
            lambda place: (place.folder / "link").symlink_to(place.copy("STACK")),
            lambda place: (place.folder / "model").symlink_to(place.goods / "run"),
        ),
    ),
    taken("`--preview 0`", f"{LINE} --preview 0 --z 2", labelled("new", 1), make=own_stack),
]
