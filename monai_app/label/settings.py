"""What a label server was started with, and the folder it works in."""

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
    """What the server serves.

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
    """z of the slices whose labels test and never train"""
    thickness: SliceCount = 3
    """slices in a case, odd"""
    suffix: Suffix = ".nii.gz"
    """format of the cases"""
    layout: Layout = "paired"
    """how the detectors of a case are written"""
    size: str = "small"
    """settings of ``configs/sizes`` for bundles that are trained from nothing"""
    training: dict[str, Any] = Field(default_factory=dict)
    """more settings of trainings, by id"""
    device: str | None = None
    """where models are applied; without it the GPU where there is one"""
    memory: str | None = None
    """that the process which applies models may use, e.g. ``"4GiB"``; without it what is good"""
    waiting: Annotated[int, Field(ge=1, le=10_000)] = 8
    """inferences that may wait for the one that runs"""
    stored: Annotated[int, Field(ge=0, le=2**63 - 1, json_schema_extra={"unit": "bytes"})] = 32 * 2**30
    """what volumes and labels which clients sent may take in all"""
    ingested: str | None = None
    """the identity at the ingestion that the stack must have; the server sets it for its processes, so that they work
    on no other stack than it does"""

    @field_validator("bundles")
    @classmethod
    def _check_names(cls, bundles: tuple[str, ...]) -> tuple[str, ...]:
        if not bundles:
            raise ConfigError("no bundle to serve; give at least one --bundle: a run folder or a bundle to train")
        names = [model_name(bundle) for bundle in bundles]
        for name in names:
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    f"bundle {name!r}: its folder's name becomes the model's and may hold letters, digits, '_', '+' "
                    "and '-' only; rename the folder"
                )
            if names.count(name) > 1:
                raise ConfigError(f"two bundles are named {name!r}; rename one of the folders")
        return bundles


def model_name(bundle: str) -> str:
    """Return the name under which a bundle is served: its folder's."""
    return Path(bundle).absolute().name


class Workspace:
    """The folder that a server works in; nothing outside of it is written, but for annotations in the stack.

    Attributes:
        folder: the folder; MONAI Label calls it the studies folder.
        cases: volumes cut from the stack: what a stock MONAI Label app takes as its studies folder.
        uploads: volumes that clients sent to stay.
        sessions: volumes that clients sent for one inference after the other.
        labels: label volumes that are no annotations of the stack: predictions, and labels of uploads.
        models: run folders trained here.
        scores: what was computed to choose slices.
        logs: the server's log, and one of every training, batch and scoring.
        temporary: what requests send and are answered, as long as they last.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases, self.uploads, self.sessions = folder / "cases", folder / "uploads", folder / "sessions"
        self.labels, self.models, self.scores = folder / "labels", folder / "models", folder / "scores"
        self.logs, self.temporary = folder / "logs", folder / "temporary"
