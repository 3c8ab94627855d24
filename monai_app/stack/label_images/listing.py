"""Listing the label images of a stack."""

import hashlib
from dataclasses import dataclass

from monai_app.domain.region import Region
from monai_app.stack.label_images.arrays import LABELS, ResultArrays
from monai_app.stack.label_images.journal import JOURNAL
from monai_app.stack.label_images.resumable import finished_as
from monai_app.stack.ngff import layout
from monai_app.stack.store import Stack


@dataclass(frozen=True)
class Summary:
    """The metadata of a finished label image.

    Args:
        name: its name.
        model: the model that made it; None if nothing is recorded.
        weights_sha256: SHA-256 of the model's weights; likewise.
        stack_identity: the identity of the stack, with its annotations of then; likewise.
        slices: z of the slices that were segmented, ascending.
        region: the part of the stack that was segmented; None if nothing is recorded.
        maps: its maps.
    """

    name: str
    model: str | None
    weights_sha256: str | None
    stack_identity: str | None
    slices: tuple[int, ...]
    region: Region | None
    maps: tuple[str, ...]


def label_images(stack: Stack) -> list[Summary]:
    """Look at the finished label images of a stack.

    Raises:
        StackError: one is damaged.
    """
    return [_summary(stack, name) for name in stack.label_names()]


def labels_sha256(stack: Stack, name: str) -> str:
    """Return the SHA-256 of what a label image holds: of the files of its finest level, as they are compressed.

    Raises:
        StackError: there is no finished label image of that name.
    """
    stack.label_attributes(name)  # is there
    digest = hashlib.sha256()
    folder = stack.path / layout.LABELS / name / "0"
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def unfinished_labels(stack: Stack) -> list[str]:
    """The names of label images whose writing was begun and not completed."""
    names = [path.parent.name for path in (stack.path / layout.LABELS).glob(f".*.partial/{JOURNAL}")]
    return sorted(name.removeprefix(".").removesuffix(".partial") for name in names)


def _summary(stack: Stack, name: str) -> Summary:
    attributes = stack.label_attributes(name)
    region = ((finished_as(stack.path, name) or {}).get("plan") or {}).get("region")
    levels = ResultArrays.open(stack.path / layout.LABELS / name).levels
    return Summary(
        name,
        attributes.get("run"),
        attributes.get("weights_sha256"),
        attributes.get("stack_identity"),
        tuple(stack.label_slices(name)),
        None if region is None else Region.from_json(region),
        tuple(map for map in levels if map != LABELS),
    )
