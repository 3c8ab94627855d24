"""What a label server was started with, and the folder it works in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monai_app.errors import ConfigError
from monai_app.label.case_files import Layout

SUFFIXES = (".nii.gz", ".nii", ".nrrd")
"""Formats of cases."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*")


@dataclass(frozen=True)
class Settings:
    """What the server serves.

    Attributes:
        stack: path of the stack.
        bundles: trained run folders, names or paths of bundles to train; each becomes a model of its folder's name.
        slices: z of the slices to offer for annotation; empty offers all.
        test_slices: z of the slices whose labels test and never train.
        thickness: odd number of slices in a case.
        suffix: format of the cases.
        layout: how the detectors of a case are written.
        size: settings of ``configs/sizes`` for bundles that are trained from nothing.
        training: more settings of trainings, by id.
        device: where models are applied; ``None`` chooses.
        memory: that the process which applies them may use, e.g. ``"4GiB"``; ``None`` takes what is good.
        waiting: inferences that may wait for the one that runs.
        stored: bytes that volumes and labels which clients sent may take in all.
        trust: serve bundles that do more than the package's own.
        ingested: the identity at the ingestion that the stack must have; the server sets it for its processes, so that
            they work on no other stack than it does.

    Raises:
        ConfigError: a value that breaks its rule.
    """

    stack: str
    bundles: tuple[str, ...]
    slices: tuple[int, ...] = ()
    test_slices: tuple[int, ...] = ()
    thickness: int = 3
    suffix: str = ".nii.gz"
    layout: Layout = "paired"
    size: str = "small"
    training: Mapping[str, Any] = field(default_factory=dict)
    device: str | None = None
    memory: str | None = None
    waiting: int = 8
    stored: int = 32 * 2**30
    trust: bool = False
    ingested: str | None = None

    def __post_init__(self) -> None:
        if not self.bundles:
            raise ConfigError("no bundle to serve; give at least one --bundle: a run folder or a bundle to train")
        names = [model_name(bundle) for bundle in self.bundles]
        for name in names:
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    f"bundle {name!r}: its folder's name becomes the model's and may hold letters, digits, '_', '+' "
                    "and '-' only; rename the folder"
                )
            if names.count(name) > 1:
                raise ConfigError(f"two bundles are named {name!r}; rename one of the folders")
        if self.waiting < 1:
            raise ConfigError(f"waiting {self.waiting}: at least one inference must be able to wait")


def model_name(bundle: str) -> str:
    """Return the name under which a bundle is served: its folder's."""
    return Path(bundle).absolute().name


@dataclass(frozen=True)
class Workspace:
    """The folder that a server works in; nothing outside of it is written, but for annotations in the stack.

    Attributes:
        folder: the folder; MONAI Label calls it the studies folder.
        temporary_of: whose temporary files have a folder of their own: what is killed leaves some, which is removed.
    """

    folder: Path
    temporary_of: str = ""

    @property
    def cases(self) -> Path:
        """Volumes cut from the stack: what a stock MONAI Label app takes as its studies folder."""
        return self.folder / "cases"

    @property
    def uploads(self) -> Path:
        """Volumes that clients sent to stay."""
        return self.folder / "uploads"

    @property
    def sessions(self) -> Path:
        """Volumes that clients sent for one inference after the other."""
        return self.folder / "sessions"

    @property
    def labels(self) -> Path:
        """Label volumes that are no annotations of the stack: predictions, and labels of uploads."""
        return self.folder / "labels"

    @property
    def models(self) -> Path:
        """Run folders trained here."""
        return self.folder / "models"

    @property
    def scores(self) -> Path:
        """What was computed to choose slices."""
        return self.folder / "scores"

    @property
    def logs(self) -> Path:
        """The server's log, and one of every training, batch and scoring."""
        return self.folder / "logs"

    @property
    def temporary(self) -> Path:
        """What requests send and are answered, as long as they last."""
        return self.folder / "temporary" / self.temporary_of

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.logs / "server.log"
