"""What is done with a trained run: scores, exported files, packages and trust."""

import json
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.bad_input.row import Make, Place, edit_json, in_turn, refused, taken
from tests.bad_input.rows.descriptions import file_at, folder_at
from tests.bad_input.rows.segment import cut, described, in_run, inference
from tests.bad_input.rows.train import another, without_annotations


def own_run(place: Place) -> None:
    place.copy("RUN")


def scores(text: str) -> Make:
    """Make a run folder with a document of scores."""

    def make(place: Place) -> None:
        path = place.copy("RUN") / "eval" / "test" / "scores.json"
        path.parent.mkdir()
        path.write_text(text)

    return make


def archive(change: Callable[[dict[str, bytes]], object]) -> Make:
    """Make a package whose entries are other ones."""

    def make(place: Place) -> None:
        path = place.copy("ZIP")
        with zipfile.ZipFile(path) as opened:
            entries = {name: opened.read(name) for name in opened.namelist()}
        change(entries)
        with zipfile.ZipFile(path, "w") as written:
            for name, data in entries.items():
                written.writestr(name, data)

    return make


def emptied(entries: dict[str, bytes]) -> None:
    entries.clear()


def entry(end: str, change: Callable[[bytes], bytes | None]) -> Make:
    """Make a package in which an entry, by the end of its name, is changed or left out."""

    def bend(entries: dict[str, bytes]) -> None:
        (name,) = (each for each in entries if each.endswith(end))
        data = change(entries.pop(name))
        if data is not None:
            entries[name] = data

    return archive(bend)


def added(name: str) -> Make:
    return archive(lambda entries: entries.update({name: b"mine"}))


def in_unpacked(name: str, change: Callable[[Path], object]) -> Make:
    return lambda place: change(place.copy("UNPACKED") / name)


def zip_file(data: bytes) -> Make:
    return lambda place: place.copy("ZIP").write_bytes(data)


def flipped(place: Place) -> None:
    path = place.copy("ZIP")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def twice(place: Place) -> None:
    path = place.copy("ZIP")
    with zipfile.ZipFile(path, "a") as opened, warnings.catch_warnings(action="ignore"):
        opened.writestr(opened.namelist()[0], b"mine")


def linked_entry(place: Place) -> None:
    path = place.copy("ZIP")
    with zipfile.ZipFile(path, "a") as opened:
        info = zipfile.ZipInfo("model/link")
        info.external_attr = 0o120777 << 16
        opened.writestr(info, "/etc/passwd")


MANIFEST = "manifest.json"

ROWS = [
    refused("a stack that does not exist", "evaluate nowhere.ome.zarr RUN", "nowhere.ome.zarr"),
    refused("stack and run exchanged", "evaluate RUN STACK", "tiny.ome.zarr"),
    refused("a run that does not exist", "evaluate STACK nowhere", "nowhere"),
    refused("an exported file", "evaluate STACK EXPORTED", "model.ts is not a run folder"),
    refused("a package that was not unpacked", "evaluate STACK ZIP", "model.zip is not a run folder"),
    refused("several stacks, and no `--run`", "evaluate STACK STACK RUN", "--run"),
    refused("`--detector HAADF=SE`", "evaluate STACK RUN --detector HAADF=SE", "'HAADF'", "ICE, TLD"),
    refused("`--detector ICE=SE`", "evaluate STACK RUN --detector ICE=SE", "'SE'", "tiny.ome.zarr"),
    refused("`--processes 0`", "evaluate STACK RUN --processes 0", "processes 0"),
    refused("`--processes 5000`", "evaluate STACK RUN --processes 5000", "processes 5000"),
    refused("`--device gpu`", "evaluate STACK RUN --device gpu", "gpu"),
    refused("a run without weights", "evaluate STACK RUN", "model.pt", make=in_run("models/model.pt", Path.unlink)),
    refused(
        "`--leave-one-out` where two slices are annotated",
        "evaluate STACK RUN --leave-one-out",
        "2 annotated",
        "at least 3",
        make=in_turn(another(("train: [1, 3, 5]", "train: [1]\n  unused: ignore")), own_run),
    ),
    refused(
        "`--leave-one-out` with another detector",
        "evaluate STACK RUN --leave-one-out --detector ICE=TLD",
        "--detector",
    ),
    refused(
        "`--leave-one-out` of a run that began with another model's weights",
        "evaluate STACK RUN --leave-one-out",
        "without pretrained (--from)",
        make=in_run("run.json", lambda path: edit_json(path, lambda content: content.update(pretrained={}))),
    ),
    refused(
        "a stack without annotations",
        "evaluate STACK RUN",
        "annotat",
        make=in_turn(without_annotations, own_run),
    ),
    refused(
        "a stack without test slices",
        "evaluate STACK RUN",
        "test",
        make=in_turn(another(("train: [1, 3, 5]\n  test: [6]", "train: [1, 3, 5, 6]")), own_run),
    ),
    refused(
        "a stack with other phases",
        "evaluate STACK RUN",
        "slag",
        make=in_turn(another(("name: clinker,", "name: slag,"), ("3: clinker}", "3: slag}")), own_run),
    ),
    refused(
        "weights that are a text",
        "evaluate STACK RUN",
        "model.pt",
        make=in_run("models/model.pt", lambda path: path.write_text("weights")),
    ),
    refused(
        "a training config that is missing",
        "evaluate STACK RUN",
        "train.yaml",
        make=in_run("configs/train.yaml", Path.unlink),
    ),
    refused(
        "a training config that is empty",
        "evaluate STACK RUN",
        "train.yaml",
        make=in_run("configs/train.yaml", lambda path: path.write_text("")),
    ),
    refused(
        "a training config that ends too early",
        "evaluate STACK RUN",
        "configs/train.yaml is not a valid config",
        make=in_run("configs/train.yaml", lambda path: path.write_text(path.read_text().partition("}")[0])),
    ),
    refused(
        "an `eval` that is a file",
        "evaluate STACK RUN",
        "eval",
        make=in_run("eval", in_turn(shutil.rmtree, lambda path: path.write_text("mine"))),
    ),
    refused(
        "an `eval/test` that is a file",
        "evaluate STACK RUN",
        "eval/test",
        make=in_run("eval/test", lambda path: path.write_text("mine")),
    ),
    refused("`--format pytorch`", "export RUN new.ts --format pytorch", "pytorch"),
    refused("a run that does not exist", "export nowhere new.ts", "nowhere"),
    refused("an exported file again", "export EXPORTED new.ts", "model.ts"),
    refused("a stack", "export STACK new.ts", "tiny.ome.zarr"),
    refused("another suffix than the format's", "export RUN new.pt2", "new.pt2"),
    refused("no suffix", "export RUN new", "new"),
    refused("a target that exists", "export RUN new.ts", "new.ts", "--overwrite", make=file_at("new.ts")),
    refused("a target that is a folder", "export RUN new.ts --overwrite", "new.ts", make=folder_at("new.ts")),
    refused("a target below a file", "export RUN file/new.ts", "file", make=file_at("file")),
    refused("a target in a store", "export RUN STACK/new.ts", "tiny.ome.zarr"),
    refused("a target whose name is too long", f"export RUN {'n' * 300}.ts", "nnn"),
    refused("a run without weights", "export RUN new.ts", "model.pt", make=in_run("models/model.pt", Path.unlink)),
    refused("weights that end too early", "export RUN new.ts", "model.pt", make=in_run("models/model.pt", cut)),
    refused(
        "metadata that are not JSON", "export RUN new.ts", "metadata.json", make=in_run("configs/metadata.json", cut)
    ),
    refused("a model of a stride of 7", "export RUN new.ts", "network fails", make=described(stride=7)),
    refused("a model without scores", "package STACK RUN new.zip", "scores", "--unscored"),
    refused("a target without `.zip`", "package STACK RUN new.tar --unscored", "new.tar"),
    refused("a target that exists", "package STACK RUN new.zip --unscored", "new.zip", make=file_at("new.zip")),
    refused(
        "a target that is a folder",
        "package STACK RUN new.zip --unscored --overwrite",
        "new.zip exists",
        make=folder_at("new.zip"),
    ),
    refused("a target in a store", "package STACK RUN STACK/new.zip --unscored", "tiny.ome.zarr"),
    refused(
        "a target in the run folder",
        "package STACK RUN RUN/new.zip --unscored",
        "run",
        make=lambda place: place.copy("RUN"),
    ),
    refused("a target below a file", "package STACK RUN file/new.zip --unscored", "file", make=file_at("file")),
    refused("a stack that does not exist", "package nowhere.ome.zarr RUN new.zip --unscored", "nowhere.ome.zarr"),
    refused("a run that does not exist", "package STACK nowhere new.zip --unscored", "nowhere"),
    refused("stack and run exchanged", "package RUN STACK new.zip --unscored", "tiny.ome.zarr"),
    refused(
        "`scores.json` that is not JSON",
        "package STACK RUN new.zip",
        "scores.json",
        make=scores("{"),
    ),
    refused(
        "`scores.json` that is a list",
        "package STACK RUN new.zip",
        "scores.json",
        make=scores("[]"),
    ),
    refused(
        "`scores.json` of wrong types",
        "package STACK RUN new.zip",
        "scores.json",
        make=scores('{"phases": 5, "mean_iou": "good"}'),
    ),
    refused(
        "`run.json` that is not JSON",
        "package STACK RUN new.zip --unscored",
        "run.json",
        make=in_run("run.json", lambda path: path.write_text("{")),
    ),
    refused(
        "`run.json` of a wrong type",
        "package STACK RUN new.zip --unscored",
        "run.json",
        make=in_run("run.json", lambda path: path.write_text("[1]")),
    ),
    refused("a package that does not exist", "unpack nowhere.zip new", "nowhere.zip"),
    refused("a folder in place of a package", "unpack RUN new", "run"),
    refused("a store in place of a package", "unpack STACK new", "tiny.ome.zarr"),
    refused("a package of 0 bytes", "unpack ZIP new", "model.zip", make=zip_file(b"")),
    refused("a package that is a text", "unpack ZIP new", "model.zip", make=zip_file(b"a model")),
    refused("a package that ends too early", "unpack ZIP new", "model.zip", make=lambda place: cut(place.copy("ZIP"))),
    refused("a package with a flipped bit", "unpack ZIP new", "model.zip", make=flipped),
    refused("a zip without any entry", "unpack ZIP new", "model.zip", make=archive(emptied)),
    refused(
        "another program's zip",
        "unpack ZIP new",
        "model.zip",
        make=archive(in_turn(emptied, lambda entries: entries.update({"notes.txt": b"mine"}))),
    ),
    refused("a package without its manifest", "unpack ZIP new", MANIFEST, make=entry(MANIFEST, lambda data: None)),
    refused("a manifest that is not JSON", "unpack ZIP new", "manifest", make=entry(MANIFEST, lambda data: b"{")),
    refused("a manifest that is a list", "unpack ZIP new", "manifest", make=entry(MANIFEST, lambda data: b"[]")),
    refused(
        "a manifest of wrong types",
        "unpack ZIP new",
        "manifest",
        make=entry(MANIFEST, lambda data: json.dumps(dict.fromkeys(json.loads(data), 5)).encode()),
    ),
    refused(
        "a manifest of another version",
        "unpack ZIP new",
        "99",
        make=entry(MANIFEST, lambda data: json.dumps({**json.loads(data), "format": 99, "version": 99}).encode()),
    ),
    refused(
        "a package without its weights", "unpack ZIP new", "model.pt", make=entry("models/model.pt", lambda data: None)
    ),
    refused(
        "a package with other weights",
        "unpack ZIP new",
        "model.pt",
        make=entry("models/model.pt", lambda data: data[:-1] + b"x"),
    ),
    refused("a file more in the package", "unpack ZIP new", "more.txt", make=added("more.txt")),
    refused("an entry `../outside.txt`", "unpack ZIP new", "outside.txt", make=added("../outside.txt")),
    refused("an entry `/tmp/outside.txt`", "unpack ZIP new", "outside.txt", make=added("/tmp/outside.txt")),
    refused("an entry that is a link", "unpack ZIP new", "model.zip", make=linked_entry),
    refused("an entry twice", "unpack ZIP new", "model.zip", make=twice),
    refused("a target that exists", "unpack ZIP new", "new", make=folder_at("new")),
    refused("a target that is a file", "unpack ZIP new", "new", make=file_at("new")),
    refused(
        "`--overwrite` of a folder that is not a package", "unpack ZIP new --overwrite", "new", make=folder_at("new")
    ),
    refused("a target below a file", "unpack ZIP file/new", "file", make=file_at("file")),
    refused("a target in a store", "unpack ZIP STACK/new", "tiny.ome.zarr"),
    refused("a package that does not exist", "check nowhere.zip", "nowhere.zip"),
    refused("a run folder", "check RUN", "run"),
    refused("a store", "check STACK", "tiny.ome.zarr"),
    refused("a picture", "check SAMPLE/ICE/slice_0.tif", "slice_0.tif"),
    refused("a package that ends too early", "check ZIP", "model.zip", make=lambda place: cut(place.copy("ZIP"))),
    refused("a package with a flipped bit", "check ZIP", "model.zip", make=flipped),
    refused(
        "an unpacked package without a file", "check UNPACKED", "LICENSE", make=in_unpacked("LICENSE", Path.unlink)
    ),
    refused(
        "an unpacked package with another file",
        "check UNPACKED",
        "LICENSE",
        make=in_unpacked("LICENSE", lambda path: path.write_text("mine")),
    ),
    refused(
        "an unpacked package without its manifest", "check UNPACKED", MANIFEST, make=in_unpacked(MANIFEST, Path.unlink)
    ),
    refused(
        "an unpacked package whose manifest is a list",
        "check UNPACKED",
        MANIFEST,
        make=in_unpacked(MANIFEST, lambda path: path.write_text("[]")),
    ),
    refused("a folder that does not exist", "trust nowhere", "nowhere"),
    refused("a package that was not unpacked", "trust ZIP", "model.zip"),
    refused("a store", "trust STACK", "tiny.ome.zarr"),
    refused(
        "a run whose config is not YAML",
        "trust RUN",
        "train.yaml",
        make=in_run("configs/train.yaml", lambda path: path.write_text("a: [")),
    ),
    refused("an edited run, and no terminal to ask at", "trust RUN", "--yes", make=inference('more: "$print(1)"')),
    taken(
        "a target with spaces, umlauts and `#`",
        "export RUN 'Süd #3.ts'",
        lambda place: (place.folder / "Süd #3.ts").stat(),
    ),
    refused("a name with spaces, umlauts and `#`", "package STACK RUN 'Süd #3.zip' --unscored", "Süd #3.zip"),
    refused("a suffix in capitals", "package STACK RUN MODEL.ZIP --unscored", "MODEL.ZIP"),
    taken(
        "a target with spaces, umlauts and `#`",
        "unpack ZIP 'Süd #3'",
        lambda place: (place.folder / "Süd #3/models/model.pt").stat(),
    ),
    taken(
        "a target with a slash at its end",
        "unpack ZIP new/",
        lambda place: (place.folder / "new/models/model.pt").stat(),
    ),
    taken(
        "a package under another name",
        "check other.zip",
        lambda place: None,
        make=lambda place: place.copy("ZIP").rename(place.folder / "other.zip"),
    ),
    taken(
        "a link to a run",
        "trust link/",
        lambda place: None,
        make=lambda place: (place.folder / "link").symlink_to(place.goods / "run"),
    ),
]
