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


class NotTrainedError(AppError, RuntimeError):
    """The model has no weights yet."""

    status = 409


class RunningError(AppError, RuntimeError):
    """Work of this kind runs already."""

    status = 429


class FailedError(AppError, RuntimeError):
    """Work ended in a way that nobody foresaw, or its process died."""

    status = 500


class UnavailableError(AppError, RuntimeError):
    """As many inferences wait as may, or the server ends."""

    status = 503


def unknown(what: str, name: str, known: Iterable[str]) -> UnknownError:
    """There is no model, strategy or scoring of a name."""
    return UnknownError(f"there is no {what} {name[:120]!r}; there are {', '.join(known)}")


def unknown_image(image: str) -> UnknownError:
    """There is no image of an id."""
    return UnknownError(f"there is no image {image[:120]!r}; GET /datastore/?output=all lists them")


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error comes of a full disk, or of a quota that is used up."""
    return any(isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT) for each in causes(error))
