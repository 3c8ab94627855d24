"""Names from outside become no paths, and no commands to a terminal."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from monai_app.bundle.runs import CURRENT, Runs
from monai_app.cli import main
from monai_app.errors import AppError, ConfigError, StackError
from monai_app.inference import check_export, export_tiff
from monai_app.io.reading import partner_path
from monai_app.names import check_file_name, is_printable, printable
from monai_app.stack import SampleDescription, Stack, ingest
from monai_app.stack.label_images.registry import check_replaceable
from tests.conftest import write_tiny_sample
from tests.stack.samples import edit_own

PATHS = [
    "",
    ".",
    "..",
    "../x",
    "/x",
    "a/b",
    "a\\b",
    "C:x",
    "x.",
    "x ",
    " x",
    "a\nb",
    "a\x1b[31mb",
    "a\u202eb",
    "a\udc80",
]
RESERVED = ["a\udc80", "CON", "nul", "com1.txt", "a?", "a*", 'a"', "a|b", "a<b", "x" * 300]


@pytest.mark.parametrize("name", [*PATHS, *RESERVED])
def test_what_could_be_more_than_a_files_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^slice .* is not a file name that every system takes.*; rename it"):
        check_file_name(name, "slice")


@pytest.mark.parametrize("name", ["slice_0001", "a b", "a.b", "Zürich", "контроль", "console", ".DS_Store", "a'b#1"])
def test_plain_names_are_taken(name: str) -> None:
    assert check_file_name(name, "slice") == name
    assert printable(name) == name


def edited(stack: Stack, target: Path, **changes: object) -> Path:
    """A copy of a stack's store with other metadata."""
    shutil.copytree(stack.path, target)
    edit_own(target / "zarr.json", lambda own: own.update(changes), renewed=True)
    return target


def first_slice(name: str, stack: Stack) -> list[str]:
    return [name, *stack.slice_names[1:]]


@pytest.mark.parametrize("name", ["ABSOLUTE", "../../out", "a\x1bb", "nul"])
def test_a_store_from_elsewhere_writes_nothing_outside_its_tiffs(tiny_stack: Stack, tmp_path: Path, name: str) -> None:
    name = str(tmp_path / "out") if name == "ABSOLUTE" else name
    path = edited(tiny_stack, tmp_path / "s.ome.zarr", slice_names=first_slice(name, tiny_stack))
    for write in (
        lambda: check_export(str(tmp_path / "tiffs"), overwrite=False, stack=str(path)),
        lambda: export_tiff(str(path), "annotation", str(tmp_path / "tiffs")),
    ):
        with pytest.raises(AppError, match=r"is not a file name|is not a file name|control"):
            write()
    assert [each.name for each in tmp_path.iterdir()] == ["s.ome.zarr"]


def test_two_slices_of_one_name_do_not_share_a_tiff(tiny_stack: Stack, tmp_path: Path) -> None:
    same = first_slice(tiny_stack.slice_names[1].upper(), tiny_stack)
    path = edited(tiny_stack, tmp_path / "s.ome.zarr", slice_names=same)
    with pytest.raises(AppError, match=r"2 slices would have the file|twice"):
        check_export(str(tmp_path / "tiffs"), overwrite=False, stack=str(path))


def test_a_label_image_that_a_store_lists_lies_in_it(tiny_stack: Stack, tmp_path: Path) -> None:
    path = edited(tiny_stack, tmp_path / "s.ome.zarr")
    listed = path / "labels" / "zarr.json"
    content = json.loads(listed.read_text())
    outside = f"../../{tiny_stack.path.name}/labels/annotation"
    shutil.copytree(tiny_stack.path, tmp_path / tiny_stack.path.name)
    assert (path / "labels" / outside).is_dir()
    content["attributes"]["ome"]["labels"] += [outside]
    listed.write_text(json.dumps(content))
    stack = Stack.open(path)
    assert stack.label_names() == ()
    with pytest.raises(StackError, match="no finished label image"):
        stack.read_labels(outside, 0)
    with pytest.raises(ConfigError, match="is not a file name"):
        check_replaceable(path, outside, True)


def test_a_run_that_a_server_resumes_is_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / CURRENT).write_text(json.dumps({"run": "../elsewhere", "unfinished": "/elsewhere"}))
    runs = Runs(tmp_path)
    for read in (lambda: runs.current, lambda: runs.unfinished, runs.begin):
        with pytest.raises(ConfigError, match="is not a file name"):
            read()
    with pytest.raises(ConfigError, match="is not a file name"):
        partner_path(tmp_path / "case.nii", "../other")


def renamed_slice(folder: Path) -> None:
    path = sorted((folder / "ICE").iterdir())[0]
    path.rename(path.with_name(f"{path.stem}\x1b[2J.tif"))


def in_description(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "sample.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    "change",
    [
        in_description("name: tiny", 'name: "ti\\x1b[31mny"'),
        in_description("name: pore", 'name: "po\\nre"'),
        in_description("1: pore", '1: "pore\\u202e"'),
        in_description("ICE: ICE", '"I\\x1bCE": ICE'),
        in_description("ICE: ICE", 'ICE: "I\\nCE"'),
        renamed_slice,
    ],
)
def test_names_with_control_characters_are_refused(change: Callable[[Path], None], tmp_path: Path) -> None:
    description = write_tiny_sample(tmp_path / "sample", slices=8, rows=32, columns=32)
    change(description.parent)
    with pytest.raises((ConfigError, StackError), match=r"control characters|must contain only letters"):
        ingest(SampleDescription.from_yaml(description), tmp_path / "s.ome.zarr")


def test_the_command_line_shows_names_of_files_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also those that are not text: they would end the command with a traceback."""
    description = write_tiny_sample(tmp_path / "sample", slices=8, rows=32, columns=32)
    for name, code in (("a\x1b[31mb\udcff", 0), ("no\x1b[2J\udcff", 3)):
        target = tmp_path / f"{name}{'.ome.zarr' if code == 0 else ''}"
        monkeypatch.setattr(sys, "argv", ["monai-app", "ingest", str(description), str(target)])
        with pytest.raises(SystemExit, match=str(code)):
            main()
        shown = capsys.readouterr()
        assert name.encode("unicode_escape").decode() in (shown.err if code else shown.out)
        assert is_printable("".join((shown.out + shown.err).split("\n")).replace("\r", ""))
