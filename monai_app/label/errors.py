"""What can go wrong in a server beside the user's errors of the package."""

import errno
from collections.abc import Iterable

from monai_app.errors import AppError, causes

DISK_FULL = "the server's disk is full; remove uploads, or tell who runs the server"

STOPS = "the server stops; ask again when it has been started again"
"""What those are told who wait when the server ends."""


class UnknownError(AppError, LookupError):
    """There is no such image, label, model, strategy or session."""

    status = 404


def unknown_image(image: str) -> UnknownError:
    """There is no image of an id."""
    return UnknownError(f"there is no image {image[:120]!r}; GET /datastore/?output=all lists them")


def unknown_label(image: str, tag: str) -> UnknownError:
    """An image has no label of a tag."""
    return UnknownError(f"image {image[:120]!r} has no label {tag[:120]!r}; GET /datastore/?output=all lists them")


def unknown(what: str, name: str, known: Iterable[str]) -> UnknownError:
    """There is no model, strategy or scoring of a name."""
    return UnknownError(f"there is no {what} {name[:120]!r}; there are {', '.join(known)}")


class NotTrainedError(AppError, RuntimeError):
    """The model has no weights yet."""

    status = 409


class QueueFullError(AppError, RuntimeError):
    """As many inferences wait as may."""

    status = 503


class StoppingError(AppError, RuntimeError):
    """The server ends, and what it did for clients with it."""

    status = 503


class AbandonedError(AppError, RuntimeError):
    """The client for which an inference was made went away; nobody reads the answer."""

    status = 499


class NoMemoryError(AppError, RuntimeError):
    """An inference needed more memory than there is."""

    status = 507


class NoRoomError(AppError, RuntimeError):
    """What clients sent would take more of the disk than it may, or the disk is full."""

    status = 507


class FailedError(AppError, RuntimeError):
    """An inference, training or scoring ended in a way that nobody foresaw, or its process died."""

    status = 500


class BatchError(AppError, RuntimeError):
    """Some images of a batch cannot be labelled."""


class RunningError(AppError, RuntimeError):
    """Work of this kind runs already."""

    status = 429


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error comes of a full disk, or of a quota that is used up."""
    return any(isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT) for each in causes(error))
