"""What was annotated after the ingestion: the record of every changed slice, and the identity that follows from it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

Role = Literal["train", "test"]


@dataclass(frozen=True)
class State:
    """The annotation of a slice at some time.

    Args:
        role: what the slice is for.
        sha256: of its labels, row by row.
    """

    role: Role
    sha256: str

    @classmethod
    def of(cls, role: Role, labels: npt.NDArray[np.uint8]) -> "State":
        """The state of a slice with these labels (rows, columns)."""
        return cls(role, hashlib.sha256(np.ascontiguousarray(labels).data).hexdigest())


@dataclass(frozen=True)
class Edit:
    """How the annotation of a slice differs from the ingested one.

    Args:
        now: the annotation; None if it was removed.
        ingested: the annotation that the slice had at the ingestion; None if it had none.
        source: who changed it, such as the case of an annotation server.
    """

    now: State | None
    ingested: State | None
    source: str = ""


EDITS = TypeAdapter(dict[int, Edit])
"""Reads edits from JSON."""


@dataclass(frozen=True)
class Record:
    """The annotated slices of a store after edits.

    Args:
        base: the identity at the ingestion.
        roles: z -> what the annotated slice is for.
        edits: z -> edit, for the slices that differ from the ingestion.
    """

    base: str
    roles: Mapping[int, Role]
    edits: Mapping[int, Edit]

    @property
    def identity(self) -> str:
        """SHA-256 over the ingested identity and the edits, in whichever order they were made; without any, the base.

        What a slice was before does not count: it is in the base.
        """
        if not self.edits:
            return self.base
        frame = [
            (z, edit.now and (edit.now.role, edit.now.sha256), edit.source) for z, edit in sorted(self.edits.items())
        ]
        return hashlib.sha256(json.dumps([self.base, frame]).encode()).hexdigest()

    def slices(self, role: Role) -> list[int]:
        """Every z annotated for a role, ascending."""
        return sorted(z for z, found in self.roles.items() if found == role)

    def edited(self, z: int, now: State | None, before: State | None, source: str) -> "Record":
        """The record after another annotation of a slice.

        Args:
            z: the slice.
            now: its new annotation; None removes it.
            before: the annotation that it has, from the store; counts where the slice was not edited yet.
            source: who changed it.
        """
        edit = Edit(now, self.edits[z].ingested if z in self.edits else before, source)
        edits = {other: kept for other, kept in self.edits.items() if other != z}
        roles = {other: kept for other, kept in self.roles.items() if other != z}
        if edit.now != edit.ingested:
            edits[z] = edit
        if now is not None:
            roles[z] = now.role
        return replace(self, roles=roles, edits=edits)

    def to_json(self) -> dict[str, Any]:
        """What is stored with the annotations."""
        return {
            "ingested": self.base,
            "identity": self.identity,
            "train": self.slices("train"),
            "test": self.slices("test"),
            "edits": {str(z): asdict(edit) for z, edit in sorted(self.edits.items())},
        }
