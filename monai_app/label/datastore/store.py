"""MONAI Label's datastore: the slices of a stack as images, its annotations as final labels.

Labels tagged ``final`` are the annotations of the stack: submitting one annotates slices, downloading one reads them.
All other labels are files: predictions, and labels of volumes that clients sent.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from monailabel.config import settings as server_settings
from monailabel.interfaces.datastore import Datastore

from monai_app.errors import ConfigError, NotFoundError, TargetExistsError
from monai_app.files import lock, lock_path
from monai_app.io import Extent, check_labels, read_header
from monai_app.label.datastore.cases import Case, Cases, owned_slices
from monai_app.label.datastore.quota import Quota, file_size
from monai_app.label.datastore.records import Info, Records
from monai_app.label.datastore.sessions import Sessions
from monai_app.label.datastore.temporary import called
from monai_app.label.datastore.volumes import FINAL, Volumes, check_id, check_tag, suffix_of
from monai_app.label.errors import unknown_image
from monai_app.label.settings import Settings, Workspace
from monai_app.progress import counted
from monai_app.stack import Stack

_OWN = ("id", "name", "path", "checksum", "z", "slices", "role")
"""Keys of image info that only the server sets, because other clients use them as names and paths of their files."""


class StackDatastore(Datastore):
    """The images and labels of one stack and of what clients sent.

    Args:
        settings: settings of the server.
        workspace: folder for files.

    Raises:
        NotFoundError: from all methods, if there is no such image or label.
        StackError: from all methods, if the stack no longer exists or was replaced.
    """

    def __init__(self, settings: Settings, workspace: Workspace) -> None:
        self.path, self.workspace = Path(settings.stack), workspace
        self.cases = Cases(settings, workspace.cases)
        self.uploads = Volumes(workspace.uploads)
        self.sessions = Sessions(workspace.sessions, server_settings.MONAI_LABEL_SESSION_EXPIRY)
        kept = (workspace.uploads, workspace.sessions, workspace.labels)
        self.quota = Quota(kept, settings.stored, self.sessions.forget_unused)
        self.records = Records(workspace.folder / "records.json")

    @property
    def stack(self) -> Stack:
        """The stack with its current annotations."""
        return self.cases.stack

    def name(self) -> str:
        """Return the sample's name."""
        return self.stack.name

    def description(self) -> str:
        """Return a one-line description of the stack."""
        return _described(self.stack)

    def status(self) -> dict[str, Any]:
        """Return the number of images, and of those with labels."""
        tags = {tag: len(ids) for tag, ids in self._label_ids().items()}
        return {"total": len(self.list_images()), "completed": tags.get(FINAL, 0), "label_tags": tags}

    def json(self) -> dict[str, Any]:
        """Return all metadata, as MONAI Label's local datastore does."""
        stack, labels, uploads = self.stack, self._label_ids(), self.uploads.files()
        files = {tag: volumes.files() for tag, volumes in self._labels().items()}
        case = Path(f"case{self.cases.suffix}")  # final labels may not have a file yet
        known = self.records.read()

        def label(image: str, tag: str) -> dict[str, Any]:
            name = files.get(tag, {}).get(image, case).name
            return {"ext": suffix_of(name), "info": known.labels.get(tag, {}).get(image, {})}

        objects = {
            image: {
                "image": {"ext": suffix_of(uploads.get(image, case).name), "info": known.images.get(image, {})},
                "labels": {tag: label(image, tag) for tag, ids in labels.items() if image in ids},
            }
            for image in self.list_images()
        }
        about = {"name": stack.name, "description": _described(stack), "images_dir": "", "labels_dir": ""}
        return {**about, "objects": objects}

    def datalist(self) -> list[dict[str, Any]]:
        """Return the ids of images and their final labels; the pixels are read from the stack."""
        return [{"image": image, "label": image} for image in self.get_labeled_images()]

    def list_images(self) -> list[str]:
        """Return the ids of all images: cases of the stack in their order, then uploads."""
        return [*self.cases.by_id, *self.uploads.files()]

    def case(self, image_id: str) -> Case | None:
        """Return the case of an id; None if it is not a case of the stack."""
        return self.cases.by_id.get(image_id)

    def get_image_uri(self, image_id: str) -> str:
        """Return the path of an image's file, which is written on first use; empty for unknown ids."""
        case = self.case(image_id)
        return str((self.cases.image(case) if case is not None else self.uploads.path(image_id)) or "")

    def get_image_info(self, image_id: str) -> Info:
        """Return the metadata of an image."""
        self._check_image(image_id)
        recorded = {
            name: value for name, value in self.records.read().images.get(image_id, {}).items() if name not in _OWN
        }
        upload, case = self.uploads.path(image_id), self.case(image_id)
        info: Info = {"name": upload.name if upload is not None else f"{image_id}{self.cases.suffix}", **recorded}
        if case is not None:
            slices, role = [case.slices.start, case.slices.stop], self.cases.role(self.stack, case.z)
            info |= {"z": case.z, "slices": slices, "role": role}
        return info

    def update_image_info(self, image_id: str, info: Info) -> None:
        """Add metadata of an image."""
        with self._changing(image_id):
            self.records.note(image_id, info)

    def add_image(self, image_id: str, image_filename: str, image_info: Info) -> str:
        """Store a volume that a client sent.

        Raises:
            AppError: the id exists or is invalid, the file is not a volume, or the quota is exceeded.
        """
        if self.case(image_id) is not None:
            raise TargetExistsError(f"image {image_id} is a case of the stack; choose another id")
        source = Path(image_filename)
        with self._locked(check_id(image_id)):
            with called(source, "the image"), self.quota.taken(file_size(source)):
                path = self.uploads.add(image_id, source)
            self.records.note(image_id, {**(image_info or {}), "ts": int(time.time()), "name": path.name})
        return image_id

    def remove_image(self, image_id: str) -> None:
        """Remove a volume that a client sent, with its labels.

        The volume is removed last: after a kill it still exists and can be removed, and no label remains for a later
        image with its id.

        Raises:
            ConfigError: it is a case of the stack.
        """
        if self.case(image_id) is not None:
            raise ConfigError(f"image {image_id} is a case of the stack; only uploaded images can be removed")
        with self._changing(image_id):
            for volumes in self._labels().values():
                volumes.remove(image_id)
            self.records.forget(image_id)
            self.uploads.remove(image_id)

    def add_session(self, volume: Path, expiry: int = 0) -> str:
        """Store a volume for repeated inference, and return its session's id; see `Sessions.add`.

        Raises:
            AppError: the file is not a volume, or the quota is exceeded.
        """
        with called(volume, "the volume"), self.quota.taken(file_size(volume)):
            return self.sessions.add(volume, expiry)

    def get_labeled_images(self, label_tag: str | None = None, labels: Sequence[str] | None = None) -> list[str]:
        """Return the images with a final label, or with a label of a tag."""
        labelled = self._label_ids().get(label_tag or FINAL, set())
        return [image for image in self.list_images() if image in labelled]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: Sequence[str] | None = None) -> list[str]:
        """Return the images without a final label, or without a label of a tag."""
        labelled = set(self.get_labeled_images(label_tag))
        return [image for image in self.list_images() if image not in labelled]

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """Return the path of a label's file; empty if there is none."""
        case = self.case(label_id)
        if case is None or label_tag != FINAL:
            labels = self._labels().get(label_tag)
            return str((labels and labels.path(label_id)) or "")
        if not owned_slices(self.stack, case):
            return ""
        target = self._labels_of(FINAL).folder / f"{case.id}{self.cases.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        with lock(lock_path(target.with_name(case.id))):
            self.cases.export_labels(case, target)
        return str(target)

    def get_label_info(self, label_id: str, label_tag: str) -> Info:
        """Return the metadata of a label."""
        self._check_label(label_id, label_tag)
        return self.records.read().labels.get(label_tag, {}).get(label_id, {})

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: Info) -> str:
        """Save a label: a final one of a case annotates slices of the stack; any other is a file.

        ``label_info`` in ``label_info`` gives the meaning of the values, see `segment_names`.

        Raises:
            AppError: the tag is invalid, the labels do not fit the image or are not integers 0..255, or the quota is
            exceeded.
        """
        info, case, source = dict(label_info or {}), self.case(image_id), Path(label_filename)
        with self._changing(image_id), called(source, "the label"):
            name = f"{image_id}{suffix_of(source.name)}"
            if check_tag(label_tag) == FINAL and case is not None:
                info |= self.cases.import_labels(case, source, info.get("label_info"))._asdict()
            else:
                check_labels(source, self._extent(image_id))
                labels = self._labels_of(label_tag)
                with self.quota.taken(file_size(source) - sum(map(file_size, labels.all(image_id)))):
                    labels.replace(image_id, source)
            self.records.note(image_id, {**info, "ts": int(time.time()), "name": name}, label_tag)
        return image_id

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Remove a label; a final one of a case takes the annotations back that came from it."""
        case = self.case(label_id)
        with self._changing(label_id):
            self._check_label(label_id, label_tag)
            if case is not None and label_tag == FINAL:
                self.cases.remove_labels(case)
            else:
                self._labels_of(label_tag).remove(label_id)
            self.records.forget(label_id, label_tag)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("no route, task or client of MONAI Label calls this method of a datastore")

    set_name = set_description = refresh = get_image = get_label = _refuse
    get_labels_by_image_id = get_label_by_image_id = update_label_info = get_dataset_archive = _refuse

    @contextmanager
    def _changing(self, image_id: str) -> Iterator[None]:
        """Keep others off an image that is there while the body changes it, its labels or its record."""
        self._check_image(image_id)  # before it becomes part of a path
        with self._locked(image_id):
            self._check_image(image_id)
            yield

    @contextmanager
    def _locked(self, image_id: str) -> Iterator[None]:
        """Lock an id against other threads and processes."""
        self.workspace.labels.mkdir(parents=True, exist_ok=True)
        with lock(lock_path(self.workspace.labels / image_id)):
            yield

    def _check_image(self, image_id: str) -> None:
        if self.case(image_id) is None and self.uploads.path(image_id) is None:
            raise unknown_image(image_id)

    def _check_label(self, label_id: str, tag: str) -> None:
        labels = self._label_ids()
        if label_id not in labels.get(tag, ()):
            known = [each for each, ids in labels.items() if label_id in ids]
            raise NotFoundError(f"image {label_id[:120]!r} has no label {tag[:120]!r}; its labels are {known}")

    def _extent(self, image_id: str) -> Extent:
        """Return the extent of an image's voxels."""
        case = self.case(image_id)
        if case is not None:
            return self.cases.grid(case).extent
        upload = Path(self.get_image_uri(image_id))
        with called(upload, f"image {image_id}"):
            return read_header(upload).extent

    def _labels(self) -> dict[str, Volumes]:
        """Return the label files by tag, each of which has a folder: predictions, and labels of clients' volumes."""
        folders = sorted(self.workspace.labels.glob("[A-Za-z0-9]*"))
        return {path.name: Volumes(path) for path in folders if path.is_dir() and not path.is_symlink()}

    def _labels_of(self, tag: str) -> Volumes:
        folder = self.workspace.labels / tag
        if folder.is_symlink():
            raise ConfigError(f"tag {tag!r}: its folder is a link, which is not followed; choose another tag")
        return Volumes(folder)

    def _label_ids(self) -> dict[str, set[str]]:
        """Return the images that have a label, by tag."""
        found = {tag: set(volumes.files()) for tag, volumes in self._labels().items()}
        uploads = found.get(FINAL, set()) & set(self.uploads.files())
        return {tag: ids for tag, ids in {**found, FINAL: self.cases.labelled_ids() | uploads}.items() if ids}


def _described(stack: Stack) -> str:
    slices, rows, columns = stack.shape
    return f"{counted(slices, 'slice')} of {rows} x {columns} pixels, {' + '.join(stack.detectors)}"
