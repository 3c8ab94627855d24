"""Finding images: a folder with one file per slice, or one file with all slices, in any format."""

from itertools import pairwise
from pathlib import Path

from natsort import natsorted, ns

from monai_app.errors import Faults, StackError
from monai_app.io import registry
from monai_app.io.base import PlaneFile, Request
from monai_app.io.parts import chosen_part
from monai_app.io.registry import find_format, format_of, open_text, stem, suffixes
from monai_app.io.sources import Source


def natural_order(paths: list[Path], pattern: str | None = None) -> list[Path]:
    """Sort files by name with numbers by value: ``slice_2.tif`` before ``slice_10.tif``.

    Args:
        paths: the files.
        pattern: what their names have in common does not count, so that those of all detectors have one order.
    """
    return list(natsorted(paths, key=lambda path: (open_text(path, pattern), stem(path), path.name), alg=ns.IGNORECASE))


def open_planes(path: Path, request: Request = Request()) -> Source:  # noqa: B008  # it is frozen
    """Find the slices of a folder or of a file, and check the headers.

    Hidden files, such as the resource forks of macOS, and files of no known format are not slices.

    Args:
        path: the folder or the file.
        request: what of it is asked for.

    Raises:
        StackError: there is no image, its format is not known, a file cannot be used, a file in a folder holds several
            slices, or two files in a folder have the same stem.
    """
    known = find_format(path)
    if path.is_dir() and not (known and known.folder):
        return _open_folder(path, request)
    if not path.exists():
        raise StackError(f"{path} does not exist; give a folder with one file per slice, or one file with all slices")
    if request.files is not None:
        raise StackError(f"'files: {request.files}' chooses files of a folder, and {path} is a file; leave it out")
    form = format_of(path)
    if not (path.is_dir() if form.folder else path.is_file()):
        kind = "folder" if form.folder else "file"
        raise StackError(f"{path} is not a {kind} of the format {form.name}; give one, or rename it")
    file = chosen_part(form.open(path, request), request)
    file.check_alone()
    digits = max(4, len(str(file.count - 1)))
    return Source(path, tuple(f"{stem(path)}_{index:0{digits}d}" for index in range(file.count)), (file,))


def _open_folder(path: Path, request: Request) -> Source:
    """Open the files of a folder that have the first format of which there are any."""
    listed = [entry for entry in path.iterdir() if not entry.name.startswith(".") and request.fits(entry)]
    formats = {entry: form for entry in listed if (form := find_format(entry)) and not form.folder}
    for entry in formats:
        if entry.is_symlink() and not entry.exists():
            raise StackError(
                f"{entry} is a link to {entry.readlink()}, which does not exist; restore that or remove it"
            )
        if not entry.is_file():
            kind = "a folder" if entry.is_dir() else "no file"
            raise StackError(
                f"{entry} is {kind} but has the name of an image; put the image in its place, or rename it"
            )
    if not formats:
        named = "" if request.files is None else f" whose name fits {request.files!r}"
        raise StackError(f"{path} holds no image file{named} ({suffixes()}); give a folder with one file per slice")
    form = min(formats.values(), key=registry.FORMATS.index)
    paths = natural_order([file for file, other in formats.items() if other is form], request.files)
    for first, second in pairwise(paths):
        if stem(first) == stem(second):
            raise StackError(
                f"{first} and {second.name} have the same stem and would be the same slice twice; remove one of them"
            )
    faults, files = Faults(), list[PlaneFile]()
    for entry in paths:
        with faults.noted():
            files.append(_one_plane(chosen_part(form.open(entry, request), request)))
    faults.check()
    names = tuple(stem(entry) for entry in paths)
    return Source(path, names, tuple(files), is_folder=True, chosen_by=request.files)


def _one_plane(file: PlaneFile) -> PlaneFile:
    if file.count > 1:
        raise StackError(
            f"{file.path} holds {file.count} planes, and in a folder every file is one slice; select one page "
            "('page: 0'), split it, or give the file itself instead of the folder"
        )
    return file
