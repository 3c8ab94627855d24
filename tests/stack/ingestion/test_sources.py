"""Where a description says that images are: channels, pages, files of a folder, datasets; and what lies beside them."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from monai_app.errors import ConfigError, StackError
from monai_app.stack import SampleDescription, Stack, ingest
from tests.stack.samples import SampleFolder, label_plane, pixels

ICE, TLD = pixels(4, 9, 11, seed=1), pixels(4, 9, 11, seed=2)


def ingested(root: Path, detectors: dict[str, Any], **entries: Any) -> Stack:
    sample = SampleFolder(root)
    sample.content |= {"detectors": detectors, **entries}
    return ingest(sample.write(), sample.target)


def check(stack: Stack) -> None:
    for z in range(4):
        np.testing.assert_array_equal(stack.read_slab(z, ["ICE", "TLD"], 1), [ICE[z], TLD[z]])


def test_channels_of_one_file(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([ICE, TLD], 1), imagej=True, metadata={"axes": "ZCYX"})
    check(ingested(tmp_path, {name: {"source": "a.tif", "channel": n} for n, name in enumerate(("ICE", "TLD"))}))


def test_channels_of_a_file_a_slice(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for z in range(4):
        stack = np.stack([ICE[z], TLD[z]])
        tifffile.imwrite(tmp_path / "in" / f"{z}.tif", stack, imagej=True, metadata={"axes": "CYX"})
    check(ingested(tmp_path, {name: {"source": "in", "channel": n} for n, name in enumerate(("ICE", "TLD"))}))
    with pytest.raises(StackError, match=r"0\.tif holds 2 channels"):
        ingested(tmp_path / "in", {"ICE": "."})


def test_pages_of_a_file_a_slice(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for z in range(4):
        with tifffile.TiffWriter(tmp_path / "in" / f"{z}.tif") as writer:
            for plane in (ICE[z], TLD[z]):
                writer.write(plane, metadata=None, contiguous=False)
    check(ingested(tmp_path, {name: {"source": "in", "page": n} for n, name in enumerate(("ICE", "TLD"))}))
    with pytest.raises(StackError, match=r"0\.tif has pages 0 to 1 and no page 2; .*correct 'page'"):
        ingested(tmp_path / "in", {"ICE": {"source": ".", "page": 2}})


def test_one_channel_for_two_detectors_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([ICE, TLD], 1), imagej=True, metadata={"axes": "ZCYX"})
    both = {name: {"source": "a.tif", "channel": 0} for name in ("ICE", "TLD")}
    with pytest.raises(StackError, match="detectors ICE and TLD have the same images"):
        ingested(tmp_path, both)


def test_datasets_of_one_file_and_labels_in_it(tmp_path: Path) -> None:
    labels = np.stack([label_plane(9, 11, z) for z in range(4)])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, stack in (("ICE", ICE), ("TLD", TLD), ("labels", labels)):
            file[name] = stack
    sample = SampleFolder(tmp_path)
    sample.annotate({}, train=[1], test=[2], source={"source": "a.h5", "dataset": "labels"})
    sample.content["detectors"] = {name: {"source": "a.h5", "dataset": name} for name in ("ICE", "TLD")}
    store = ingest(sample.write(), sample.target)
    check(store)
    np.testing.assert_array_equal(store.read_annotation(1), np.select([labels[1] == 0, labels[1] == 7], [1, 2], 0))


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_files_of_one_folder_with_what_lies_beside_them(tmp_path: Path, suffix: str) -> None:
    """Numbers without zeros before them, spaces, letters of any language, and what systems and programs leave."""
    folder = tmp_path / "Größe 5 µm, 試料"
    folder.mkdir()
    originals = tmp_path / "originals"
    originals.mkdir()
    for name, stack in (("ICE", ICE), ("TLD", TLD)):
        for z, plane in enumerate(stack):
            target = folder / f"Probe {9 + z}_{name} (á).{suffix}"
            Image.fromarray(plane).save(originals / target.name)
            target.symlink_to(originals / target.name)
            (folder / f"._{target.name}").write_bytes(b"\x00\x05\x16\x07 resource fork")
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "notes_ICE_.txt"):
        (folder / name).write_bytes(b"no image")
    (folder / ".Spotlight-V100").mkdir()
    (folder / "labels_ICE_.zarr").mkdir()
    detectors = {name: {"source": folder.name, "files": f"*_{name.lower()}_*"} for name in ("ICE", "TLD")}
    with pytest.raises(StackError, match=r"holds no image file whose name fits '\*_ice_\*'"):
        ingested(tmp_path, detectors)
    detectors = {name: {"source": folder.name, "files": f"*_{name.lower()} *"} for name in ("ICE", "TLD")}
    store = ingested(tmp_path, detectors)
    check(store)
    assert store.slice_names[0] == "Probe 9_ICE (á)"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"channel": 0}, "detectors::ICE: key 'source' is missing"),
        ({"source": "none"}, "detectors::ICE::source: .*none does not exist"),
        ({"source": ".", "chanel": 0}, "unknown key 'chanel'; did you mean 'channel'"),
        ({"source": ".", "channel": -1}, "detectors::ICE::channel"),
        ({"source": ".", "page": "first"}, "detectors::ICE::page"),
        ({"source": ".", "page": 0, "channel": 0}, "'channel' and 'page' both select planes"),
    ],
)
def test_refuses_descriptions(tmp_path: Path, entry: dict[str, Any], message: str) -> None:
    sample = SampleFolder(tmp_path)
    sample.content["detectors"] = {"ICE": entry}
    with pytest.raises(ConfigError, match=message):
        SampleDescription.from_yaml(sample.write())


def test_a_pattern_of_files_belongs_to_a_folder(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", ICE, photometric="minisblack")
    with pytest.raises(StackError, match=r"'files: \*' chooses files of a folder, and .*a\.tif is a file"):
        ingested(tmp_path, {"ICE": {"source": "a.tif", "files": "*"}})
