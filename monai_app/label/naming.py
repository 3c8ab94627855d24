"""What files are called in errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monai_app.errors import AppError


@contextmanager
def called(path: Path, name: str) -> Iterator[None]:
    """Call a file in errors what the client calls it: where the server keeps it meanwhile tells nobody anything.

    Raises:
        AppError: as the body, with other words and the same cause.
    """
    try:
        yield
    except AppError as error:
        raise type(error)(str(error).replace(str(path), name)) from error.__cause__
