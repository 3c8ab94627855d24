"""Errors of the server in addition to those of the package."""

from collections.abc import Iterable

from monai_app.errors import NotFoundError

STOPS = "the server is shutting down; try again after it has restarted"
"""Message for clients that wait when the server shuts down."""


def unknown(what: str, name: str, known: Iterable[str]) -> NotFoundError:
    """Return the error for an unknown model, strategy or scoring method."""
    return NotFoundError(f"there is no {what} {name[:120]!r}; there are {', '.join(known)}")


def unknown_image(image: str) -> NotFoundError:
    """Return the error for an unknown image."""
    return NotFoundError(f"there is no image {image[:120]!r}; GET /datastore/?output=all lists them")
