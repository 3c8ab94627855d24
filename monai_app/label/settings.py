"""The settings of a label server, and its working folder."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator

from monai_app.domain.slab import SliceCount
from monai_app.domain.validation import Items, Strict
from monai_app.errors import ConfigError

Layout = Literal["paired", "channels"]
Suffix = Literal[".nii.gz", ".nii", ".nrrd"]
SUFFIXES: tuple[str, ...] = get_args(Suffix)
"""Formats of cases."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*")


class Settings(Strict):
    """The settings of a server.

    Raises:
        ConfigError: a value that breaks its rule.
    """

    stack: str
    """path of the stack"""
    bundles: Items[str]
    """trained run folders, names or paths of bundles to train; each becomes a model of its folder's name"""
    slices: Items[int] = ()
    """z of the slices to offer for annotation; empty offers all"""
    test_slices: Items[int] = ()
    """z of the slices whose labels are used only for testing"""
    thickness: SliceCount = 3
    """odd number of slices in a case"""
    suffix: Suffix = ".nii.gz"
    """format of the cases"""
    layout: Layout = "paired"
    """how the detectors of a case are stored"""
    size: str = "small"
    """settings of ``configs/sizes`` for bundles that are trained from random weights"""
    training: dict[str, Any] = Field(default_factory=dict)
    """further settings of trainings, by id"""
    device: str | None = None
    """device of inference; by default the GPU if there is one"""
    memory: str | None = None
    """memory limit of the inference process, e.g. ``"4GiB"``; by default chosen automatically"""
    waiting: Annotated[int, Field(ge=1, le=10_000)] = 8
    """length of the inference queue"""
    stored: Annotated[int, Field(ge=0, le=2**63 - 1, json_schema_extra={"unit": "bytes"})] = 32 * 2**30
    """disk quota for volumes and labels of clients"""
    ingested: str | None = None
    """identity at ingestion that the stack must have; the server sets it for its worker processes"""

    @field_validator("bundles")
    @classmethod
    def _check_names(cls, bundles: tuple[str, ...]) -> tuple[str, ...]:
        if not bundles:
            raise ConfigError("no bundle to serve; give at least one --bundle, a run folder or a bundle to train")
        names = [model_name(bundle) for bundle in bundles]
        for name in names:
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    f"bundle {name!r}: its folder's name becomes the model's and must contain only letters, digits, "
                    "'_', '+' and '-'; rename the folder"
                )
            if names.count(name) > 1:
                raise ConfigError(f"two bundles are named {name!r}; rename one of the folders")
        return bundles


def model_name(bundle: str) -> str:
    """Return the name under which a bundle is served: its folder's."""
    return Path(bundle).absolute().name


class Workspace:
    """The working folder of a server; outside it, only the annotations of the stack are written.

    Attributes:
        folder: the folder; MONAI Label calls it the studies folder.
        cases: volumes cut from the stack, which a stock MONAI Label app can use as its studies folder.
        uploads: volumes that clients uploaded.
        sessions: volumes that clients sent for repeated inference.
        labels: label volumes other than annotations of the stack: predictions, and labels of uploads.
        models: run folders trained here.
        scores: scores for the choice of slices.
        logs: the log of the server, and of every training, batch and scoring.
        temporary: files of requests and responses while they last.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases, self.uploads, self.sessions = folder / "cases", folder / "uploads", folder / "sessions"
        self.labels, self.models, self.scores = folder / "labels", folder / "models", folder / "scores"
        self.logs, self.temporary = folder / "logs", folder / "temporary"
