"""What can go wrong in a server beside the errors of the package."""

from collections.abc import Iterable

from monai_app.errors import NotFoundError

STOPS = "the server is shutting down; try again after it has restarted"
"""What those are told who wait when the server ends."""


def unknown(what: str, name: str, known: Iterable[str]) -> NotFoundError:
    """There is no model, strategy or scoring of a name."""
    return NotFoundError(f"there is no {what} {name[:120]!r}; there are {', '.join(known)}")


def unknown_image(image: str) -> NotFoundError:
    """There is no image of an id."""
    return NotFoundError(f"there is no image {image[:120]!r}; GET /datastore/?output=all lists them")
