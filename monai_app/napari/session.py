"""A labelling session of a stack: painted labels, roles of slices, and the state of the store; without Qt."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monai_app.errors import AnnotationError, OutdatedError
from monai_app.napari.planes import Plane, Planes
from monai_app.proposals import Proposal, propose
from monai_app.stack import Revision, Role, Stack, revise
from monai_app.stack.annotations.editing import check_phases
from monai_app.stack.annotations.history import State

SOURCE = "napari"
"""Name of the annotator recorded with the slices."""

_TEST = "it is a test slice, which must be labelled by a person"


class Session:
    """A stack that is being labelled.

    Nothing of what is painted is in the store before `save`, which is `monai_app.stack.revise`, as every other way to
    annotate.

    Attributes:
        stack: the stack as it was when it was opened, saved to or reloaded.
        labels: the labels (slices, rows, columns), to be painted on.

    Raises:
        StackError: there is no stack.
        AnnotationError: it has no phases.
    """

    def __init__(self, path: Path) -> None:
        self.stack = Stack.open(path)
        check_phases(self.stack)
        self.labels = Planes(self.stack.shape, self._read)
        self._roles: dict[int, Role | None] = {}
        self._found: dict[int, State | None] = {}
        self._hashed: dict[int, tuple[tuple[Role | None, int], State | None]] = {}

    def role(self, z: int) -> Role | None:
        """Return the role of a slice; None if its labels are not saved.

        A slice without annotation is to train on as soon as something is painted on it.
        """
        stored = self.stack.roles.get(z)
        painted = self.labels.painted.get(z)
        return self._roles.get(z, "train" if stored is None and painted is not None and painted.any() else stored)

    def set_role(self, z: int, role: Role | None) -> None:
        """Set the role of a slice; with None, the next `save` removes its annotation."""
        self.labels.plane(z)  # what the store has of it is noted
        self._roles[z] = role

    @property
    def changed(self) -> list[int]:
        """The slices that differ from what the store had when they were read, ascending."""
        touched = self.labels.painted.keys() | self._roles.keys()
        return sorted(z for z in touched if self._wanted(z) != self._found[z])

    @property
    def removed(self) -> list[int]:
        """The slices whose annotation the next `save` takes out of the store, ascending."""
        return [z for z in self.changed if self._wanted(z) is None]

    def save(self, *, overwrite: bool = False) -> list[int]:
        """Save all changes to the annotations of the store atomically.

        Args:
            overwrite: also replace annotations that others changed since they were read here.

        Returns:
            The slices.

        Raises:
            OutdatedError: others changed some annotations; nothing is saved.
            AppError: see `revise`.
        """
        changed = self.changed
        roles = {z: self.role(z) for z in changed}
        labels = {z: None if role is None else self.labels.plane(z) for z, role in roles.items()}

        def decide(current: Stack) -> Revision:
            newer = [z for z in changed if _state(current, z) != self._found[z]]
            if newer and not overwrite:
                by = current.annotated_by(newer[0]) or "another program"
                raise OutdatedError(
                    f"slice {', '.join(map(str, newer))} was annotated by {by} after it was opened here, so nothing "
                    "was saved; reload it, or confirm to replace that annotation"
                )
            return Revision(labels, {z: role for z, role in roles.items() if role is not None})

        self.stack = revise(self.stack, decide, source=SOURCE)
        for z in changed:
            self._forget(z)
        return changed

    def reload(self, z: int) -> None:
        """Discard changes of a slice, and read the current annotation from the store.

        Raises:
            StackError: the store was replaced or is damaged.
        """
        self.stack = self.stack.reopened()
        self._forget(z)

    def proposal(self, z: int) -> Callable[[], Proposal]:
        """The work of proposing labels of a slice, for another thread: what is painted from now on does not change it.

        It goes by what is painted on slices to train on, saved or not; test slices lend nothing. It raises AppError as
        `monai_app.proposals.propose`.
        """
        touched = self.labels.painted.keys() | self._roles.keys()
        blank = np.zeros(self.stack.shape[1:], np.uint8)
        painted = {each: self.labels.plane(each).copy() if self.role(each) == "train" else blank for each in touched}
        return partial(propose, self.stack, z, labels=painted)

    def to_take(self, z: int, proposal: Plane) -> tuple[tuple[npt.NDArray[np.unsignedinteger], ...], Plane]:
        """The unlabelled pixels of a slice and what a proposal says of them: what was painted stays.

        Args:
            z: the slice.
            proposal: (rows, columns), 0 nothing, 1..K the phases.

        Returns:
            The indices z, rows and columns of the pixels, as small as their type may be, and their labels.
        """
        where = np.nonzero((self.labels.plane(z) == 0) & (proposal > 0))
        small = np.min_scalar_type(max(self.stack.shape))
        rows, columns = (axis.astype(small) for axis in where)
        return (np.full(rows.shape, z, small), rows, columns), proposal[where]

    def most_uncertain(self, labels: str, z: int) -> int:
        """Return the unlabelled slice on which a model is least certain; on repeated calls, the next one, and so on.

        Args:
            labels: a label image with confidence.
            z: the slice that is shown.

        Raises:
            AnnotationError: all slices have labels.
            StackError: there is no such label image.
        """
        from monai_app.active_learning.stored_scores import most_uncertain  # loads torch, which takes seconds

        order = [score.z for score in most_uncertain(self.stack, labels) if self.role(score.z) is None]
        if not order:
            raise AnnotationError("every slice has labels already; correct some of them instead")
        return order[(order.index(z) + 1) % len(order)] if z in order else order[0]

    def why_no_proposal(self, z: int) -> str | None:
        """Return why labels of a slice cannot be proposed; None if they can."""
        if self.role(z) == "test":
            return _TEST
        if self.stack.roles.get(z) == "test":
            return "save its new role first"
        painted = any(self.role(each) == "train" for each in self.labels.painted.keys() | self.stack.roles.keys())
        return None if painted else "paint some pixels of two phases first"

    def why_not_take(self, z: int, proposal: Plane) -> str | None:
        """Return why a proposal (rows, columns) cannot be accepted; None if it can."""
        if self.role(z) == "test":
            return _TEST
        return None if proposal.any() else "there is no proposal for this slice"

    def why_no_training(self) -> str | None:
        """Return why no model can be trained; None if one can."""
        known = self.stack.roles.keys() | self.labels.painted.keys()
        return None if any(self.role(z) == "train" for z in known) else "label a slice to train on first"

    def why_no_ranking(self, labels: str) -> str | None:
        """Return why a label image yields no least certain slice; None if it does."""
        return None if labels in self.stack.label_names() else "predict the stack first"

    def _read(self, z: int) -> Plane:
        if z not in self._roles:  # otherwise another user's annotation would get this role
            self._found[z] = _state(self.stack, z)
        return _labels(self.stack, z)

    def _forget(self, z: int) -> None:
        self.labels.drop(z)
        self._roles.pop(z, None)
        self._hashed.pop(z, None)

    def _wanted(self, z: int) -> State | None:
        key = role, _ = self.role(z), self.labels.strokes[z]
        if z not in self._hashed or self._hashed[z][0] != key:
            labels = self.labels.plane(z)
            self._hashed[z] = key, None if role is None or not labels.any() else State.of(role, labels)
        return self._hashed[z][1]


def _labels(stack: Stack, z: int) -> Plane:
    return stack.read_annotation(z) if z in stack.roles else np.zeros(stack.shape[1:], np.uint8)


def _state(stack: Stack, z: int) -> State | None:
    return State.of(stack.roles[z], stack.read_annotation(z)) if z in stack.roles else None
