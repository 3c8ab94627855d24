"""What MONAI Label calls a datastore: the slices of a stack as images, its annotations as final labels.

Labels that are tagged ``final`` are the annotations of the stack, and live nowhere else: submitting one annotates
slices, downloading one reads them. All other labels are files: predictions, and labels of volumes that clients sent.
"""

import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from monailabel.config import settings as server_settings
from monailabel.interfaces.datastore import Datastore

from monai_app.errors import ConfigError, TargetExistsError
from monai_app.files import file_sha256, lock, lock_path
from monai_app.io import Extent, check_labels, read_header
from monai_app.label.datastore.case_files import Case
from monai_app.label.datastore.cases import Cases
from monai_app.label.datastore.quota import Room, file_size
from monai_app.label.datastore.records import Info, Records
from monai_app.label.datastore.sessions import Sessions
from monai_app.label.datastore.tags import FINAL, check_tag
from monai_app.label.datastore.temporary import called, new_path
from monai_app.label.datastore.volumes import LabelFiles, Uploads, check_id, suffix_of
from monai_app.label.errors import UnknownError, unknown_image
from monai_app.label.settings import Settings, Workspace
from monai_app.stack import Stack

_OWN = ("id", "name", "path", "checksum", "z", "slices", "role")
"""What the server says of images, and no client: other clients take names and paths from it for files of their own."""


class StackDatastore(Datastore):
    """The images and labels of one stack and of what clients sent.

    Args:
        settings: what is served.
        workspace: where files are kept.
    """

    def __init__(self, settings: Settings, workspace: Workspace) -> None:
        self.path, self.workspace = Path(settings.stack), workspace
        self.cases = Cases(
            self.path,
            workspace.cases,
            thickness=settings.thickness,
            suffix=settings.suffix,
            layout=settings.layout,
            slices=settings.slices or None,
            test_slices=settings.test_slices,
            ingested=settings.ingested,
        )
        self.uploads, self.label_files = Uploads(workspace.uploads), LabelFiles(workspace.labels)
        self.sessions = Sessions(workspace.sessions, server_settings.MONAI_LABEL_SESSION_EXPIRY)
        kept = (workspace.uploads, workspace.sessions, workspace.labels)
        self.room = Room(kept, settings.stored, self.sessions)
        self.records = Records(workspace.folder / "records.json")

    @property
    def stack(self) -> Stack:
        """The stack with the annotations that it has now.

        Raises:
            StackError: it is gone, or another one was ingested in its place.
        """
        return self.cases.stack

    # ---- what it is --------------------------------------------------------------------------------------------------

    def name(self) -> str:
        """Return the sample's name."""
        return self.stack.name

    def set_name(self, name: str) -> None:
        """Refuse: the name is the sample's."""
        raise ConfigError(f"name {name!r}: the name is the sample's, {self.name()}; ingest it under another one")

    def description(self) -> str:
        """Return what the stack is, in a line."""
        return _described(self.stack)

    def set_description(self, description: str) -> None:
        """Refuse: the description follows from the stack."""
        raise ConfigError(f"description {description!r}: it follows from the stack and cannot be set")

    def status(self) -> dict[str, Any]:
        """Return how many images there are and how many have labels."""
        labels = self._label_ids()
        return {
            "total": len(self.list_images()),
            "completed": len(labels.get(FINAL, ())),
            "label_tags": {tag: len(ids) for tag, ids in labels.items()},
        }

    def json(self) -> dict[str, Any]:
        """Return everything, as MONAI Label's local datastore does."""
        labels, stack = self._label_ids(), self.stack
        images, known = self.records.all()
        suffixes = {image: suffix_of(path.name) for image, path in self.uploads.files().items()}
        kept = self.label_files.files()
        case = Path(f"case{self.cases.suffix}")  # of whose labels no file may be there yet
        objects = {
            image: {
                "image": {"ext": suffixes.get(image, self.cases.suffix), "info": images.get(image, {})},
                "labels": {
                    tag: {
                        "ext": suffix_of(kept.get(tag, {}).get(image, case).name),
                        "info": known.get(tag, {}).get(image, {}),
                    }
                    for tag, ids in labels.items()
                    if image in ids
                },
            }
            for image in self.list_images()
        }
        return {
            "name": stack.name,
            "description": _described(stack),
            "images_dir": "",
            "labels_dir": "",
            "objects": objects,
        }

    def datalist(self) -> list[dict[str, Any]]:
        """Return the ids of images and their final labels; the pixels are read from the stack."""
        return [{"image": image, "label": image} for image in self.get_labeled_images()]

    def refresh(self) -> None:
        """Do nothing: everything is read when it is asked for."""

    # ---- images ------------------------------------------------------------------------------------------------------

    def list_images(self) -> list[str]:
        """Return the ids of all images: cases of the stack in their order, then uploads."""
        return [*(case.id for case in self.cases), *self.uploads.ids()]

    def case(self, image_id: str) -> Case | None:
        """Return the case of an id; None where it is no case of the stack."""
        return self.cases.find(image_id)

    def get_image_uri(self, image_id: str) -> str:
        """Return the path of an image's file, which is written when it is first asked for; empty for unknown ids."""
        case = self.case(image_id)
        if case is not None:
            return str(self.cases.image(case))
        return str(self.uploads.path(image_id) or "")

    def get_image(self, image_id: str, params: Any = None) -> Any:
        """Return an image's file as a stream of bytes."""
        path = self.get_image_uri(image_id)
        return BytesIO(Path(path).read_bytes()) if path else None

    def get_image_info(self, image_id: str) -> Info:
        """Return what is known of an image.

        Raises:
            UnknownError: there is none of that id.
        """
        self._check_image(image_id)
        told = {name: value for name, value in self.records.image(image_id).items() if name not in _OWN}
        info: Info = {"name": f"{image_id}{self._suffix(image_id)}", **told}
        case = self.case(image_id)
        if case is not None:
            info |= {"z": case.z, "slices": [case.first, case.last + 1], "role": self.cases.role(case.z)}
        return info

    def update_image_info(self, image_id: str, info: Info) -> None:
        """Add to what is known of an image."""
        self._check_image(image_id)
        with self._changing(image_id):
            self._check_image(image_id)
            self.records.update_image(image_id, info)

    def checksum(self, image_id: str) -> str:
        """Return the checksum of an image's file as clients want it: they keep files by name otherwise."""
        return f"SHA256:{file_sha256(Path(self.get_image_uri(image_id)))}"

    def add_image(self, image_id: str, image_filename: str, image_info: Info) -> str:
        """Keep a volume that a client sent.

        Raises:
            AppError: the id is taken or breaks its rule, the file is no volume, or there is no room.
        """
        if self.case(image_id) is not None:
            raise TargetExistsError(f"image {image_id} is a case of the stack; choose another id")
        source = Path(image_filename)
        with self._changing(check_id(image_id)):
            with called(source, "the image"), self.room.taken(file_size(source)):
                path = self.uploads.add(image_id, source)
            self.records.update_image(image_id, {**(image_info or {}), "ts": int(time.time()), "name": path.name})
        return image_id

    def remove_image(self, image_id: str) -> None:
        """Remove a volume that a client sent, with its labels.

        The volume goes last: after a kill on the way it is still there to be removed, and no label stays for an image
        that takes its id later.

        Raises:
            ConfigError: it is a case of the stack.
            UnknownError: there is none of that id.
        """
        if self.case(image_id) is not None:
            raise ConfigError(f"image {image_id} is a case of the stack and stays; only uploaded images can be removed")
        self._check_image(image_id)
        with self._changing(image_id):
            self._check_image(image_id)
            self.label_files.remove(image_id)
            self.records.forget(image_id)
            self.uploads.remove(image_id)

    def add_session(self, volume: Path) -> str:
        """Keep a volume for one inference after the other, and return its session's id.

        Raises:
            AppError: the file is no volume, or there is no room.
        """
        with called(volume, "the volume"), self.room.taken(file_size(volume)):
            return self.sessions.add(volume)

    # ---- labels ------------------------------------------------------------------------------------------------------

    def get_labeled_images(self, label_tag: str | None = None, labels: Sequence[str] | None = None) -> list[str]:
        """Return the images with a final label, or with one of a tag."""
        wanted = self._label_ids().get(label_tag or FINAL, set())
        return [image for image in self.list_images() if image in wanted]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: Sequence[str] | None = None) -> list[str]:
        """Return the images without a final label, or without one of a tag."""
        labelled = self._label_ids().get(label_tag or FINAL, set())
        return [image for image in self.list_images() if image not in labelled]

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        """Return tag and id of an image's labels; the id is the image's."""
        return {tag: image_id for tag, ids in self._label_ids().items() if image_id in ids}

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        """Return the id of an image's label; empty where it has none of that tag."""
        return self.get_labels_by_image_id(image_id).get(tag, "")

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """Return the path of a label's file; empty where there is none."""
        case = self.case(label_id)
        if case is not None and label_tag == FINAL:
            if not self.cases.owned_slices(case):
                return ""
            target = self.label_files.of(FINAL).folder / f"{case.id}{self.cases.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            with lock(lock_path(target.with_name(case.id))):
                self.cases.export_labels(case, target)
            return str(target)
        return str(self.label_files.path(label_id, label_tag) or "")

    def get_label(self, label_id: str, label_tag: str, params: Any = None) -> Any:
        """Return a label's file as a stream of bytes."""
        path = self.get_label_uri(label_id, label_tag)
        return BytesIO(Path(path).read_bytes()) if path else None

    def get_label_info(self, label_id: str, label_tag: str) -> Info:
        """Return what is known of a label.

        Raises:
            UnknownError: there is no such label.
        """
        self._check_label(label_id, label_tag)
        return self.records.label(label_id, label_tag)

    def update_label_info(self, label_id: str, label_tag: str, info: Info) -> None:
        """Add to what is known of a label."""
        self._check_label(label_id, label_tag)
        with self._changing(label_id):
            self._check_label(label_id, label_tag)
            self.records.update_label(label_id, label_tag, info)

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: Info) -> str:
        """Keep a label: a final one of a case annotates slices of the stack, any other is a file.

        Args:
            image_id: the image's id.
            label_filename: the label volume.
            label_tag: ``final``, ``original`` or another name.
            label_info: what the client says of it; ``label_info`` in it names the values of the file.

        Raises:
            AppError: there is no such image, the tag breaks its rule, the labels don't fit the image or are no whole
                numbers 0..255, or there is no room.
        """
        self._check_image(image_id)
        check_tag(label_tag)
        info, case, source = dict(label_info or {}), self.case(image_id), Path(label_filename)
        suffix = suffix_of(source.name)
        with self._changing(image_id):
            with called(source, "the label"):
                if case is not None and label_tag == FINAL:
                    imported = self.cases.import_labels(case, source, info.get("label_info"))
                    info |= {"set": list(imported.set), "removed": list(imported.removed)}
                else:
                    check_labels(source, self._extent(image_id))  # which finds out that the image was removed since
                    self._keep_label(image_id, source, label_tag)
            kept = {**info, "ts": int(time.time()), "name": f"{image_id}{suffix}"}
            self.records.update_label(image_id, label_tag, kept)
        return image_id

    def _keep_label(self, image_id: str, source: Path, tag: str) -> None:
        labels = self.label_files.of(tag)
        before = sum(map(file_size, labels.all(image_id)))
        with self.room.taken(file_size(source) - before):
            labels.replace(image_id, source)

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Remove a label; a final one of a case takes the annotations back that came from it.

        Raises:
            UnknownError: there is no such label.
        """
        self._check_label(label_id, label_tag)
        case = self.case(label_id)
        with self._changing(label_id):
            if case is not None and label_tag == FINAL:
                self.cases.remove_labels(case)
            else:
                self.label_files.of(label_tag).remove(label_id)
            self.records.forget(label_id, label_tag)

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """Write images with final labels into a zip file, and return its path, which the caller removes.

        Raises:
            UnknownError: nothing is labelled.
        """
        images = self.get_labeled_images()[: limit_cases or None]
        if not images:
            raise UnknownError("nothing is labelled yet, so there is no data set; label a slice first")
        path = new_path(self.workspace, ".zip")
        try:
            self._archive(images, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return str(path)

    def _archive(self, images: Sequence[str], target: Path) -> None:
        with zipfile.ZipFile(target, "x") as archive:
            for image in images:
                found = {"image": self.get_image_uri(image), "label": self.get_label_uri(image, FINAL)}
                if all(found.values()):  # else it was removed since
                    for kind, path in found.items():
                        archive.write(path, f"{kind}/{Path(path).name}")

    # ---- inside ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _changing(self, image_id: str) -> Iterator[None]:
        """Keep others, also other processes, from changing an image, its labels or its records while the body does.

        It is taken once: a second time waits for the first, also in one thread. The locks of `Uploads` and `Records`
        are others, and are taken within it.
        """
        self.workspace.labels.mkdir(parents=True, exist_ok=True)
        with lock(lock_path(self.workspace.labels / image_id)):
            yield

    def _check_image(self, image_id: str) -> None:
        if self.case(image_id) is None and self.uploads.path(image_id) is None:
            raise unknown_image(image_id)

    def _check_label(self, label_id: str, tag: str) -> None:
        if label_id not in self._label_ids().get(tag, ()):
            raise UnknownError(
                f"image {label_id[:120]!r} has no label {tag[:120]!r}; its labels are "
                f"{list(self.get_labels_by_image_id(label_id))}"
            )

    def _extent(self, image_id: str) -> Extent:
        """Where the voxels of an image lie."""
        case, upload = self.case(image_id), self.uploads.path(image_id)
        if case is not None:
            return self.cases.grid(case).extent
        if upload is None:
            raise unknown_image(image_id)
        with called(upload, f"image {image_id}"):
            return read_header(upload).extent

    def _label_ids(self) -> dict[str, set[str]]:
        """The images that have a label, by tag."""
        found = {tag: set(files) for tag, files in self.label_files.files().items()}
        uploads = found.get(FINAL, set()) & set(self.uploads.ids())
        return {tag: ids for tag, ids in {**found, FINAL: self.cases.labelled_ids() | uploads}.items() if ids}

    def _suffix(self, image_id: str) -> str:
        path = self.uploads.path(image_id)
        return self.cases.suffix if path is None else suffix_of(path.name)


def _described(stack: Stack) -> str:
    slices, rows, columns = stack.shape
    return f"{slices} slices of {rows} x {columns} pixels, {' + '.join(stack.detectors)}"
