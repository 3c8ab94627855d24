"""What can go wrong in a server beside the user's errors of the package."""

from monai_app.errors import AppError

STOPS = "the server stops; ask again when it has been started again"
"""What those are told who wait when the server ends."""


class UnknownError(AppError, LookupError):
    """There is no such image, label, model, strategy or session."""


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
    """What clients sent would take more of the disk than it may."""


class InferenceError(AppError, RuntimeError):
    """An inference ended in a way that nobody foresaw, or its process died."""


class RunningError(AppError, RuntimeError):
    """Work of this kind runs already."""
