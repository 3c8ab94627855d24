"""What can go wrong in a server beside the user's errors of the package."""

import errno
from collections.abc import Iterable

from monai_app.errors import AppError, causes

DISK_FULL = "the server's disk is full; remove uploads, or tell who runs the server"

STOPS = "the server stops; ask again when it has been started again"
"""What those are told who wait when the server ends."""


class UnknownError(AppError, LookupError):
    """There is no such image, label, model, strategy or session."""


def unknown_image(image: str) -> UnknownError:
    """There is no image of an id."""
    return UnknownError(f"there is no image {image[:120]!r}; GET /datastore/?output=all lists them")


def unknown_label(image: str, tag: str) -> UnknownError:
    """An image has no label of a tag."""
    return UnknownError(f"image {image[:120]!r} has no label {tag[:120]!r}; GET /datastore/?output=all lists them")


def unknown_session(session: str) -> UnknownError:
    """A session was removed while it was asked for."""
    return UnknownError(f"session {session[:120]!r} was removed just now; send the volume again (PUT /session/)")


def unknown_model(name: str, models: Iterable[str]) -> UnknownError:
    """There is no model of a name among the names of models."""
    return UnknownError(f"there is no model {name[:120]!r}; the models are {', '.join(models)}")


class NotTrainedError(AppError, RuntimeError):
    """The model has no weights yet."""


class QueueFullError(AppError, RuntimeError):
    """As many inferences wait as may."""


class StoppingError(AppError, RuntimeError):
    """The server ends, and what it did for clients with it."""


class AbandonedError(AppError, RuntimeError):
    """The client for which an inference was made went away."""


class NoMemoryError(AppError, RuntimeError):
    """An inference needed more memory than there is."""


class NoRoomError(AppError, RuntimeError):
    """What clients sent would take more of the disk than it may, or the disk is full."""


class InferenceError(AppError, RuntimeError):
    """An inference ended in a way that nobody foresaw, or its process died."""


class BatchError(AppError, RuntimeError):
    """Some images of a batch cannot be labelled."""


class RunningError(AppError, RuntimeError):
    """Work of this kind runs already."""


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error comes of a full disk, or of a quota that is used up."""
    return any(isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT) for each in causes(error))


def for_server(error: AppError | OSError) -> AppError:
    """What a process tells the server of an error; on the way to it, errors lose what caused them."""
    if is_disk_full(error):
        return NoRoomError(DISK_FULL)
    return error if isinstance(error, AppError) else InferenceError(str(error))
