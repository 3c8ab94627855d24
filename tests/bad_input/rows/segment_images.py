"""Segmenting folders of images: models, folders, sizes of a voxel."""

import shutil

import numpy as np
import tifffile

from tests.bad_input.row import Make, Place, Row, in_turn, refused, taken
from tests.bad_input.rows.descriptions import file_at, folder_at

LINE = "segment ZIP -i SAMPLE -o out"


def plain(place: Place) -> None:
    """Make a folder of images that nobody described."""
    sample = place.copy("SAMPLE")
    (sample / "sample.yaml").unlink()
    shutil.rmtree(sample / "annotations")


def stored_as(dtype: str) -> Make:
    def make(place: Place) -> None:
        for path in place.copy("SAMPLE").glob("*/*.tif"):
            tifffile.imwrite(path, tifffile.imread(path).astype(dtype))

    return in_turn(plain, make)


def without(name: str) -> Make:
    def make(place: Place) -> None:
        path = place.copy("SAMPLE") / name
        path.unlink() if path.is_file() else shutil.rmtree(path)

    return in_turn(plain, make)


def swapped(place: Place) -> None:
    for name, recorded in (("ICE", "TLD"), ("TLD", "ICE")):
        for path in (place.copy("SAMPLE") / name).iterdir():
            tags = [(34682, "s", 0, f"[Detectors]\nName={recorded}\n", True)]  # as FEI's microscopes write it
            tifffile.imwrite(path, tifffile.imread(path), extratags=tags)


def in_lower_case(place: Place) -> None:
    for path in place.copy("SAMPLE").iterdir():
        path.rename(path.with_name(path.name.lower()))


def alike(place: Place) -> None:
    sample = place.copy("SAMPLE")
    (sample / "TLD").rename(sample / "(TLD)")
    shutil.copytree(sample / "(TLD)", sample / "TLD.")


def written(place: Place) -> None:
    labels = [tifffile.imread(path) for path in sorted((place.folder / "out").glob("*.tif"))]
    assert len(labels) == 8
    assert np.isin(labels, (1, 2, 3)).all()
    assert sorted(path.name for path in place.folder.iterdir()) == ["out", "sample"]


def sized(text: str, *says: str) -> Row:
    return refused(f"`--voxel-nm {text!r}`", f"{LINE} --voxel-nm='{text}'", "--voxel-nm", *says, make=plain)


def of_stacks(option: str) -> Row:
    return refused(f"`{option}` with `--input`", f"{LINE} {option}", option.split()[0])


ROWS = [
    refused("a model alone", "segment RUN", "only argument", "--input"),
    refused("`--input` without `--output`", "segment ZIP -i SAMPLE", "--output"),
    refused("`--output` without `--input`", "segment ZIP -o out", "--input"),
    refused("`--voxel-nm` with a stack", "segment STACK RUN --voxel-nm 20,10,10", "--voxel-nm"),
    refused("stack, model and `--input`", "segment STACK RUN -i SAMPLE -o out", "second argument"),
    *(of_stacks(option) for option in ("--labels new", "--tiff tiffs", "--confidence max", "--probability")),
    refused("`--input` that does not exist", "segment ZIP -i nowhere -o out", "nowhere"),
    refused("`--input` that is a file", "segment ZIP -i SAMPLE/sample.yaml -o out", "sample.yaml"),
    refused("`--input` that is a stack", "segment ZIP -i STACK -o out", "tiny.ome.zarr", "STACK MODEL"),
    refused(
        "`--input` without images", "segment ZIP -i mine -o out", "mine", make=lambda p: (p.folder / "mine").mkdir()
    ),
    refused("`--output` in the folder of images", "segment ZIP -i SAMPLE -o SAMPLE/out", "out"),
    refused("`--output` around the folder of images", "segment ZIP -i SAMPLE/ICE -o SAMPLE --overwrite", "sample"),
    refused("`--output` in a store", "segment ZIP -i SAMPLE -o STACK/out", "tiny.ome.zarr"),
    refused("`--output` where a file is", "segment ZIP -i SAMPLE -o file", "file", make=file_at("file")),
    refused(
        "`--output` where other files are", "segment ZIP -i SAMPLE -o mine --overwrite", "mine", make=folder_at("mine")
    ),
    taken(
        "`--output` that is an empty folder",
        LINE,
        written,
        make=in_turn(lambda place: place.copy("SAMPLE"), lambda place: (place.folder / "out").mkdir()),
    ),
    sized("20,10"),
    sized("20,10,10,10"),
    sized("z,y,x"),
    sized(""),
    sized("0,10,10", "z"),
    sized("20,nan,10", "y"),
    sized("20,10,1e9", "x"),
    refused("`--voxel-nm` beside a description", f"{LINE} --voxel-nm 20,10,10", "sample.yaml"),
    refused("images whose files say no voxel size", LINE, "--voxel-nm", make=plain),
    refused("images without one of the model's detectors", LINE, "TLD", "--detector", make=without("TLD")),
    refused("`--detector` that has no subfolder", f"{LINE} --detector TLD=SE", "SE", make=plain),
    refused(
        "two subfolders for one detector",
        f"{LINE} --voxel-nm 20,10,10",
        "(TLD) and TLD. both",
        "--detector 'TLD=(TLD)'",
        make=in_turn(plain, alike),
    ),
    refused(
        "`--detector` with the subfolder of another detector",
        f"{LINE} --voxel-nm 20,10,10 --detector TLD=ice",
        "ICE would be read for two detectors",
        make=plain,
    ),
    refused(
        "subfolders whose files record each other's detector",
        f"{LINE} --voxel-nm 20,10,10",
        "ICE contains images of TLD",
        "swap",
        make=in_turn(plain, swapped),
    ),
    refused("images with a slice missing", f"{LINE} --voxel-nm 20,10,10", "slice", make=without("ICE/slice_3.tif")),
    refused("images of another pixel type", f"{LINE} --voxel-nm 20,10,10", "uint16", make=stored_as("uint16")),
    refused("images of fractions", f"{LINE} --voxel-nm 20,10,10", "black and white", make=stored_as("float32")),
    refused("`--z 99` of images", f"{LINE} --z 99", "99"),
    refused("`--mask` of images that does not exist", f"{LINE} --mask nowhere.tif", "nowhere.tif"),
    refused("`--tile large` of images", f"{LINE} --tile large", "large"),
    refused("`--cluster nowhere` for images", f"{LINE} --cluster nowhere", "nowhere"),
    refused("a packed model that does not exist", "segment nowhere.zip -i SAMPLE -o out", "nowhere.zip"),
    refused(
        "a text called `.zip`",
        "segment model.zip -i SAMPLE -o out",
        "model.zip",
        make=lambda place: (place.folder / "model.zip").write_text("model"),
    ),
    taken("a described folder of images", LINE, written, make=lambda place: place.copy("SAMPLE")),
    taken("subfolders in lower case", f"{LINE} --voxel-nm 20,10,10", written, make=in_turn(plain, in_lower_case)),
]
